// cakebench prefill: how fast a document is read and compressed, and the most memory that took.

import ArgumentParser
import CAKE
import Inference
import Transformer

struct Prefill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Reads and compresses a document of random tokens: tokens a second, share of the limit, peak memory.",
        discussion: """
            peak_kv_bytes counts every allocation of KV rows: the layer being read, the rows a method observes and the \
            rows kept so far; bound_bytes is what the cascade promises, the budget and one layer. memory is the \
            process's resident peak in a first run beside the weights' file, the residual stream, one \
            layer and the budget. share_of_limit compares with the time that products of the model's type at the \
            CPU's peak, measured in between, and attention at the bf16 peak would take.
            """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var cacheOptions: CacheOptions
    @Option(name: .long, help: "How rows are stored: f16, q8_0 or q4.") var rows = Bench.defaultRows.rawValue
    @Option(name: .long, help: "Timed runs; the median is reported; 0 times the first run.") var runs = 3
    @Flag(name: .long, help: "Skip the first run, which measures memory and warms up.") var cold = false
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Memory: Encodable {
        /// Before the document: the program, the vocabulary, weights touched while loading.
        var before: Residence
        var peak: Residence
        var weights_bytes: Int
        var residual_bytes: Int
        var layer_and_budget_bytes: Int
        var promised_bytes: Int
        var peak_to_promised: Double
    }
    struct Report: Encodable {
        var model: String
        var tokens: Int
        var method: String
        var keep_percent: Double
        var budget: Int
        var rows: String
        var threads: Int
        var seconds: Figure
        var tokens_per_second: Figure
        var limit_seconds: Double
        var share_of_limit: Double?
        var peak_kv_bytes: Int
        var kept_kv_bytes: Int
        var layer_kv_bytes: Int
        var bound_bytes: Int
        var peak_to_bound: Double
        var full_kv_bytes: Int
        var memory: Memory?
        var limits: Limits
    }

    mutating func run() throws {
        let (tokens, keep) = (cacheOptions.tokens, cacheOptions.keep)
        let bench = try Bench(options)
        let method = try Method.preset(cacheOptions.method)
        guard let rowType = KVRows(rawValue: rows) else { throw ValidationError("--rows is f16, q8_0 or q4") }
        guard runs > (cold ? 0 : -1), tokens > 0 else { throw ValidationError("--runs and --tokens must be positive") }
        let shape = bench.model.configuration
        let costs = try ModelCosts(path: options.model, shape: shape)
        let ids = bench.document(tokens: tokens)
        let budget = bench.budget(method, percent: keep, tokens: tokens, rows: rowType)
        let layerBytes = costs.cacheBytes(entries: tokens, rowType.growing) / shape.layers
        let bound = costs.cacheBytes(entries: budget, rowType) + layerBytes
        var memory: Memory?
        var seconds: [Double] = []
        var cache: CompactCache?
        if !cold {
            Residence.resetPeak()
            let before = Residence.now()
            let first = try timed { try bench.read(ids, method: method, budget: budget, rows: rowType) }
            memory = Self.memory(before, costs, residualBytes: tokens * shape.width * 4, cacheBytes: bound)
            if runs == 0 { (cache, seconds) = (first.result, [first.seconds]) }
        }
        let meter = try LimitMeter(bench.pool)
        for _ in 0..<runs {
            cache = nil
            try meter.measure()
            let (read, time) = try timed { try bench.read(ids, method: method, budget: budget, rows: rowType) }
            cache = read
            seconds.append(time)
        }
        try meter.measure()
        guard let cache else { return }
        let limits = meter.limits
        let limitSeconds = costs.prefillSeconds(tokens: tokens, limits: limits)
        let isReadOnce = if case .reconstruction = method.observation { false } else { true }
        let report = Report(
            model: shape.name, tokens: tokens, method: method.name, keep_percent: keep, budget: budget, rows: rows,
            threads: bench.pool.threads, seconds: Figure(seconds),
            tokens_per_second: Figure(seconds.map { Double(tokens) / $0 }), limit_seconds: limitSeconds,
            share_of_limit: isReadOnce ? limitSeconds / Figure(seconds).median : nil,
            peak_kv_bytes: cache.peakKVBytes, kept_kv_bytes: cache.storedBytes, layer_kv_bytes: layerBytes,
            bound_bytes: bound, peak_to_bound: Double(cache.peakKVBytes) / Double(bound),
            full_kv_bytes: layerBytes * shape.layers, memory: memory, limits: limits)
        if json { return try printJSON(report) }
        show(report)
    }

    private static func memory(
        _ before: Residence, _ costs: ModelCosts, residualBytes: Int, cacheBytes: Int
    ) -> Memory {
        let peak = Residence.now()
        let promised = costs.file_bytes + residualBytes + cacheBytes
        return Memory(
            before: before, peak: peak, weights_bytes: costs.file_bytes, residual_bytes: residualBytes,
            layer_and_budget_bytes: cacheBytes, promised_bytes: promised,
            peak_to_promised: Double(peak.peak_bytes) / Double(promised))
    }

    private func show(_ report: Report) {
        let share = report.share_of_limit.map { ", \(fixed($0 * 100, 0)) % of the limit" } ?? ""
        print(
            """
            \(report.tokens) tokens, \(report.method), \(fixed(report.keep_percent, 1)) % kept, \(rows) rows, \
            \(report.threads) threads
            seconds            \(report.seconds.text(3))
            tokens per second  \(report.tokens_per_second.text(0))\(share)
            peak KV bytes      \(report.peak_kv_bytes), \(fixed(report.peak_to_bound, 3)) of budget + one layer \
            (\(report.bound_bytes)); the full cache has \(report.full_kv_bytes)
            """)
        if let memory = report.memory {
            print(
                """
                resident peak, MB  \(megabytes(memory.peak.peak_bytes)), \(fixed(memory.peak_to_promised, 3)) of \
                weights \(megabytes(memory.weights_bytes)) + residual stream \(megabytes(memory.residual_bytes)) + one \
                layer and budget \(megabytes(memory.layer_and_budget_bytes)); mapped now \
                \(megabytes(memory.peak.mapped_bytes)), private before \(megabytes(memory.before.anonymous_bytes))
                """)
        }
        print(report.limits.text)
    }
}

/// 10⁶ bytes.
func megabytes(_ bytes: Int) -> String { fixed(Double(bytes) / 1e6, 1) }
