// Real files: the project's model, and vocabularies and models that lie beside the project where somebody has put them.

import Foundation
import GGUF
import Testing

/// A real GGUF file and what is known of it.
struct SharedFile: Sendable, CustomTestStringConvertible {
    let path: String
    let tokens: Int
    let merges: Int
    let tensors: Int

    var testDescription: String { path }

    func bytes() throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

    private static let package = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let fixtures =
        ProcessInfo.processInfo.environment["CAKED_FIXTURES"].map { URL(fileURLWithPath: $0) }
        ?? package.appendingPathComponent("../shared/fixtures").standardizedFileURL

    static let projectModel = SharedFile(
        path: package.appendingPathComponent("models/needle-4m/needle-4m-q8_0.gguf").path, tokens: 2048, merges: 1789,
        tensors: 57)

    static let vocabularies = [
        ("gpt-2", 50257, 50000), ("llama-bpe", 128256, 280147), ("llama-spm", 32000, 0), ("qwen2", 151936, 151387),
    ]
    .map { name, tokens, merges in
        SharedFile(
            path: fixtures.appendingPathComponent("vocab/\(name).gguf").path, tokens: tokens, merges: merges, tensors: 0
        )
    }

    /// The project's model as it was exported, in every precision.
    static let exports = ["f32", "f16", "q8_0"].map { precision in
        SharedFile(
            path: fixtures.appendingPathComponent("../models/needle-4m/tiny-\(precision).gguf").standardizedFileURL
                .path,
            tokens: projectModel.tokens, merges: projectModel.merges, tensors: projectModel.tensors)
    }

    var isThere: Bool { FileManager.default.fileExists(atPath: path) }
}

@Suite("A real file")
struct SharedFileTests {
    @Test("of the project parses, its tensors as wide as its model says")
    func projectModel() throws {
        let file = try GGUFFile(path: SharedFile.projectModel.path)
        try check(file, SharedFile.projectModel)
        let width = try #require(try file.metadata.integer("llama.embedding_length"))
        let embedding = try #require(file.tensor("token_embd.weight"))
        #expect(embedding.dimensions == [width, SharedFile.projectModel.tokens])
        #expect(embedding.type == .q8_0)
        #expect(embedding.byteCount == width / 32 * 34 * SharedFile.projectModel.tokens)
        #expect(file.tensor("output_norm.weight")?.type == .f32)
    }

    @Test(
        "of a vocabulary parses, with all its tokens and merges",
        .enabled(if: SharedFile.vocabularies.allSatisfy(\.isThere)), arguments: SharedFile.vocabularies)
    func vocabulary(_ shared: SharedFile) throws {
        try check(try GGUFFile(path: shared.path), shared)
    }

    @Test(
        "of a model parses in every precision", .enabled(if: SharedFile.exports.allSatisfy(\.isThere)),
        arguments: SharedFile.exports)
    func export(_ shared: SharedFile) throws {
        try check(try GGUFFile(path: shared.path), shared)
    }

    private func check(_ file: GGUFFile, _ shared: SharedFile) throws {
        #expect(file.version == 3)
        #expect(file.tensors.count == shared.tensors)
        #expect(try file.metadata.strings("tokenizer.ggml.tokens")?.count == shared.tokens)
        #expect(try file.metadata.strings("tokenizer.ggml.merges")?.count ?? 0 == shared.merges)
        #expect(try file.metadata.integers("tokenizer.ggml.token_type")?.count == shared.tokens)
    }
}
