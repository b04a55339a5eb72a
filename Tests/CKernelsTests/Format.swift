// The stored types as the tests see them: blocks, random elements, and the two directions of conversion.

import CKernels

enum Format: UInt32, CaseIterable, Sendable {
    case f32 = 0
    case f16 = 1
    case q4_0 = 2
    case q4_1 = 3
    case q5_0 = 6
    case q5_1 = 7
    case q8_0 = 8
    case q4_k = 12
    case q5_k = 13
    case q6_k = 14
    case bf16 = 30
    case q2_k = 10
    case q3_k = 11
    case iq2_xxs = 16
    case iq2_xs = 17
    case iq3_xxs = 18
    case iq1_s = 19
    case iq4_nl = 20
    case iq3_s = 21
    case iq2_s = 22
    case iq4_xs = 23
    case iq1_m = 29
    case tq1_0 = 34
    case tq2_0 = 35
    case mxfp4 = 39

    var type: caked_type { caked_type(rawValue: rawValue) }
    /// Those with a writer.
    static let written: [Format] = [.f32, .f16, .q4_1, .q8_0]
    /// Those unpacked from blocks of small quants.
    static let unpacked = allCases.filter { $0.isBlocked && ![.q4_0, .q8_0].contains($0) }
    /// Those with products of bytes.
    static let paneled = allCases.filter { caked_panel_bytes($0.type, 256, 16) > 0 }

    /// Elements of a block.
    var blockElements: Int {
        switch self {
        case .f32, .f16, .bf16: 1
        case .q4_0, .q4_1, .q5_0, .q5_1, .q8_0, .iq4_nl, .mxfp4: 32
        default: 256
        }
    }
    var isBlocked: Bool { blockElements > 1 }

    func bytes(_ count: Int) -> Int { caked_bytes(type, count) }

    /// Where a block's half floats lie, and upper bytes of theirs that make weights of about 1.
    private var scales: [(offset: Int, upper: ClosedRange<UInt8>)] {
        switch self {
        case .f32, .f16, .bf16, .q8_0: []
        case .q4_0: [(0, 0x28...0x2f)]
        case .q4_1: [(0, 0x28...0x2b), (2, 0xb0...0xb7)]
        case .q5_0: [(0, 0x28...0x2b)]
        case .q5_1: [(0, 0x24...0x27), (2, 0xb0...0xb7)]
        case .q4_k: [(0, 0x14...0x17), (2, 0x20...0x23)]
        case .q5_k: [(0, 0x10...0x13), (2, 0x20...0x23)]
        case .q6_k: [(208, 0x0c...0x0f)]
        case .q2_k: [(80, 0x20...0x23), (82, 0x20...0x23)]
        case .q3_k: [(108, 0x1c...0x1f)]
        case .iq4_nl, .iq2_xxs, .iq2_xs, .iq2_s: [(0, 0x1c...0x1f)]
        case .iq4_xs: [(0, 0x0c...0x0f)]
        case .iq3_xxs, .iq3_s: [(0, 0x14...0x17)]
        case .iq1_s: [(0, 0x28...0x2b)]
        // Its upper byte is two nibbles of two bytes.
        case .iq1_m: [(54, 0x20...0x2f), (52, 0x80...0xbf)]
        case .tq1_0: [(52, 0x38...0x3b)]
        case .tq2_0: [(64, 0x38...0x3b)]
        // An exponent, the first byte.
        case .mxfp4: [(-1, 123...125)]
        }
    }

    /// Elements of a sort every format stores without trouble: between -1 and 1 or so.
    func random(_ count: Int, using generator: inout Numbers) -> [UInt8] {
        switch self {
        case .f32, .f16, .q8_0:
            return quantise(generator.floats(count)) ?? []
        case .bf16:
            return generator.floats(count).flatMap { value in
                let bits = UInt16(value.bitPattern >> 16)
                return [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)]
            }
        default:
            return (0..<count / blockElements).flatMap { _ in
                var block = (0..<bytes(blockElements)).map { _ in UInt8.random(in: 0...255, using: &generator) }
                for (offset, upper) in scales { block[offset + 1] = UInt8.random(in: upper, using: &generator) }
                return block
            }
        }
    }

    /// Blocks of one byte throughout, but for scales of the usual size: quants, and factors, at an extreme.
    func filled(_ count: Int, with byte: UInt8) -> [UInt8] {
        var block = [UInt8](repeating: byte, count: bytes(blockElements))
        for (offset, upper) in self == .q8_0 ? [(0, 0x3c...0x3c)] : scales { block[offset + 1] = upper.lowerBound }
        return (0..<count / blockElements).flatMap { _ in block }
    }

    func dequantise(_ bytes: [UInt8], count: Int) -> [Float] {
        var result = [Float](repeating: .nan, count: count)
        unsafe caked_dequantise(type, bytes, &result, count)
        return result
    }

    func quantise(_ values: [Float]) -> [UInt8]? {
        var result = [UInt8](repeating: 0xee, count: bytes(values.count))
        let known = unsafe caked_quantise(type, values, &result, values.count)
        return known ? result : nil
    }
}
