// Ids back to text, at once and as a stream.

import Testing
import Tokenizers

@Suite struct DecodingTests {
    static let tokenizers: [@Sendable () throws -> Tokenizer] = [
        { try Tokenizer(Vocabulary(gguf: TestFiles.needle)) },
        { try Tokenizer(Synthetic.byteLevel(.gpt2, merges: ["a a", "Ġ t", "h e"])) },
        { try Tokenizer(Synthetic.byteLevel(.llamaBPE, merges: ["Ġ Ġ", "Ċ Ċ"])) },
        { try Tokenizer(Synthetic.words) },
        { try Tokenizer(Synthetic.sentencePiece([("a", -1), ("aa", -2)], addsSpacePrefix: false)) },
    ]

    @Test("decoding gives back any text", arguments: 0..<5)
    func roundTrip(index: Int) throws {
        let tokenizer = try Self.tokenizers[index]()
        for seed in 0..<60 {
            let text = Synthetic.text(seed: UInt64(seed), scalars: 1 + seed * 7)
            let decoded = tokenizer.decode(tokenizer.encode(text))
            #expect(Array(decoded.utf8) == Array(text.utf8), "seed \(seed)")
        }
        for text in ["", " ", "  ", "\u{0}", "\u{301}", "\u{2581}", " \u{2581} a", "a ", "\u{FEFF}", "\u{10FFFF}"] {
            #expect(
                Array(tokenizer.decode(tokenizer.encode(text)).utf8) == Array(text.utf8), "\(text.debugDescription)")
        }
    }

    @Test(
        "decoding gives back any text with published vocabularies", .enabled(if: TestFiles.hasFixtures),
        arguments: ["gpt-2", "llama-bpe", "qwen2", "llama-spm"])
    func publishedRoundTrip(name: String) throws {
        let tokenizer = try Tokenizer(Vocabulary(gguf: TestFiles.fixture("\(name).gguf")))
        for seed in 100..<140 {
            let text = Synthetic.text(seed: UInt64(seed), scalars: 400)
            #expect(Array(tokenizer.decode(tokenizer.encode(text)).utf8) == Array(text.utf8), "seed \(seed)")
        }
    }

    @Test("a stream of ids gives what decoding them at once gives, and no partial character", arguments: 0..<5, 0..<20)
    func streaming(index: Int, seed: Int) throws {
        let tokenizer = try Self.tokenizers[index]()
        var generator = SeededGenerator(state: UInt64(seed))
        let arbitrary = (0..<300).map { _ in Int32.random(in: -1...Int32(tokenizer.vocabularyCount), using: &generator)
        }
        let text = tokenizer.encode(Synthetic.text(seed: UInt64(seed)))
        // Text at the end, so that no character is left half done.
        for ids in [arbitrary + text, text] {
            var stream = StreamingDetokenizer(tokenizer)
            let streamed = ids.map { stream.append($0) }.joined()
            #expect(Array(streamed.utf8) == Array(tokenizer.decode(ids).utf8))
        }
    }

    @Test("a character comes when its last byte has come, and a broken one as U+FFFD when that is certain")
    func streamedCharacters() throws {
        let tokenizer = try Tokenizer(Synthetic.byteLevel(merges: []))
        func outputs(_ bytes: [Int32]) -> [String] {
            var stream = StreamingDetokenizer(tokenizer)
            return bytes.map { stream.append($0) }
        }
        #expect(outputs([0xF0, 0x9F, 0x8D, 0xB0]) == ["", "", "", "🍰"])
        #expect(outputs([0xE2, 0x41]) == ["", "\u{FFFD}A"])
        #expect(outputs([0xFF, 0x41]) == ["\u{FFFD}", "A"])
        #expect(outputs([0xED, 0xA0]) == ["", "\u{FFFD}\u{FFFD}"])
        #expect(outputs([0x80]) == ["\u{FFFD}"])
    }

    @Test("a stream leaves out the character that it ends in, and decoding at once makes it U+FFFD")
    func halfACharacter() throws {
        let tokenizer = try Tokenizer(Synthetic.byteLevel(merges: []))
        for half: [Int32] in [[0xC3], [0xE2, 0x82], [0xF0, 0x9F, 0x98]] {
            let ids = [0xF0, 0x9F, 0x98, 0x80] + half
            var stream = StreamingDetokenizer(tokenizer)
            #expect(ids.map { stream.append($0) }.joined() == "😀")
            #expect(tokenizer.decode(ids) == "😀\u{FFFD}")
        }
    }

    @Test("a stream that goes on a text keeps the space at its start")
    func continuing() throws {
        let tokenizer = try Tokenizer(Synthetic.words)
        let hello = tokenizer.encode("hello")
        for (continuing, text) in [(true, " hello"), (false, "hello")] {
            var stream = StreamingDetokenizer(tokenizer, continuing: continuing)
            #expect(hello.map { stream.append($0) }.joined() == text)
        }
    }

    @Test("special tokens and ids outside the vocabulary have no bytes")
    func bytes() throws {
        let tokenizer = try Tokenizer(Synthetic.words)
        #expect(tokenizer.bytes(of: 1).isEmpty)
        #expect(tokenizer.bytes(of: 3 + 0x41) == [0x41])
        #expect(tokenizer.bytes(of: 3 + 256) == [0x20])
        for id in [-1, Int32(tokenizer.vocabularyCount), .min, .max] { #expect(tokenizer.bytes(of: id).isEmpty) }
    }
}
