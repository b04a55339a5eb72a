// cakebench roofline: what the machine's limits say a model should take, beside what it takes.

import ArgumentParser
import CAKE
import Transformer

struct Roofline: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Works out bytes and operations for prefill and decode, the time they take at least, and measures it.",
        discussion: """
            Prefill: products at the peak of the type that is multiplied, attention at the bf16 peak (f32 where there \
            is none), the last layer's keys and values alone. Decode: the weights and the cache's rows (f16, random) \
            read once from memory.
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, parsing: .upToNextOption, help: "Tokens to read.") var tokens = [512, 2048]
    @Option(name: .long, parsing: .upToNextOption, help: "Entries of the caches to decode over.")
    var depths = [0, 1024, 8192]
    @Option(name: .long, help: "Tokens to decode in a run.") var length = 32
    @Option(name: .long, help: "Runs, interleaved; the median is reported.") var runs = 5
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var work: String
        var size: Int
        var operations: Double
        var bytes: Double
        var predicted_milliseconds: Double
        var milliseconds: Figure
        var share_of_limit: Double
    }
    struct Report: Encodable {
        var model: String
        var threads: Int
        var costs: ModelCosts
        var rows: [Row]
        var limits: Limits
    }

    mutating func run() throws {
        let bench = try Bench(options)
        guard runs > 0, length > 0, tokens.allSatisfy({ $0 > 0 }), depths.allSatisfy({ $0 >= 0 }) else {
            throw ValidationError("runs and lengths must be positive")
        }
        let costs = try ModelCosts(path: options.model, shape: bench.model.configuration)
        let random = try SyntheticRows(bench.model.configuration, rows: .f16, entries: depths.max() ?? 0)
        let decoder = try Decoder(model: bench.model, pool: bench.pool)
        let meter = try LimitMeter(bench.pool)
        let everything = try Method.preset("full")
        var (readSeconds, decodeSeconds) = (tokens.map { _ in [Double]() }, depths.map { _ in [Double]() })
        for run in 0...runs {
            try meter.measure()
            for (index, count) in tokens.enumerated() {
                // The first round warms caches and clocks; a short document does.
                let ids = bench.document(tokens: run == 0 ? min(count, 256) : count)
                let (_, seconds) = try timed { try bench.read(ids, method: everything, budget: ids.count) }
                if run > 0 { readSeconds[index].append(seconds) }
            }
            for (index, depth) in depths.enumerated() {
                let base = depth == 0 ? nil : random.base(tokens: depth, entries: depth)
                let seconds = try decoder.secondsPerToken(bench.model, bases: [base], length: length)
                if run > 0 { decodeSeconds[index].append(seconds) }
            }
        }
        let limits = meter.limits
        let reading = zip(tokens, readSeconds).map { count, seconds in
            Self.row(
                "prefill", count,
                costs.prefillOperations(tokens: count) + costs.prefillAttentionOperations(tokens: count),
                Double(costs.block_bytes), limit: costs.prefillSeconds(tokens: count, limits: limits), seconds)
        }
        let decoding = zip(depths, decodeSeconds).map { depth, seconds in
            Self.row(
                "decode", depth, 2 * Double(costs.block_weights + costs.head_weights),
                Double(costs.decodeBytes(entries: depth, rows: .f16)),
                limit: costs.decodeSeconds(entries: depth, rows: .f16, limits: limits), seconds)
        }
        let report = Report(
            model: bench.model.configuration.name, threads: bench.pool.threads, costs: costs,
            rows: reading + decoding, limits: limits)
        if json { return try printJSON(report) }
        print(
            "\(report.model), \(report.threads) threads: milliseconds, median [min–max], beside the least they can be")
        for row in report.rows {
            let what = row.work == "prefill" ? "reading \(row.size) tokens" : "a token over \(row.size) entries"
            print(
                "  \(padded(what, 28)) \(padded(fixed(row.operations / 1e9, 1) + " GOP", 12)) "
                    + "\(padded(fixed(row.bytes / 1e6, 0) + " MB", 9)) least "
                    + "\(padded(fixed(row.predicted_milliseconds, 2), 9)) "
                    + "is \(padded(row.milliseconds.text(2), 26)) \(fixed(row.share_of_limit * 100, 0)) %")
        }
        print(limits.text)
    }

    private static func row(
        _ work: String, _ size: Int, _ operations: Double, _ bytes: Double, limit: Double, _ seconds: [Double]
    ) -> Row {
        let figure = Figure(seconds)
        return Row(
            work: work, size: size, operations: operations, bytes: bytes, predicted_milliseconds: limit * 1e3,
            milliseconds: figure.scaled(by: 1e3), share_of_limit: limit / figure.median)
    }
}
