// Vocabularies from damaged or hostile files.

import Testing
import Tokenizers

@Suite struct HostileVocabularyTests {
    private static func refused(_ vocabulary: Vocabulary, _ error: TokenizerError) {
        #expect(throws: error) { try Tokenizer(vocabulary) }
    }

    @Test("arrays of the wrong length are refused")
    func lengths() {
        var vocabulary = Synthetic.words
        let count = vocabulary.tokens.count
        vocabulary.scores.removeLast()
        Self.refused(vocabulary, .countMismatch(field: "scores", count: count - 1, tokens: count))
        vocabulary = Synthetic.words
        vocabulary.kinds.append(.normal)
        Self.refused(vocabulary, .countMismatch(field: "kinds", count: count + 1, tokens: count))
        Self.refused(Vocabulary(algorithm: .sentencePiece, tokens: []), .emptyVocabulary)
    }

    @Test("special ids outside the vocabulary are refused", arguments: [-1, 258, Int32.min, Int32.max])
    func ids(id: Int32) {
        let fields: [(String, WritableKeyPath<Vocabulary, Int32?>)] = [
            ("begin-of-text", \.beginOfText), ("end-of-text", \.endOfText), ("end-of-turn", \.endOfTurn),
            ("end-of-message", \.endOfMessage),
            ("unknown", \.unknown),
        ]
        for (field, path) in fields {
            var vocabulary = Synthetic.byteLevel(merges: ["a b"], specials: ["<s>"])
            vocabulary[keyPath: path] = id
            Self.refused(vocabulary, .idOutOfRange(field: field, id: id, tokens: 258))
        }
    }

    @Test("merges that cannot be read, or of what is no token, are refused")
    func merges() {
        for text in ["", "a", " a", "a ", "ab", "a€ b"] {
            var vocabulary = Synthetic.byteLevel(merges: ["a b"])
            vocabulary.merges = ["a b", text]
            Self.refused(vocabulary, .malformedMerge(index: 1, text: text))
        }
        for text in ["x y", "xy a", "a xy"] {
            var vocabulary = Synthetic.byteLevel(merges: ["a b"])
            vocabulary.merges = ["a b", text]
            Self.refused(vocabulary, .mergeOfUnknownToken(index: 1, text: text))
        }
    }

    @Test("a byte that no token spells is refused unless there is an unknown token")
    func bytes() throws {
        var vocabulary = Synthetic.byteLevel(merges: [], specials: ["<unk>"])
        vocabulary.tokens[0x41] = "AA"
        Self.refused(vocabulary, .missingByte(0x41))
        vocabulary.unknown = 256
        #expect(try Tokenizer(vocabulary).encode("BAB") == [0x42, 256, 0x42])
        vocabulary = Synthetic.sentencePiece([], hasBytes: false)
        vocabulary.unknown = nil
        Self.refused(vocabulary, .missingByte(0))
        vocabulary = Synthetic.words
        vocabulary.tokens[3] = "<0xZZ>"
        Self.refused(vocabulary, .malformedByteToken(id: 3, text: "<0xZZ>"))
    }

    @Test("a begin-of-text token that is wanted but not named is refused")
    func beginOfText() {
        var vocabulary = Synthetic.words
        vocabulary.beginOfText = nil
        Self.refused(vocabulary, .missingBeginOfText)
    }

    @Test("a token of absurd length is refused")
    func longToken() {
        var byteLevel = Synthetic.byteLevel(merges: [], specials: [])
        byteLevel.tokens.append(String(repeating: "a", count: 5000))
        byteLevel.kinds.append(.normal)
        Self.refused(byteLevel, .tokenTooLong(id: 256, bytes: 5000, maximum: 1024))
        byteLevel.kinds[256] = .control
        Self.refused(byteLevel, .tokenTooLong(id: 256, bytes: 5000, maximum: 1024))
    }

    @Test("of two tokens or merges alike the first counts")
    func duplicates() throws {
        var vocabulary = Synthetic.byteLevel(merges: ["a b", "a b"])
        #expect(try Tokenizer(vocabulary).encode("ab") == [256])
        vocabulary.tokens.append("a")
        vocabulary.kinds.append(.normal)
        #expect(try Tokenizer(vocabulary).encode("a") == [0x61])
        let pieces = try Tokenizer(Synthetic.sentencePiece([("a", -1), ("a", 5), ("aa", -2), ("aa", 7)]))
        #expect(pieces.encode([.text("aa")], continuing: true) == [261])
    }

    @Test("scores that are no numbers, empty tokens and all kinds of kinds do not trap")
    func oddities() throws {
        var vocabulary = Synthetic.sentencePiece([
            ("a", .nan), ("aa", .infinity), ("aaa", -.infinity), ("", 0), ("é", .nan),
        ])
        var generator = SeededGenerator(state: 3)
        for _ in 0..<200 {
            let id = Int.random(in: 259..<vocabulary.kinds.count, using: &generator)
            vocabulary.kinds[id] =
                [.normal, .unknown, .control, .userDefined, .unused][Int.random(in: 0..<5, using: &generator)]
            let tokenizer = try Tokenizer(vocabulary)
            for text in ["aaaa é", "", "\u{0}"] {
                #expect(tokenizer.decode(tokenizer.encode(text)) == text)
                _ = tokenizer.encode([.template(text), .text(text)])
            }
        }
    }

    @Test("a million tokens are taken")
    func millionTokens() throws {
        var vocabulary = Synthetic.byteLevel(merges: [])
        for index in 0..<1_000_000 { vocabulary.tokens.append("t\(index)") }
        vocabulary.kinds = []
        let tokenizer = try Tokenizer(vocabulary)
        #expect(tokenizer.vocabularyCount == 1_000_256)
        #expect(tokenizer.decode([1_000_255]) == "t999999")
    }
}
