// Reads the tokenizer's description out of a GGUF file's metadata.

import EngineInterface
import GGUF
import Tokenizers

extension Vocabulary {
    /// The vocabulary a GGUF file describes under `tokenizer.ggml.*` (GGUF specification, "Tokenizer").
    ///
    /// Throws `EngineError.invalid` with code `unusable_model` when a key is missing or the algorithm is not supported.
    package init(_ metadata: GGUFMetadata) throws(EngineError) {
        do {
            try self.init(reading: metadata)
        } catch let error as EngineError {
            throw error
        } catch {
            throw .unusableModel("its tokenizer cannot be read: \(error)")
        }
    }

    private init(reading metadata: GGUFMetadata) throws {
        guard let tokens = try metadata.strings("tokenizer.ggml.tokens"), !tokens.isEmpty else {
            throw EngineError.unusableModel("it has no vocabulary (tokenizer.ggml.tokens)")
        }
        let algorithm = try Self.algorithm(metadata)
        let isSentencePiece = algorithm == .sentencePiece
        let kinds = try metadata.integers("tokenizer.ggml.token_type") ?? []
        func id(_ key: String) throws -> Int32? {
            guard let number = try metadata.integer("tokenizer.ggml.\(key)") else { return nil }
            guard tokens.indices.contains(number) else {
                throw EngineError.unusableModel("tokenizer.ggml.\(key) is \(number), beyond its \(tokens.count) tokens")
            }
            return Int32(number)
        }
        // What llama.cpp takes where a file does not say (llama-vocab.cpp): SentencePiece vocabularies and those cut as
        // Llama 3's begin a text with their token, and SentencePiece's first three tokens are unknown, begin and end.
        func standard(_ id: Int32) -> Int32? { isSentencePiece && tokens.count > Int(id) ? id : nil }
        let begin = try id("bos_token_id") ?? standard(1)
        let addsBegin = try metadata.bool("tokenizer.ggml.add_bos_token")
        self.init(
            algorithm: algorithm,
            tokens: tokens,
            scores: try metadata.floats("tokenizer.ggml.scores") ?? [],
            kinds: kinds.map { Kind(rawValue: Int32(clamping: $0)) ?? .normal },
            merges: try metadata.strings("tokenizer.ggml.merges") ?? [],
            beginOfText: begin,
            endOfText: try id("eos_token_id") ?? standard(2),
            endOfTurn: try id("eot_token_id"),
            endOfMessage: try id("eom_token_id"),
            unknown: try id("unknown_token_id") ?? standard(0),
            addsBeginOfText: addsBegin
                ?? (begin != nil && algorithm.addsBeginOfText),
            addsSpacePrefix: try metadata.bool("tokenizer.ggml.add_space_prefix") ?? isSentencePiece)
    }

    private static func algorithm(_ metadata: GGUFMetadata) throws -> Algorithm {
        switch try metadata.string("tokenizer.ggml.model") {
        case "gpt2":
            // llama.cpp guesses, and warns that answers will be worse: a file that does not say is an old conversion.
            guard let name = try metadata.string("tokenizer.ggml.pre"), !name.isEmpty else {
                throw EngineError.unusableModel(
                    "it does not name its pre-tokenizer (tokenizer.ggml.pre); convert the model again")
            }
            guard let cutter = Vocabulary.PreTokenizer(named: name) else {
                let known = Vocabulary.PreTokenizer.allCases.flatMap(\.names).joined(separator: ", ")
                throw EngineError.unusableModel(
                    "its pre-tokenizer \"\(name)\" is not supported; supported are \(known)")
            }
            return .byteLevelBPE(cutter)
        case "llama": return .sentencePiece
        case let other:
            throw EngineError.unusableModel(
                "its tokenizer \"\(other ?? "none")\" is not supported; supported are gpt2 (byte-level BPE) and llama")
        }
    }
}

extension EngineError {
    /// A model file that cannot be used, and why.
    package static func unusableModel(_ why: String) -> EngineError {
        .invalid(code: "unusable_model", message: "the model cannot be used: \(why)", parameter: nil)
    }
}
