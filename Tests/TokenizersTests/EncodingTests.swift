// What ids a text gets: against published vocabularies, the model in the tree, and a plain implementation of BPE.

import Foundation
import Testing
import Tokenizers

@Suite struct EncodingTests {
    @Test(
        "ids equal llama.cpp's for every text", .enabled(if: TestFiles.hasFixtures),
        arguments: ["gpt-2", "llama-bpe", "qwen2", "llama-spm"])
    func publishedVocabulary(name: String) throws {
        let tokenizer = try Tokenizer(Vocabulary(gguf: TestFiles.fixture("\(name).gguf")))
        let input = try String(contentsOf: TestFiles.fixture("\(name).inp"), encoding: .utf8)
        let output = try String(contentsOf: TestFiles.fixture("\(name).out"), encoding: .utf8)
        let texts = input.components(separatedBy: "\n__ggml_vocab_test__\n").dropLast()
        let expected = output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(texts.count == 46)
        #expect(expected.count == 46)
        for (text, line) in zip(texts, expected) {
            #expect(
                tokenizer.encode(text) == line.split(separator: " ").compactMap { Int32($0) },
                "\(text.debugDescription)")
        }
    }

    @Test("the model in the tree gets the prompts it was trained on", arguments: [0, 1])
    func needle(index: Int) throws {
        let tokenizer = try Tokenizer(Vocabulary(gguf: TestFiles.needle))
        let golden = NeedlePrompt.all[index]
        #expect(tokenizer.encode([.template(golden.prompt)]) == golden.ids)
    }

    @Test("byte-level BPE equals the definition, on short pieces and long ones", arguments: 0..<12)
    func byteLevelDefinition(seed: UInt64) throws {
        let merges = ["a a", "aa a", "a b", "b b", "aa aa", "ab ab", "bb bb", "aaa b", "Ġ a", "Ġa aa", "Ġ b"]
        let tokenizer = try Tokenizer(Synthetic.byteLevel(merges: merges))
        var generator = SeededGenerator(state: seed)
        for length in [1, 2, 7, 40, 48, 49, 60, 300, 2000] {
            let word = String((0..<length).map { _ in Bool.random(using: &generator) ? "a" : "b" })
            let expected = Self.byDefinition(word, merges)
            #expect(tokenizer.encode(word) == expected)
            #expect(tokenizer.encode(word + " " + word).starts(with: expected))
        }
    }

    /// Ids by the definition: again and again the best-ranked merge, leftmost first.
    private static func byDefinition(_ word: String, _ merges: [String]) -> [Int32] {
        var parts = word.map(String.init)
        while true {
            var ranked: [(rank: Int, index: Int)] = []
            for index in parts.indices.dropLast() {
                if let rank = merges.firstIndex(of: parts[index] + " " + parts[index + 1]) {
                    ranked.append((rank, index))
                }
            }
            guard let best = ranked.min(by: { ($0.rank, $0.index) < ($1.rank, $1.index) }) else { break }
            parts.replaceSubrange(best.index...best.index + 1, with: [parts[best.index] + parts[best.index + 1]])
        }
        var ids: [Int32] = []
        for part in parts {
            let merge = merges.firstIndex { $0.replacing(" ", with: "") == part }
            ids.append(merge.map { Int32(256 + $0) } ?? Int32(part.utf8.first ?? 0))
        }
        return ids
    }

    @Test("SentencePiece merges the best-scored pair first, equal scores from the left")
    func sentencePieceOrder() throws {
        let tokenizer = try Tokenizer(Synthetic.words)
        func spell(_ text: String) -> [String] {
            tokenizer.encode(text).map { String(decoding: tokenizer.bytes(of: $0), as: UTF8.self) }
        }
        // "ll" outranks "lo", then "ll" + "o" makes "llo", then " he" + "llo" makes " hello".
        #expect(spell("hello") == [" hello"])
        #expect(spell("hellohello") == [" hello", "he", "llo"])
        // "wo" outranks "or".
        #expect(spell("word") == [" ", "wo", "r", "d"])
        #expect(spell("aaaaa") == [" ", "aaaa", "a"])
        #expect(spell(" hello") == [" ", " hello"])
    }

    @Test("what SentencePiece cannot spell falls back to bytes")
    func byteFallback() throws {
        let tokenizer = try Tokenizer(Synthetic.words)
        #expect(tokenizer.encode("x\n").dropFirst() == [123, 13])
        #expect(tokenizer.encode("€").dropFirst() == [229, 133, 175])
        #expect(tokenizer.encode("").isEmpty)
    }

    @Test("a character that cannot be spelt becomes one unknown token where there are no byte tokens")
    func unknownCharacter() throws {
        let tokenizer = try Tokenizer(
            Synthetic.sentencePiece([("\u{2581}", -1), ("a", -2), ("bc", -3)], hasBytes: false))
        #expect(tokenizer.encode("a€b") == [3, 4, 0, 0])
        #expect(tokenizer.encode("bc") == [3, 5])
    }

    @Test("a run of one letter costs no quadratic time", .timeLimit(.minutes(1)))
    func longRuns() throws {
        let run = String(repeating: "a", count: 1 << 20)
        let byteLevel = try Tokenizer(Synthetic.byteLevel(merges: ["a a", "aa aa"]))
        #expect(byteLevel.encode(run) == [Int32](repeating: 257, count: 1 << 18))
        let sentencePiece = try Tokenizer(Synthetic.words)
        let hostile = String(repeating: "a", count: 10 << 20)
        #expect(sentencePiece.decode(sentencePiece.encode(hostile)) == hostile)
        let spaces = String(repeating: " \t", count: 1 << 19) + "x"
        #expect(byteLevel.decode(byteLevel.encode(spaces)) == spaces)
    }

    @Test("one tokenizer serves many threads")
    func threads() async throws {
        let tokenizer = try Tokenizer(Vocabulary(gguf: TestFiles.needle))
        let text = NeedlePrompt.document.prompt
        let expected = tokenizer.encode(text)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<8 { group.addTask { (0..<20).allSatisfy { _ in tokenizer.encode(text) == expected } } }
            for await isEqual in group { #expect(isEqual) }
        }
    }

    @Test("a piece that no merges make is a token where the pre-tokenizer takes whole pieces")
    func wholePieces() throws {
        func ids(_ preTokenizer: Vocabulary.PreTokenizer) throws -> [Int32] {
            let tokens = Synthetic.byteSpellings + ["hello"]
            return try Tokenizer(
                Vocabulary(
                    algorithm: .byteLevelBPE(preTokenizer), tokens: tokens, kinds: tokens.map { _ in .normal })
            ).encode("hello")
        }
        #expect(try ids(.llamaBPE) == [256])
        #expect(try ids(.smaug).count == 5)
    }
}
