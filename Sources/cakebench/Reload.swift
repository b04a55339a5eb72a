// cakebench reload: from a cold start of the store to the first token, beside reading the document again.

import ArgumentParser
import CAKE
import CacheStore
import FoundationEssentials
import Inference
import Transformer

struct Reload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Writes a compact cache to a store, opens it again and times the way to a question's first token.",
        discussion:
            "The store lies in a temporary directory. Logits from the map and from memory must be equal bit by bit.")

    @OptionGroup var options: ModelOptions
    @OptionGroup var cacheOptions: CacheOptions
    @Option(name: .long, help: "Tokens of the question.") var question = 32
    @Option(name: .long, help: "Runs; the median is reported.") var runs = 5
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Report: Encodable {
        var tokens: Int
        var question_tokens: Int
        var threads: Int
        var prefill_seconds: Double
        var write_seconds: Double
        var stored_bytes: Int
        var full_kv_bytes: Int
        var open_store_seconds: Figure
        var open_document_seconds: Figure
        var first_token_from_map_seconds: Figure
        var first_token_from_memory_seconds: Figure
        var logits_bit_identical: Bool
    }

    mutating func run() throws {
        let (tokens, keep) = (cacheOptions.tokens, cacheOptions.keep)
        let bench = try Bench(options)
        guard runs > 0, tokens > 0, question > 0 else { throw ValidationError("lengths and runs must be positive") }
        let method = try Method.preset(cacheOptions.method)
        let shape = bench.model.configuration
        let ids = bench.document(tokens: tokens)
        let budget = method.budget(keepingPercent: keep, tokens: tokens)
        let (cache, prefillSeconds) = try timed { try bench.read(ids, method: method, budget: budget) }
        let folder = FileManager.default.temporaryDirectory.appending(path: "cakebench-reload-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let key = try DocumentKey(owner: 0, name: "bench")
        let (manifest, writeSeconds) = try timed { try write(cache, key: key, to: folder.path) }

        let decoder = try Decoder(model: bench.model, pool: bench.pool)
        let questionIDs = Array(bench.document(tokens: question))
        func firstToken(_ base: BaseRows) throws -> (logits: [Float], seconds: Double) {
            let (logits, seconds) = try timed {
                try decoder.feed(questionIDs, to: Sequence(model: bench.model, base: base))
            }
            return (logits, seconds)
        }
        var (openStore, openDocument, fromMap, fromMemory) = ([Double](), [Double](), [Double](), [Double]())
        var identical = true
        for _ in 0..<runs {
            let (store, storeSeconds) = try timed { try DocumentStore(directory: folder.path) }
            let (base, documentSeconds) = try timed { try BaseRows(store.open(key, fingerprint: [:])) }
            let mapped = try firstToken(base)
            let inMemory = try firstToken(cache.base)
            identical = identical && mapped.logits.map(\.bitPattern) == inMemory.logits.map(\.bitPattern)
            openStore.append(storeSeconds)
            openDocument.append(documentSeconds)
            fromMap.append(mapped.seconds)
            fromMemory.append(inMemory.seconds)
        }
        let report = Report(
            tokens: tokens, question_tokens: question, threads: bench.pool.threads, prefill_seconds: prefillSeconds,
            write_seconds: writeSeconds, stored_bytes: manifest.storedBytes,
            full_kv_bytes: tokens * shape.layers * shape.kvHeads * 2 * KVRows.f16.bytes(forElements: shape.headWidth),
            open_store_seconds: Figure(openStore), open_document_seconds: Figure(openDocument),
            first_token_from_map_seconds: Figure(fromMap), first_token_from_memory_seconds: Figure(fromMemory),
            logits_bit_identical: identical)
        if json { return try printJSON(report) }
        print(
            """
            \(tokens) tokens, \(fixed(keep, 1)) % kept, question of \(question) tokens, milliseconds, median [min–max]
            reading the document again    \(fixed(prefillSeconds * 1e3, 0))
            writing it to the store       \(fixed(writeSeconds * 1e3, 1))
            opening the store             \(Figure(openStore.map { $0 * 1e3 }).text(2))
            opening the document          \(Figure(openDocument.map { $0 * 1e3 }).text(3))
            question to first token, map  \(Figure(fromMap.map { $0 * 1e3 }).text(2))
            the same from memory          \(Figure(fromMemory.map { $0 * 1e3 }).text(2))
            bytes stored                  \(manifest.storedBytes) of \(report.full_kv_bytes) for the full cache
            logits bit-identical          \(identical ? "yes" : "NO")
            """)
        if !identical { throw ExitCode.failure }
    }

    private func write(_ cache: CompactCache, key: DocumentKey, to directory: String) throws -> Manifest {
        let store = try DocumentStore(directory: directory)
        let shape = CacheShape(
            layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth, rows: .f16, tokens: cache.tokens)
        let staged = try store.begin(key, shape: shape)
        for layer in 0..<cache.layers { try staged.stage(layer: layer, of: cache) }
        return try staged.commit(
            Manifest(
                shape: shape, budget: 0, method: cache.retention.layers.isEmpty ? "" : "bench", fingerprint: [:],
                counts: cache.counts, layerBudgets: cache.retention.layers.map(\.budget),
                preferences: cache.retention.layers.map(\.preference)))
    }
}
