// cakebench kernels: products and attention alone, beside the machine's limits.

import ArgumentParser
import CKernels
import GGUF
import Transformer

struct Kernels: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Runs products of every weight type and attention on random numbers, as the forward pass does.",
        discussion: """
            Few rows read weights too large for the caches, as decoding does, and are compared with memory; many rows \
            are compared with the peak of the type that is multiplied. A product's time includes turning its \
            activations into bytes; fill is the time of making a layer's weights ready once, before many rows.
            """)

    @Option(name: .long, parsing: .upToNextOption, help: "Weight types (default: all).") var types: [String] = []
    @Option(name: .long, parsing: .upToNextOption, help: "Rows of activations.") var rows = [1, 4, 8, 64, 512]
    @Option(name: .long, help: "Inputs of the products.") var inputs = 2048
    @Option(name: .long, help: "Outputs of the products of many rows.") var outputs = 8192
    @Option(name: .long, help: "Mebibytes that few rows read: more than the caches hold.") var streamed = 128
    @Option(name: .long, parsing: .upToNextOption, help: "Keys that attention sees.") var keys = [512, 4096, 16384]
    @Option(name: .long, help: "Compute threads (default: one for each processor).") var threads: Int?
    @Option(name: .long, help: "Runs; the median is reported.") var runs = 5
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var kernel: String
        var rows: Int
        var milliseconds: Figure
        var gops: Double
        var gb_per_second: Double
        /// The limit that holds it back, and the share of it.
        var limit: String
        var share_of_limit: Double
        var fill_milliseconds: Double?
    }
    struct Report: Encodable {
        var threads: Int
        var inputs: Int
        var outputs: Int
        var rows: [Row]
        var limits: Limits
    }

    private static let allTypes: [TensorType] = [
        .f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q4_K, .q5_K, .q6_K, .q2_K, .q3_K, .iq4_NL, .iq4_XS,
        .mxfp4,
    ]
    /// The 1B shape of this project's figures.
    private static let heads = 32
    private static let kvHeads = 8
    private static let headWidth = 64

    private var streamedBytes: Int { streamed << 20 }

    /// Runs, and the limits' rounds in between.
    private struct Clock {
        let runs: Int
        let meter: LimitMeter

        func seconds(_ body: () throws -> Void) throws -> Figure {
            try meter.measure()
            try body()
            var seconds: [Double] = []
            for _ in 0..<runs { seconds.append(try timed(body).seconds) }
            return Figure(seconds)
        }
    }

    /// What was done in a row's time; limits are known at the end.
    private struct Measured {
        var kernel: String
        var rows: Int
        var seconds: Figure
        var operations: Double
        var bytes: Double
        var bound: Bound
        var fill: Figure?
    }

    private enum Bound {
        case read
        case int8
        case bf16
        case f32
    }

    mutating func run() throws {
        let chosen = Self.allTypes.filter { types.isEmpty || types.contains($0.name.lowercased()) }
        guard runs > 0, !chosen.isEmpty, inputs > 0, inputs.isMultiple(of: 256), outputs > 0,
            rows.allSatisfy({ $0 > 0 })
        else { throw ValidationError("inputs are a multiple of 256; types are of \(Self.allTypes.map(\.name))") }
        let pool = try WorkerPool(announcing: threads)
        let clock = Clock(runs: runs, meter: try LimitMeter(pool))
        var measured: [Measured] = []
        for type in chosen {
            for count in rows { measured.append(try product(type, rows: count, pool, clock)) }
        }
        for count in keys {
            measured.append(try prefillAttention(keys: count, pool, clock))
            for stored in [KVRows.f16, .q8_0, .q4] {
                measured.append(try decodeAttention(keys: count, stored, pool, clock))
            }
        }
        let limits = clock.meter.limits
        let report = Report(
            threads: pool.threads, inputs: inputs, outputs: outputs,
            rows: measured.map { Self.row($0, limits) }, limits: limits)
        if json { return try printJSON(report) }
        show(report)
    }

    private func product(_ type: TensorType, rows: Int, _ pool: WorkerPool, _ clock: Clock) throws -> Measured {
        let rowBytes = inputs / type.blockElements * type.blockBytes
        let isStreamed = rows < 32
        let outputs = isStreamed ? max(256, streamedBytes / rowBytes / 256 * 256) : outputs
        let probe = try unsafe ProductProbe(type: type, inputs: inputs, outputs: outputs, rows: rows, pool: pool) {
            unsafe fillWithSmallHalves($0, bytes: $1)
        }
        let fill = isStreamed ? nil : try clock.seconds { probe.fillPanel() }
        return Measured(
            kernel: type.name, rows: rows, seconds: try clock.seconds { probe.run() },
            operations: 2 * Double(rows) * Double(inputs) * Double(outputs), bytes: Double(rowBytes * outputs),
            bound: isStreamed ? .read : probe.multipliesBytes ? .int8 : .f32, fill: fill)
    }

    private func prefillAttention(keys: Int, _ pool: WorkerPool, _ clock: Clock) throws -> Measured {
        let rows = min(256, keys)
        let probe = try BlockAttentionProbe(
            heads: Self.heads, kvHeads: Self.kvHeads, headWidth: Self.headWidth, rows: rows, keysBefore: keys - rows,
            stored: .f16, pool: pool)
        return Measured(
            kernel: "attention of a tile to \(keys) f16", rows: rows, seconds: try clock.seconds { probe.run() },
            operations: probe.operations, bytes: Double(keys * Self.kvHeads * 2 * Self.headWidth * 2), bound: .bf16)
    }

    /// One row's attention in one layer, but over as many layers' rows as the caches cannot hold.
    private func decodeAttention(
        keys: Int, _ stored: KVRows, _ pool: WorkerPool, _ clock: Clock
    ) throws -> Measured {
        let listBytes = stored.bytes(entries: keys, headWidth: Self.headWidth)
        let lists = max(Self.kvHeads, streamedBytes / listBytes)
        let probe = try StreamedAttention(
            lists: lists, keys: keys, stored: stored, group: Self.heads / Self.kvHeads, width: Self.headWidth,
            threads: pool.threads)
        return Measured(
            kernel: "attention of a token to \(keys) \(stored.rawValue)", rows: Self.heads / Self.kvHeads,
            seconds: try clock.seconds { probe.run(on: pool) },
            operations: 4 * Double(lists * keys * Self.headWidth * Self.heads / Self.kvHeads),
            bytes: Double(lists * listBytes), bound: .read)
    }

    private static func row(_ measured: Measured, _ limits: Limits) -> Row {
        let seconds = measured.seconds.median
        let gops = measured.operations / seconds / 1e9
        let speed = measured.bytes / seconds / 1e9
        let (limit, share): (String, Double) =
            switch measured.bound {
            case .read: ("read", speed / limits.read_gb_per_second.median)
            case .int8: ("int8", gops / (limits.int8_gops?.median ?? .nan))
            case .f32: ("f32", gops / (limits.f32_gops?.median ?? .nan))
            case .bf16: (limits.attentionPeak.name, gops / limits.attentionPeak.gops)
            }
        func milliseconds(_ figure: Figure) -> Figure { figure.scaled(by: 1e3) }
        return Row(
            kernel: measured.kernel, rows: measured.rows, milliseconds: milliseconds(measured.seconds), gops: gops,
            gb_per_second: speed, limit: limit, share_of_limit: share,
            fill_milliseconds: measured.fill.map { $0.median * 1e3 })
    }

    private func show(_ report: Report) {
        print(
            "products of \(inputs) inputs, \(report.threads) threads: milliseconds, median [min–max]; attention with "
                + "\(Self.heads) heads of \(Self.headWidth) on \(Self.kvHeads) KV heads")
        for row in report.rows {
            let fill = row.fill_milliseconds.map { ", ready in \(fixed($0, 1)) ms" } ?? ""
            print(
                "  \(padded(row.kernel, 34)) \(padded("× \(row.rows)", 6)) \(padded(row.milliseconds.text(2), 22)) "
                    + "\(padded(fixed(row.gops, 1) + " GOP/s", 13)) "
                    + "\(padded(fixed(row.gb_per_second, 1) + " GB/s", 11)) "
                    + "\(fixed(row.share_of_limit * 100, 0)) % of \(row.limit)\(fill)")
        }
        print(report.limits.text)
    }
}

