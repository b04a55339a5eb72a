// User-defined tokens, which are found in any text, and what never is.

import Testing
import Tokenizers

@Suite struct UserDefinedTokenTests {
    /// Ids 0...255 are bytes; 256 is `ab`, 257 a control token, from 258 on stand the user-defined ones.
    private static let byteLevel = Synthetic.byteLevel(
        merges: ["a b"], specials: ["<|im_end|>"], userDefined: ["<think>", "\n\n", "\n\n\n", "  ", "bc", "<|mine|>"])

    /// `words`, then `<b>`, two line breaks and three spaces, user-defined.
    private static func sentencePiece(addsSpacePrefix: Bool = true) -> (Vocabulary, first: Int32) {
        var vocabulary = Synthetic.words
        let first = Int32(vocabulary.tokens.count)
        let added = ["<b>", "\n\n", "   "]
        vocabulary.tokens += added
        vocabulary.scores += added.map { _ in -1000 }
        vocabulary.kinds += added.map { _ in .userDefined }
        vocabulary.addsSpacePrefix = addsSpacePrefix
        return (vocabulary, first)
    }

    @Test(
        "they are found in any text before it is cut, the longest first",
        arguments: [
            ("<think>", [258]), ("x<think>y", [0x78, 258, 0x79]),
            ("<thin<think>", [0x3C, 0x74, 0x68, 0x69, 0x6E, 258]),
            ("\n\n", [259]), ("\n\n\n", [260]), ("\n\n\n\n", [260, 10]), ("\n\n\n\n\n", [260, 259]),
            ("a  b", [0x61, 261, 0x62]), ("abc", [0x61, 262]), ("ab", [256]), ("<", [0x3C]), ("", []),
        ] as [(String, [Int32])])
    func found(_ text: String, _ ids: [Int32]) throws {
        let tokenizer = try Tokenizer(Self.byteLevel)
        #expect(tokenizer.encode(text) == ids)
        #expect(tokenizer.encode([.text(text)]) == ids && tokenizer.encode([.template(text)]) == ids)
        #expect(tokenizer.decode(ids) == text)
    }

    @Test("a template's words and a user's make one of them together, and no control token")
    func acrossSegments() throws {
        let tokenizer = try Tokenizer(Self.byteLevel)
        #expect(tokenizer.encode([.template("<|im_end|>\n"), .text("\n\nab")]) == [257, 260, 256])
        #expect(tokenizer.encode([.text("x\n"), .template("\n<|im_end|>")]) == [0x78, 259, 257])
        for segments: [PromptSegment] in [
            [.text("<|im_end|>")], [.text("<|im_"), .template("end|>")], [.template("<|im_"), .text("end|>")],
            [.template("<|im_"), .template("end|>")],
        ] {
            #expect(tokenizer.encode(segments) == "<|im_end|>".utf8.map { Int32($0) })
        }
    }

    @Test("those that end a turn, begin a text or look like a template's are found in templates only")
    func never() throws {
        var vocabulary = Synthetic.byteLevel(
            merges: [],
            userDefined: ["<|mine|>", "<｜tool｜>", "<start_of_turn>", "[INST]", "<end_of_turn>", "<go>", "<s>"])
        vocabulary.beginOfText = 261
        let tokenizer = try Tokenizer(vocabulary)
        for (index, token) in vocabulary.tokens.enumerated().dropFirst(256) {
            #expect(tokenizer.encode([.template(token)]) == [Int32(index)])
            #expect(tokenizer.encode([.text(token)]) == token.utf8.map { Int32($0) })
            #expect(tokenizer.encode(token) == token.utf8.map { Int32($0) })
        }
    }

    @Test("SentencePiece puts a space behind each where it puts one first, and decoding takes it off")
    func spaces() throws {
        let (vocabulary, first) = Self.sentencePiece()
        let tokenizer = try Tokenizer(vocabulary)
        let hello = tokenizer.encode("hello")
        #expect(hello.count == 1)
        let ids = hello + [first] + hello + [first + 1, first + 2] + hello
        #expect(tokenizer.encode("hello<b>hello\n\n   hello") == ids)
        #expect(tokenizer.encode("<b>hello") == [first] + hello)
        #expect(tokenizer.decode(ids) == "hello<b>hello\n\n   hello")
        #expect(tokenizer.encode([.text("<b>hello")], continuing: true) == [first] + hello)
        let bare = try Tokenizer(Self.sentencePiece(addsSpacePrefix: false).0)
        #expect(bare.encode("hello<b> hello").suffix(2) == [first] + hello)
        #expect(bare.encode("hello<b>hello") == bare.encode("hello") + [first] + bare.encode("hello"))
    }

    @Test("one whose spaces are spelt as SentencePiece's is made by merges, and a text's own mark stays one")
    func speltSpaces() throws {
        var vocabulary = Synthetic.words
        let index = try #require(vocabulary.tokens.firstIndex(of: "\u{2581}\u{2581}"))
        vocabulary.kinds[index] = .userDefined
        let tokenizer = try Tokenizer(vocabulary)
        #expect(tokenizer.encode(" a").first == Int32(index))
        for text in ["\u{2581}\u{2581}", "a\u{2581}\u{2581}a"] {
            #expect(!tokenizer.encode(text).contains(Int32(index)) && tokenizer.decode(tokenizer.encode(text)) == text)
        }
    }

    @Test("decoding gives back any text", arguments: 0..<60)
    func roundTrip(seed: UInt64) throws {
        let pieces = ["<b>", "\n\n", "   ", "<think>", "<|mine|>", " ", "\n", "hello", "<", "\u{2581}", "é"]
        var generator = SeededGenerator(state: seed)
        let text = (0..<40).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
        for vocabulary in [
            Self.byteLevel, Self.sentencePiece().0, Self.sentencePiece(addsSpacePrefix: false).0,
        ] {
            let tokenizer = try Tokenizer(vocabulary)
            #expect(Array(tokenizer.decode(tokenizer.encode(text)).utf8) == Array(text.utf8))
        }
    }

    @Test("a text of nothing but the beginnings of them costs no quadratic time", .timeLimit(.minutes(1)))
    func beginnings() throws {
        let runs = (2..<32).map { String(repeating: "\n", count: $0) }
        let tokenizer = try Tokenizer(Synthetic.byteLevel(merges: [], userDefined: runs + ["<think>"]))
        let lines = String(repeating: "\n", count: 1 << 20)
        #expect(tokenizer.encode(lines).count == (1 << 20) / 31 + 1)
        let text = String(repeating: "<think\n", count: 1 << 18)
        #expect(tokenizer.decode(tokenizer.encode(text)) == text)
    }
}
