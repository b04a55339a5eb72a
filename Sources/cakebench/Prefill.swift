// cakebench prefill: how fast a document is read and compressed, and the most KV memory that took.

import ArgumentParser
import CAKE
import Inference
import Transformer

struct Prefill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads and compresses a document of random tokens: tokens a second and peak KV bytes.",
        discussion: """
            peak_kv_bytes is measured: every allocation of KV rows, the layer being read, the rows a method observes \
            and the rows kept so far. bound_bytes is what the cascade promises: the budget and one layer, in the \
            cache's row type.
            """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var cacheOptions: CacheOptions
    @Option(name: .long, help: "How rows are stored: f16 or q8_0.") var rows = "f16"
    @Option(name: .long, help: "Runs; the median is reported.") var runs = 3
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Report: Encodable {
        var tokens: Int
        var method: String
        var keep_percent: Double
        var budget: Int
        var rows: String
        var threads: Int
        var seconds: Figure
        var tokens_per_second: Figure
        var peak_kv_bytes: Int
        var kept_kv_bytes: Int
        var layer_kv_bytes: Int
        var bound_bytes: Int
        var peak_to_bound: Double
        var full_kv_bytes: Int
        var peak_resident_bytes: Int
    }

    mutating func run() throws {
        let (tokens, keep) = (cacheOptions.tokens, cacheOptions.keep)
        let bench = try Bench(options)
        let method = try Method.preset(cacheOptions.method)
        guard let rowType = KVRows(rawValue: rows) else { throw ValidationError("--rows is f16 or q8_0") }
        guard runs > 0, tokens > 0 else { throw ValidationError("--runs and --tokens must be positive") }
        let shape = bench.model.configuration
        let ids = bench.document(tokens: tokens)
        let budget = method.budget(keepingPercent: keep, tokens: tokens)
        var seconds: [Double] = []
        var cache: CompactCache?
        for _ in 0..<runs {
            cache = nil
            let (read, time) = try timed { try bench.read(ids, method: method, budget: budget, rows: rowType) }
            cache = read
            seconds.append(time)
        }
        guard let cache else { return }
        let entryBytes = 2 * rowType.bytes(forElements: shape.headWidth)
        let layerBytes = tokens * shape.kvHeads * entryBytes
        let bound = budget * shape.layers * shape.kvHeads * entryBytes + layerBytes
        let report = Report(
            tokens: tokens, method: method.name, keep_percent: keep, budget: budget, rows: rows,
            threads: bench.pool.threads, seconds: Figure(seconds),
            tokens_per_second: Figure(seconds.map { Double(tokens) / $0 }), peak_kv_bytes: cache.peakKVBytes,
            kept_kv_bytes: cache.storedBytes, layer_kv_bytes: layerBytes, bound_bytes: bound,
            peak_to_bound: Double(cache.peakKVBytes) / Double(bound), full_kv_bytes: layerBytes * shape.layers,
            peak_resident_bytes: peakResidentBytes())
        if json { return try printJSON(report) }
        print(
            """
            \(tokens) tokens, \(method.name), \(fixed(keep, 1)) % kept, \(rows) rows, \(bench.pool.threads) threads
            seconds            \(report.seconds.text(3))
            tokens per second  \(report.tokens_per_second.text(0))
            peak KV bytes      \(report.peak_kv_bytes), \(fixed(report.peak_to_bound, 3)) of budget + one layer \
            (\(bound)); the full cache has \(report.full_kv_bytes)
            """)
    }
}