/// The kernel of decode attention over many heads' rows.
private final class StreamedAttention {
    private struct Work {
        let stored: caked_type
        let memory: Floats
        let listBytes: Int
        let keyBytes: Int
        let keys: Int
        let group: Int
        let width: Int
        /// Per worker: queries, softmax state, output and scores.
        let scratch: Floats
        let scratchFloats: Int

        func run(_ list: Int, _ worker: Int) {
            let room = scratch.slice(worker * scratchFloats, scratchFloats)
            let query = room.slice(0, group * width)
            let out = room.slice(group * width, group * width)
            let scores = room.slice(2 * group * width, group * Int(CAKED_ATTEND_TILE))
            let peak = room.slice(2 * group * width + scores.count, group)
            let sum = room.slice(2 * group * width + scores.count + group, group)
            out.fill(0)
            sum.fill(0)
            peak.fill(-.infinity)
            let keyRows = unsafe UnsafeRawPointer(memory.base) + list * listBytes
            unsafe caked_attend(
                stored, keyRows, keyRows + keyBytes, keys, width, query.base, group, nil, nil, peak.base,
                sum.base, out.base, scores.base)
        }
    }

    private var work: Work
    private let lists: Int
    private let memory: FloatBuffer
    private let scratch: FloatBuffer

    init(lists: Int, keys: Int, stored: KVRows, group: Int, width: Int, threads: Int) throws {
        self.lists = lists
        let listBytes = stored.bytes(entries: keys, headWidth: width)
        memory = try FloatBuffer(lists * listBytes / 4 + 1)
        unsafe fillWithSmallHalves(UnsafeMutableRawPointer(memory.floats.base), bytes: lists * listBytes)
        let scratchFloats = (2 * group * width + group * Int(CAKED_ATTEND_TILE) + 2 * group + 15) / 16 * 16
        scratch = try FloatBuffer(threads * scratchFloats)
        scratch.floats.fill(0.01)
        work = Work(
            stored: stored.type, memory: memory.floats, listBytes: listBytes,
            keyBytes: stored.keyBytes(entries: keys, headWidth: width), keys: keys, group: group, width: width,
            scratch: scratch.floats, scratchFloats: scratchFloats)
    }

    func run(on pool: WorkerPool) {
        unsafe pool.run(lists, on: &work) { work, list, worker in unsafe work.pointee.run(list, worker) }
    }
}
