// cakebench decode: tokens a second at an empty context, over compact caches of long documents, and over full ones.

import ArgumentParser
import CAKE
import Inference
import Transformer

struct Decode: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decodes on top of nothing, of compact caches and of full ones.",
        discussion: """
            Caches hold random rows unless --read is given: the cost does not depend on what rows say, and nobody has \
            to read 128K tokens first. The limit is the time in which the weights and the cache's rows can be read \
            from memory, measured in between.
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, parsing: .upToNextOption, help: "Document tokens, several if you like.")
    var tokens = [4096]
    @Option(name: .long, help: "Entries of a compact cache, average of its layers and heads (default: --keep).")
    var entries: Int?
    @Option(name: .long, help: "Share of the entries to keep, in percent.") var keep = 10.0
    @Option(name: .long, help: "How rows are stored: f16, q8_0 or q4.") var rows = Bench.defaultRows.rawValue
    @Flag(name: .long, help: "Leave the full caches out.") var noFull = false
    @Flag(name: .long, help: "Read and compress real documents.") var read = false
    @Option(name: .long, help: "The preset of the compact cache, with --read.") var method = Method.defaultPreset
    @Option(name: .long, help: "Tokens to decode in a run.") var length = 64
    @Option(name: .long, help: "Runs, interleaved; the median is reported.") var runs = 5
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var cache: String
        var tokens: Int
        /// Average per layer and KV head.
        var entries: Int
        var tokens_per_second: Figure
        var milliseconds: Figure
        var limit_milliseconds: Double
        var share_of_limit: Double
        /// Time per token beside the empty context's in the same round, and what the limits say it should be.
        var time_to_empty: Double
        var limit_time_to_empty: Double
    }
    struct Report: Encodable {
        var model: String
        var threads: Int
        var rows: [Row]
        var limits: Limits
    }

    private struct Cache {
        let name: String
        let tokens: Int
        let entries: Int
        let base: BaseRows?
    }

    mutating func run() throws {
        let bench = try Bench(options)
        guard let rowType = KVRows(rawValue: rows), rowType != .f32 else {
            throw ValidationError("--rows is f16, q8_0 or q4")
        }
        guard runs > 0, length > 0, tokens.allSatisfy({ $0 > 0 }), entries ?? 1 > 0 else {
            throw ValidationError("lengths, entries and runs must be positive")
        }
        let caches = [Cache(name: "empty", tokens: 0, entries: 0, base: nil)] + (try documents(bench, rowType))
        let decoder = try Decoder(model: bench.model, pool: bench.pool)
        let meter = try LimitMeter(bench.pool)
        var seconds = caches.map { _ in [Double]() }
        for run in 0...runs {
            try meter.measure()
            for (index, cache) in caches.enumerated() {
                let time = try decoder.secondsPerToken(bench.model, bases: [cache.base], length: length)
                // The first round warms caches and clocks.
                if run > 0 { seconds[index].append(time) }
            }
        }
        let costs = try ModelCosts(path: options.model, shape: bench.model.configuration)
        let limits = meter.limits
        let emptyLimit = costs.decodeSeconds(entries: 0, rows: rowType, limits: limits)
        let empty = seconds[0]
        let rows = zip(caches, seconds).map { cache, seconds in
            let limit = costs.decodeSeconds(entries: cache.entries, rows: rowType, limits: limits)
            let figure = Figure(seconds)
            return Row(
                cache: cache.name, tokens: cache.tokens, entries: cache.entries,
                tokens_per_second: Figure(seconds.map { 1 / $0 }), milliseconds: Figure(seconds.map { $0 * 1e3 }),
                limit_milliseconds: limit * 1e3, share_of_limit: limit / figure.median,
                time_to_empty: Figure(zip(seconds, empty).map { $0 / $1 }).median,
                limit_time_to_empty: limit / emptyLimit)
        }
        let report = Report(
            model: bench.model.configuration.name, threads: bench.pool.threads, rows: rows, limits: limits)
        if json { return try printJSON(report) }
        show(report)
    }

    private func documents(_ bench: Bench, _ rowType: KVRows) throws -> [Cache] {
        let method = try Method.preset(self.method)
        func budget(_ tokens: Int) -> Int {
            min(tokens, entries ?? bench.budget(method, percent: keep, tokens: tokens, rows: rowType))
        }
        if read {
            return try tokens.flatMap { tokens in
                let ids = bench.document(tokens: tokens)
                let compact = try bench.read(ids, method: method, budget: budget(tokens), rows: rowType)
                let count = compact.counts.joined().reduce(0, +) / (compact.layers * compact.kvHeads)
                let cache = Cache(name: method.name, tokens: tokens, entries: count, base: compact.base)
                if noFull { return [cache] }
                let full = try bench.read(ids, method: Method.preset("full"), budget: tokens, rows: rowType)
                return [cache, Cache(name: "full", tokens: tokens, entries: tokens, base: full.base)]
            }
        }
        let most = tokens.map { noFull ? budget($0) : $0 }.max() ?? 0
        let random = try SyntheticRows(bench.model.configuration, rows: rowType, entries: most)
        return tokens.flatMap { tokens in
            let compact = Cache(
                name: "compact", tokens: tokens, entries: budget(tokens),
                base: random.base(tokens: tokens, entries: budget(tokens)))
            let full = Cache(
                name: "full", tokens: tokens, entries: tokens,
                base: noFull ? nil : random.base(tokens: tokens, entries: tokens))
            return noFull ? [compact] : [compact, full]
        }
    }

    private func show(_ report: Report) {
        print(
            "\(report.model), \(report.threads) threads, \(rows) rows, \(read ? "read" : "random") caches: tokens per "
                + "second, median [min–max]; time per token beside an empty context's, and what the limits say")
        for row in report.rows {
            let name = row.tokens == 0 ? row.cache : "\(row.cache) of \(row.tokens) (\(row.entries) entries)"
            print(
                "  \(padded(name, 36)) \(padded(row.tokens_per_second.text(1), 26)) "
                    + "\(fixed(row.share_of_limit * 100, 0)) % of the limit  × \(fixed(row.time_to_empty, 3)) "
                    + "(× \(fixed(row.limit_time_to_empty, 3)))")
        }
        print(report.limits.text)
    }
}

extension Decoder {
    /// Seconds of a step that gives each of some conversations its next token.
    func secondsPerToken(_ model: Model, bases: [BaseRows?], length: Int) throws -> Double {
        let sequences = try bases.map { try Sequence(model: model, base: $0) }
        for sequence in sequences { _ = try feed([1], to: sequence) }
        let (_, seconds) = try timed {
            for _ in 0..<length { _ = try step(sequences.map { Piece($0, [1]) }) }
        }
        return seconds / Double(length)
    }
}
