// cakebench batch: what several conversations on one document gain by taking their steps together.

import ArgumentParser
import Transformer

struct Batch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Decodes 1, 2, 4, 8 and 16 conversations on one document together: tokens a second in all.",
        discussion: "The document's compact cache holds random rows, since the cost does not depend on what they say.")

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "Document tokens.") var tokens = 4096
    @Option(name: .long, help: "Entries of the compact cache for each layer and head.") var entries = 410
    @Option(name: .long, parsing: .upToNextOption, help: "Conversations.") var sizes = [1, 2, 4, 8, 16]
    @Option(name: .long, help: "Tokens to decode in a run, for each conversation.") var length = 32
    @Option(name: .long, help: "Runs, interleaved; the median is reported.") var runs = 5
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var conversations: Int
        var tokens_per_second: Figure
        var to_first: Double
        /// Reading the weights once and the cache once for each conversation.
        var share_of_limit: Double
    }
    struct Report: Encodable {
        var model: String
        var tokens: Int
        var entries: Int
        var threads: Int
        var rows: [Row]
        var limits: Limits
    }

    mutating func run() throws {
        let bench = try Bench(options)
        guard runs > 0, length > 0, entries > 0, entries <= tokens, !sizes.isEmpty, sizes.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("lengths, entries, sizes and runs must be positive, entries at most the tokens")
        }
        let base = try SyntheticRows(bench.model.configuration, rows: .f16, entries: entries)
            .base(tokens: tokens, entries: entries)
        let decoder = try Decoder(model: bench.model, pool: bench.pool)
        let meter = try LimitMeter(bench.pool)
        var seconds = sizes.map { _ in [Double]() }
        for run in 0...runs {
            try meter.measure()
            for (index, size) in sizes.enumerated() {
                let time = try decoder.secondsPerToken(
                    bench.model, bases: Array(repeating: base, count: size), length: length)
                if run > 0 { seconds[index].append(time) }
            }
        }
        let costs = try ModelCosts(path: options.model, shape: bench.model.configuration)
        let limits = meter.limits
        let firstSpeed = Double(sizes[0]) / Figure(seconds[0]).median
        let rows = zip(sizes, seconds).map { size, seconds in
            let speed = Figure(seconds.map { Double(size) / $0 })
            let limit = costs.decodeSeconds(entries: size * entries, rows: .f16, limits: limits)
            return Row(
                conversations: size, tokens_per_second: speed, to_first: speed.median / firstSpeed,
                share_of_limit: limit / Figure(seconds).median)
        }
        let report = Report(
            model: bench.model.configuration.name, tokens: tokens, entries: entries, threads: bench.pool.threads,
            rows: rows, limits: limits)
        if json { return try printJSON(report) }
        print(
            "\(report.model), conversations on one document of \(tokens) tokens (\(entries) entries), "
                + "\(report.threads) threads: tokens per second in all, median [min–max]")
        for row in rows {
            print(
                "  \(padded("\(row.conversations)", 3)) \(padded(row.tokens_per_second.text(1), 26)) "
                    + "× \(fixed(row.to_first, 2)), \(fixed(row.share_of_limit * 100, 0)) % of the read limit")
        }
        print(limits.text)
    }
}
