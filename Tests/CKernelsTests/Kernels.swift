// The kernels over Swift arrays, for one instruction set: what every test of this folder calls.

import CKernels

enum Variant: UInt32, CaseIterable, Sendable {
    case portable, avx2, avx512, neon, vnni, avxVNNI, bfloat

    var instructionSet: caked_instruction_set { caked_instruction_set(rawValue: rawValue) }
    /// As `CAKED_KERNELS` and every report have it.
    var name: String {
        switch self {
        case .portable, .avx2, .avx512, .neon: "\(self)"
        case .vnni: "avx512-vnni"
        case .avxVNNI: "avx-vnni"
        case .bfloat: "avx512-bf16"
        }
    }
    /// Whether it sums bytes as integers, in products and in attention over `q8_0` entries.
    var sumsIntegers: Bool { run { caked_int8_is_fast() } ?? false }

    /// Those this machine runs.
    static let available = allCases.filter { $0.run { true } ?? false }
    static let unavailable = allCases.filter { !available.contains($0) }

    /// Runs `body` with this variant on the current thread; nil where the machine has it not.
    func run<Result>(_ body: () -> Result) -> Result? {
        guard caked_kernels_override(instructionSet) else { return nil }
        defer { caked_kernels_end_override() }
        return body()
    }
}

/// A small seeded generator (SplitMix64), so that a failure comes back.
struct Numbers: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func floats(_ count: Int, in range: ClosedRange<Float> = -1...1) -> [Float] {
        (0..<count).map { _ in Float.random(in: range, using: &self) }
    }
}

/// The largest distance of two arrays of the same length, NaN when one holds NaN.
func distance(_ a: [Float], _ b: [Double]) -> Double {
    precondition(a.count == b.count)
    var largest = 0.0
    for (x, y) in zip(a, b) where Double(x) != y {
        let difference = abs(Double(x) - y)
        if difference.isNaN { return .nan }
        largest = max(largest, difference)
    }
    return largest
}

func bits(_ values: [Float]) -> [UInt32] { values.map(\.bitPattern) }

/// Stored weights [outputs, inputs] and activations [rows, inputs].
struct Product {
    let format: Format
    let inputs: Int
    let outputs: Int
    let rows: Int
    let weights: [UInt8]
    let x: [Float]
    let bias: [Float]

    init(_ format: Format, inputs: Int, outputs: Int, rows: Int, seed: UInt64 = 1) {
        var numbers = Numbers(seed)
        (self.format, self.inputs, self.outputs, self.rows) = (format, inputs, outputs, rows)
        weights = (0..<outputs).flatMap { _ in format.random(inputs, using: &numbers) }
        x = numbers.floats(rows * inputs)
        bias = numbers.floats(outputs)
    }

    /// Of given numbers, with biases of 0.
    init(_ format: Format, inputs: Int, outputs: Int, rows: Int, weights: [UInt8], x: [Float]) {
        (self.format, self.inputs, self.outputs, self.rows) = (format, inputs, outputs, rows)
        (self.weights, self.x) = (weights, x)
        bias = [Float](repeating: 0, count: outputs)
    }

    /// y [rows, outputs] of the given part; what was not asked for stays NaN.
    func computed(rows part: Range<Int>? = nil, outputs range: Range<Int>? = nil, biased: Bool = true) -> [Float] {
        let part = part ?? 0..<rows, range = range ?? 0..<outputs
        var y = [Float](repeating: .nan, count: rows * outputs)
        unsafe x.withUnsafeBufferPointer { x in
            unsafe y.withUnsafeMutableBufferPointer { y in
                unsafe bias.withUnsafeBufferPointer { bias in
                    guard let source = x.baseAddress, let target = y.baseAddress else { return }
                    unsafe caked_matmul(
                        format.type, weights, inputs, range.lowerBound, range.count, source + part.lowerBound * inputs,
                        inputs, part.count, target + part.lowerBound * outputs, outputs,
                        biased ? bias.baseAddress : nil)
                }
            }
        }
        return y
    }

    func expected() -> [Double] {
        let w = (0..<outputs).map { output in
            let size = format.bytes(inputs)
            return format.dequantise(Array(weights[output * size..<(output + 1) * size]), count: inputs)
        }
        return (0..<rows).flatMap { row in
            (0..<outputs).map { output in
                (0..<inputs).reduce(Double(bias[output])) { $0 + Double(w[output][$1]) * Double(x[row * inputs + $1]) }
            }
        }
    }
}

/// Running softmax of several rows.
struct Attention {
    var peak: [Float]
    var sum: [Float]
    var out: [Float]
    let rows: Int
    let width: Int

    init(rows: Int, width: Int) {
        (self.rows, self.width) = (rows, width)
        peak = Array(repeating: -.infinity, count: rows)
        sum = Array(repeating: 0, count: rows)
        out = Array(repeating: 0, count: rows * width)
    }

    mutating func attend(
        _ format: EntryFormat, keys: [UInt8], values: [UInt8], count: Int, q: [Float], visible: [UInt32]? = nil,
        scoring: Scoring? = nil, heads: Int = 1
    ) {
        var scratch = [Float](repeating: .nan, count: rows * Int(CAKED_ATTEND_TILE))
        func call(_ scoring: UnsafePointer<caked_scoring>?) {
            unsafe visible.withPointer { visible in
                unsafe caked_attend(
                    format.type, keys, values, count, width, q, rows, visible, scoring, &peak, &sum, &out, &scratch)
            }
        }
        if let scoring { unsafe scoring.withPointer(from: 0, heads: heads, call) } else { call(nil) }
    }

    mutating func merge(_ other: Attention) {
        unsafe caked_attend_merge(&peak, &sum, &out, other.peak, other.sum, other.out, rows, width)
    }

    func finished() -> [Float] {
        var result = out
        unsafe caked_attend_finish(sum, &result, rows, width)
        return result
    }
}

extension Optional where Wrapped: Sequence, Wrapped.Element: BitwiseCopyable {
    func withPointer(_ body: (UnsafePointer<Wrapped.Element>?) -> Void) {
        guard let self else { return body(nil) }
        unsafe Array(self).withUnsafeBufferPointer { unsafe body($0.baseAddress) }
    }
}
