// Reads a vocabulary from a GGUF file, and finds the files the tests use.

import Foundation
import GGUF
import Tokenizers

enum TestFiles {
    /// The package's directory.
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The shared fixtures, which are not in the tree: `CAKED_FIXTURES`, or beside the package.
    static let fixtures: URL =
        if let path = ProcessInfo.processInfo.environment["CAKED_FIXTURES"] {
            URL(filePath: path)
        } else {
            root.deletingLastPathComponent().appending(path: "shared/fixtures")
        }

    static let hasFixtures = FileManager.default.fileExists(atPath: fixtures.appending(path: "vocab").path)

    static func fixture(_ name: String) -> URL { fixtures.appending(path: "vocab").appending(path: name) }

    /// The small model in the tree.
    static let needle = root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf")
}

extension Vocabulary {
    init(gguf url: URL) throws {
        let metadata = try GGUFFile(path: url.path).metadata
        let isSentencePiece = try metadata.string("tokenizer.ggml.model") == "llama"
        let name = try metadata.string("tokenizer.ggml.pre") ?? ""
        func id(_ key: String) throws -> Int32? {
            try metadata.integer("tokenizer.ggml.\(key)_token_id").map(Int32.init)
        }
        self.init(
            algorithm: isSentencePiece ? .sentencePiece : .byteLevelBPE(PreTokenizer(rawValue: name) ?? .gpt2),
            tokens: try metadata.strings("tokenizer.ggml.tokens") ?? [],
            scores: try metadata.floats("tokenizer.ggml.scores") ?? [],
            kinds: try (metadata.integers("tokenizer.ggml.token_type") ?? []).map {
                Kind(rawValue: Int32($0)) ?? .normal
            },
            merges: try metadata.strings("tokenizer.ggml.merges") ?? [],
            beginOfText: try id("bos"), endOfText: try id("eos"), endOfTurn: try id("eot"), unknown: try id("unknown"),
            addsBeginOfText: try metadata.bool("tokenizer.ggml.add_bos_token") ?? isSentencePiece,
            addsSpacePrefix: try metadata.bool("tokenizer.ggml.add_space_prefix") ?? isSentencePiece)
    }
}
