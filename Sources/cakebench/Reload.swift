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
        discussion: """
            Three ways, in turn: the cache still in memory (the question's own prefill), the store's pages in the page \
            cache, and these pages dropped (posix_fadvise, after which mincore says how much is left; the weights \
            stay). Logits of all three must be equal bit by bit. The full cache's bytes in f16 are what an engine that \
            keeps everything saves for the document.
            """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var cacheOptions: CacheOptions
    @Option(name: .long, help: "Tokens of the question.") var question = 32
    @Option(name: .long, help: "Where the store is made (default: the temporary directory).") var folder: String?
    @Option(name: .long, help: "Runs; the median is reported.") var runs = 5
    @Flag(name: .long, help: "Print JSON.") var json = false

    /// One way to the first token.
    struct Way: Encodable {
        var open_store_seconds: Figure
        var open_document_seconds: Figure
        /// From the opened store, as in the daemon: opening the document and reading the question.
        var first_token_seconds: Figure
        /// What that takes longer than reading the question over the cache in memory, in the same round.
        var beyond_question_seconds: Figure
    }
    struct Report: Encodable {
        var model: String
        var tokens: Int
        var question_tokens: Int
        var threads: Int
        var prefill_seconds: Double
        var write_seconds: Double
        var stored_bytes: Int
        var file_bytes: Int
        var full_kv_bytes: Int
        var question_seconds: Figure
        var warm: Way
        var dropped: Way
        /// The most of the store that was in memory after it was dropped.
        var resident_after_drop: Double
        var logits_bit_identical: Bool
    }

    /// One reload.
    private struct Times {
        var store: Double
        var document: Double
        var question: Double
        var logits: [Float]
    }

    mutating func run() throws {
        let (tokens, keep) = (cacheOptions.tokens, cacheOptions.keep)
        let bench = try Bench(options)
        guard runs > 0, tokens > 0, question > 0 else { throw ValidationError("lengths and runs must be positive") }
        let method = try Method.preset(cacheOptions.method)
        let shape = bench.model.configuration
        let ids = bench.document(tokens: tokens)
        let budget = bench.budget(method, percent: keep, tokens: tokens, rows: Bench.defaultRows)
        let (cache, prefillSeconds) = try timed { try bench.read(ids, method: method, budget: budget) }
        let parent = folder.map { URL(filePath: $0) } ?? FileManager.default.temporaryDirectory
        let folder = parent.appending(path: "cakebench-reload-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let key = try DocumentKey(owner: 0, name: "bench")
        let (manifest, writeSeconds) = try timed { try write(cache, key: key, to: folder.path) }
        let data = folder.appending(path: "data.mdb").path

        let decoder = try Decoder(model: bench.model, pool: bench.pool)
        let questionIDs = Array(bench.document(tokens: question))
        func firstToken(_ base: BaseRows) throws -> (result: [Float], seconds: Double) {
            try timed { try decoder.feed(questionIDs, to: Sequence(model: bench.model, base: base)) }
        }
        func reload() throws -> Times {
            let (store, storeSeconds) = try timed { try DocumentStore(directory: folder.path) }
            let (base, documentSeconds) = try timed {
                let document = try store.open(key, fingerprint: [:])
                document.prefetch()
                return BaseRows(document)
            }
            let first = try firstToken(base)
            return Times(
                store: storeSeconds, document: documentSeconds, question: first.seconds, logits: first.result)
        }
        var (warm, dropped, questions) = ([Times](), [Times](), [Double]())
        var (identical, residentShare) = (true, 0.0)
        for run in 0...runs {
            let inMemory = try firstToken(cache.base)
            let ways = try (warm: reload(), resident: PageCache.drop(data), dropped: reload())
            // The first round warms caches and clocks.
            if run == 0 { continue }
            questions.append(inMemory.seconds)
            warm.append(ways.warm)
            dropped.append(ways.dropped)
            residentShare = max(residentShare, ways.resident)
            for logits in [ways.warm.logits, ways.dropped.logits] {
                identical = identical && logits.map(\.bitPattern) == inMemory.result.map(\.bitPattern)
            }
        }
        func way(_ times: [Times]) -> Way {
            Way(
                open_store_seconds: Figure(times.map(\.store)), open_document_seconds: Figure(times.map(\.document)),
                first_token_seconds: Figure(times.map { $0.document + $0.question }),
                beyond_question_seconds: Figure(zip(times, questions).map { $0.document + $0.question - $1 }))
        }
        let report = Report(
            model: shape.name, tokens: tokens, question_tokens: question, threads: bench.pool.threads,
            prefill_seconds: prefillSeconds, write_seconds: writeSeconds, stored_bytes: manifest.storedBytes,
            file_bytes: try FileManager.default.attributesOfItem(atPath: data)[.size] as? Int ?? 0,
            full_kv_bytes: shape.layers * shape.kvHeads * KVRows.f16.bytes(entries: tokens, headWidth: shape.headWidth),
            question_seconds: Figure(questions), warm: way(warm), dropped: way(dropped),
            resident_after_drop: residentShare, logits_bit_identical: identical)
        if json { try printJSON(report) } else { show(report) }
        if !identical { throw ExitCode.failure }
    }

    private func show(_ report: Report) {
        func line(_ name: String, _ figure: Figure, _ decimals: Int) -> String {
            "\(padded(name, 44)) \(figure.scaled(by: 1e3).text(decimals))"
        }
        print(
            """
            \(report.tokens) tokens, \(fixed(cacheOptions.keep, 1)) % kept, question of \(question) tokens, \
            milliseconds, median [min–max]
            \(padded("reading the document again", 44)) \(fixed(report.prefill_seconds * 1e3, 0))
            \(padded("writing it to the store", 44)) \(fixed(report.write_seconds * 1e3, 1))
            \(line("reading the question, cache in memory", report.question_seconds, 2))
            """)
        for (name, way) in [("warm", report.warm), ("pages dropped", report.dropped)] {
            print(
                """
                \(line("opening the store, \(name)", way.open_store_seconds, 2))
                \(line("opening the document, \(name)", way.open_document_seconds, 3))
                \(line("to the first token, \(name)", way.first_token_seconds, 2))
                \(line("beyond the question's own reading, \(name)", way.beyond_question_seconds, 2))
                """)
        }
        print(
            """
            \(padded("of the store in memory after dropping", 44)) \(fixed(report.resident_after_drop * 100, 1)) %
            \(padded("bytes stored", 44)) \(report.stored_bytes) of \(report.full_kv_bytes) for the full cache in f16
            \(padded("logits bit-identical", 44)) \(report.logits_bit_identical ? "yes" : "NO")
            """)
    }

    private func write(_ cache: CompactCache, key: DocumentKey, to directory: String) throws -> Manifest {
        let store = try DocumentStore(directory: directory)
        let shape = CacheShape(
            layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth, rows: RowType(cache.rows),
            tokens: cache.tokens, capacities: cache.retention.capacities)
        let staged = try store.begin(key, shape: shape)
        for layer in 0..<cache.layers { try staged.stage(layer: layer, of: cache) }
        return try staged.commit(
            Manifest(
                shape: shape, budget: 0, method: cache.retention.layers.isEmpty ? "" : "bench", fingerprint: [:],
                counts: cache.counts, layerBudgets: cache.retention.layers.map(\.budget),
                preferences: cache.retention.layers.map(\.preference)))
    }
}
