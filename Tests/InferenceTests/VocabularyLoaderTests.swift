// What a file says about its tokenizer, and what goes without saying.

import EngineInterface
import GGUF
import Inference
import Testing
import Tokenizers

@Suite("Vocabulary of a file")
struct VocabularyLoaderTests {
    /// A GGUF file of version 3 without tensors: a byte-level tokenizer that names its pre-tokenizer.
    private func vocabulary(_ name: String, addsBeginOfText: Bool? = nil) throws -> Vocabulary {
        var bytes: [UInt8] = []
        func number(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { bytes += unsafe $0 } }
        func text(_ value: String) {
            number(UInt64(value.utf8.count))
            bytes += Array(value.utf8)
        }
        bytes += Array("GGUF".utf8)
        number(UInt32(3))
        number(UInt64(0))
        number(UInt64(addsBeginOfText == nil ? 4 : 5))
        text("tokenizer.ggml.bos_token_id")
        number(UInt32(4))
        number(UInt32(0))
        for (key, value) in [("model", "gpt2"), ("pre", name)] {
            text("tokenizer.ggml." + key)
            number(UInt32(8))
            text(value)
        }
        text("tokenizer.ggml.tokens")
        number(UInt32(9))
        number(UInt32(8))
        number(UInt64(2))
        text("a")
        text("b")
        if let addsBeginOfText {
            text("tokenizer.ggml.add_bos_token")
            number(UInt32(7))
            number(UInt8(addsBeginOfText ? 1 : 0))
        }
        return try Vocabulary(GGUFFile(copying: bytes).metadata)
    }

    @Test(
        "a pre-tokenizer has many names, and some begin a text where the file does not say",
        arguments: [
            ("llama-bpe", Vocabulary.PreTokenizer.llamaBPE, true), ("lfm2", .llamaBPE, true),
            ("glm4", .glm4, false), ("smaug-bpe", .smaug, false), ("tekken", .tekken, true),
            ("stablelm2", .qwen2, false),
            ("exaone4", .gpt2, false), ("refact", .smollm, false), ("default", .standard, false),
            ("kimi-k2", .kimiK2, false), ("poro-chat", .bloom, false), ("chameleon", .chameleon, true),
        ])
    func names(_ name: String, _ cuts: Vocabulary.PreTokenizer, _ addsBeginOfText: Bool) throws {
        let found = try vocabulary(name)
        #expect(found.algorithm == .byteLevelBPE(cuts) && found.addsBeginOfText == addsBeginOfText)
        #expect(try vocabulary(name, addsBeginOfText: !addsBeginOfText).addsBeginOfText == !addsBeginOfText)
    }

    @Test("a pre-tokenizer that cuts otherwise is refused by its name, and so is none", arguments: ["tiny_aya", ""])
    func refused(_ name: String) {
        let error = #expect(throws: EngineError.self) { try vocabulary(name) }
        #expect("\(String(describing: error))".contains("pre-tokenizer"))
    }
}
