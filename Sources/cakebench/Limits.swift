// What this machine can do at most, measured in the same run as the figures it is printed beside.

import CKernels
import CLimits
import Transformer

/// The machine's limits: medians of the rounds measured so far, on the bench's threads.
struct Limits: Encodable {
    var threads: Int
    var instruction_set: String
    /// 10⁹ operations a second, two for a multiply-add; nil where the CPU has no such instruction.
    var int8_gops: Figure?
    var bf16_gops: Figure?
    var f32_gops: Figure?
    /// 10⁹ bytes a second from memory.
    var read_gb_per_second: Figure

    /// Seconds that reading so many bytes takes at least.
    func seconds(reading bytes: Double) -> Double { bytes / (read_gb_per_second.median * 1e9) }

    /// Operations a second with weights of a type: bytes for quantised ones where the CPU multiplies those.
    func productPeak(isQuantised: Bool) -> (name: String, gops: Double) {
        if isQuantised, caked_int8_is_fast(), let int8_gops { return ("int8", int8_gops.median) }
        return ("f32", f32_gops?.median ?? .nan)
    }

    /// Operations a second of attention: bf16 where the CPU has it.
    var attentionPeak: (name: String, gops: Double) {
        if let bf16_gops { return ("bf16", bf16_gops.median) }
        return ("f32", f32_gops?.median ?? .nan)
    }

    /// One line for people.
    var text: String {
        func figure(_ name: String, _ figure: Figure?) -> String { "\(name) \(figure.map { $0.text(0) } ?? "none")" }
        return "limits now, \(threads) threads, \(instruction_set) kernels: \(figure("int8", int8_gops)), "
            + "\(figure("bf16", bf16_gops)), \(figure("f32", f32_gops)) GOP/s, read \(read_gb_per_second.text(1)) GB/s"
    }
}

/// Measures the limits, a round at a time between other measurements.
final class LimitMeter {
    private let pool: WorkerPool
    /// More than any cache holds.
    private let memory: FloatBuffer
    /// `[threads, 16]`: what each thread did, on cache lines of their own.
    private let results: FloatBuffer
    private var multiplied: [[Double]] = [[], [], []]
    private var read: [Double] = []

    private static let readBytes = 256 << 20
    /// Some 20 ms each.
    private static let rounds = 5_000_000

    init(_ pool: WorkerPool) throws {
        self.pool = pool
        memory = try FloatBuffer(Self.readBytes / MemoryLayout<Float>.stride)
        results = try FloatBuffer(16 * pool.threads)
        // Pages nobody wrote are all the same one.
        memory.floats.fill(1)
    }

    private struct Multiply {
        let limit: caked_limit
        let rounds: Int
        let operations: Floats
    }

    private struct Read {
        let memory: Floats
        let shares: Int
        let sums: Floats
    }

    /// Measures every limit once.
    func measure() throws {
        let results = results.floats
        for (index, limit) in [CAKED_LIMIT_INT8, CAKED_LIMIT_BF16, CAKED_LIMIT_F32].enumerated() {
            results.fill(0)
            var work = Multiply(limit: limit, rounds: Self.rounds / 3, operations: results)
            let (_, seconds) = timed {
                unsafe pool.run(pool.threads, on: &work) { work, task, _ in
                    unsafe work.pointee.operations[16 * task] = Float(
                        caked_limit_multiply(work.pointee.limit, work.pointee.rounds))
                }
            }
            let operations = (0..<pool.threads).reduce(0.0) { $0 + Double(results[16 * $1]) }
            if operations > 0 { multiplied[index].append(operations / seconds / 1e9) }
        }
        var work = Read(memory: memory.floats, shares: 4 * pool.threads, sums: results)
        let (_, seconds) = timed {
            unsafe pool.run(4 * pool.threads, on: &work) { work, task, worker in
                let memory = unsafe work.pointee.memory
                let share = unsafe memory.count / work.pointee.shares / 16 * 16
                let sum = unsafe caked_limit_read(memory.slice(task * share, share).base, share * 4)
                unsafe work.pointee.sums[16 * worker] = Float(sum % 2)
            }
        }
        let share = memory.floats.count / (4 * pool.threads) / 16 * 16
        read.append(Double(4 * pool.threads * share * 4) / seconds / 1e9)
    }

    /// What was measured; at least one round must have been.
    var limits: Limits {
        func figure(_ index: Int) -> Figure? { multiplied[index].isEmpty ? nil : Figure(multiplied[index]) }
        return Limits(
            threads: pool.threads, instruction_set: unsafe String(cString: caked_kernels_name()), int8_gops: figure(0),
            bf16_gops: figure(1), f32_gops: figure(2), read_gb_per_second: Figure(read))
    }
}
