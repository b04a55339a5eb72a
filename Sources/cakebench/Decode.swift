// cakebench decode: tokens a second at an empty context, over a compact cache, and over the full one.

import ArgumentParser
import CAKE
import Inference
import Transformer

struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decodes on top of nothing, of a compact cache and of the full cache of the same document.")

    @OptionGroup var options: ModelOptions
    @OptionGroup var cacheOptions: CacheOptions
    @Option(name: .long, help: "Tokens to decode in a run.") var length = 64
    @Option(name: .long, help: "Runs, interleaved; the median is reported.") var runs = 5
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var cache: String
        var entries: Int
        var tokens_per_second: Figure
    }
    struct Report: Encodable {
        var tokens: Int
        var threads: Int
        var rows: [Row]
        var compact_to_empty: Double
        var compact_to_full: Double
    }

    mutating func run() throws {
        let (tokens, keep) = (cacheOptions.tokens, cacheOptions.keep)
        let bench = try Bench(options)
        guard runs > 0, length > 0, tokens > 0 else { throw ValidationError("lengths and runs must be positive") }
        let ids = bench.document(tokens: tokens)
        let compactMethod = try Method.preset(cacheOptions.method)
        let budget = compactMethod.budget(keepingPercent: keep, tokens: tokens)
        let compact = try bench.read(ids, method: compactMethod, budget: budget)
        let full = try bench.read(ids, method: Method.preset("full"), budget: tokens)
        let bases: [(name: String, base: BaseRows?, entries: Int)] = [
            ("empty", nil, 0),
            (compactMethod.name, compact.base, compact.counts.reduce(0) { $0 + $1.reduce(0, +) }),
            ("full", full.base, full.counts.reduce(0) { $0 + $1.reduce(0, +) }),
        ]
        let decoder = try Decoder(model: bench.model, pool: bench.pool)
        var speeds = bases.map { _ in [Double]() }
        for run in 0...runs {
            for (index, entry) in bases.enumerated() {
                let sequence = try Sequence(model: bench.model, base: entry.base)
                _ = try decoder.feed([1], to: sequence)
                let (_, seconds) = try timed {
                    for _ in 0..<length { _ = try decoder.step([Decoder.Piece(sequence, [1])]) }
                }
                // The first round warms caches and clocks.
                if run > 0 { speeds[index].append(Double(length) / seconds) }
            }
        }
        let rows = zip(bases, speeds).map { Row(cache: $0.name, entries: $0.entries, tokens_per_second: Figure($1)) }
        let report = Report(
            tokens: tokens, threads: bench.pool.threads, rows: rows,
            compact_to_empty: rows[1].tokens_per_second.median / rows[0].tokens_per_second.median,
            compact_to_full: rows[1].tokens_per_second.median / rows[2].tokens_per_second.median)
        if json { return try printJSON(report) }
        print("decode after \(tokens) tokens, \(bench.pool.threads) threads: tokens per second, median [min–max]")
        for row in rows { print("  \(row.cache) (\(row.entries) entries): \(row.tokens_per_second.text(1))") }
        print(
            "  compact to empty \(fixed(report.compact_to_empty, 2)), to full \(fixed(report.compact_to_full, 2))")
    }
}
