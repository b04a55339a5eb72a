// Stored formats: every element exact, the way back within half a step.

import CKernels
import Testing

@Suite struct FormatTests {
    @Test("a row's bytes are its blocks', none for part of a block or an unknown type")
    func bytes() {
        #expect(Format.f32.bytes(5) == 20)
        #expect(Format.f16.bytes(5) == 10)
        #expect(Format.bf16.bytes(5) == 10)
        #expect(Format.q8_0.bytes(96) == 102)
        #expect(Format.q4_0.bytes(96) == 54)
        #expect(Format.q4_1.bytes(96) == 60)
        #expect(Format.q5_0.bytes(96) == 66)
        #expect(Format.q5_1.bytes(96) == 72)
        #expect(Format.q4_k.bytes(512) == 288)
        #expect(Format.q5_k.bytes(512) == 352)
        #expect(Format.q6_k.bytes(512) == 420)
        for format in Format.allCases where format.isBlocked {
            #expect(format.bytes(format.blockElements + 1) == 0)
            #expect(format.bytes(format.blockElements / 2) == 0)
        }
        for unknown: UInt32 in [4, 5, 9, 15, 24, 31, 40, 255] {
            #expect(caked_bytes(caked_type(rawValue: unknown), 256) == 0)
        }
    }

    @Test("all 65,536 half floats become their float and return", arguments: Variant.available)
    func halves(variant: Variant) throws {
        let patterns = (0...UInt16.max).map { $0 }
        let bytes = patterns.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        let floats = try #require(variant.run { Format.f16.dequantise(bytes, count: patterns.count) })
        let back = try #require(variant.run { Format.f16.quantise(floats) } ?? nil)
        for (index, pattern) in patterns.enumerated() {
            let expected = Float(Float16(bitPattern: pattern))
            guard !expected.isNaN else {
                #expect(floats[index].isNaN)
                continue
            }
            let stored = UInt16(back[2 * index]) | UInt16(back[2 * index + 1]) << 8
            guard floats[index].bitPattern != expected.bitPattern || stored != pattern else { continue }
            Issue.record("pattern \(pattern): \(floats[index]), back \(stored)")
        }
    }

    @Test("floats round to the nearest half float, to even at ties", arguments: Variant.available)
    func rounding(variant: Variant) throws {
        var numbers = Numbers(3)
        var values: [Float] = [
            0, -0, 1, 1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1.002p-11, 65504, 65519.996, 65520, -65520, .infinity, -.infinity,
            0x1p-24, 0x1p-25, 0x1.004p-25, 0x3p-25, 0x1.ffcp-15, 0x1.ffep-15, 0x1p-14, .leastNonzeroMagnitude,
            .greatestFiniteMagnitude,
        ]
        for _ in 0..<5000 {
            let pattern = UInt32.random(in: 0x3200_0000...0x4790_0000, using: &numbers)
            values.append(Float(bitPattern: pattern))
            values.append(-Float(bitPattern: pattern & ~0x1fff | 0x1000))
        }
        let stored = try #require(variant.run { Format.f16.quantise(values) } ?? nil)
        for (index, value) in values.enumerated() {
            let half = UInt16(stored[2 * index]) | UInt16(stored[2 * index + 1]) << 8
            guard half != Float16(value).bitPattern else { continue }
            Issue.record("\(value) became \(half), not \(Float16(value).bitPattern)")
        }
    }

    @Test("bfloat16 is the upper half of a float", arguments: Variant.available)
    func bfloats(variant: Variant) throws {
        let patterns: [UInt16] = [0, 0x8000, 0x3f80, 0xbf80, 0x0001, 0x7f7f, 0xff80, 0x4049, 0x1234]
        let bytes = patterns.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] }
        let floats = try #require(variant.run { Format.bf16.dequantise(bytes, count: patterns.count) })
        #expect(floats.map(\.bitPattern) == patterns.map { UInt32($0) << 16 })
    }

    /// Scales: one, the least subnormal, the largest subnormal, the largest, a negative one and zero.
    static let scales: [UInt16] = [0x3c00, 0x0001, 0x03ff, 0x7bff, 0xb800, 0x0000]

    @Test("Q8_0 is scale times byte, at any scale", arguments: Variant.available)
    func q8(variant: Variant) throws {
        let quants = (0..<32).map { Int8([-128, 127, 0, -1, 1, 64, -77][$0 % 7]) }
        let bytes = Self.scales.flatMap { scale in
            [UInt8(truncatingIfNeeded: scale), UInt8(scale >> 8)] + quants.map(UInt8.init(bitPattern:))
        }
        let expected = Self.scales.flatMap { scale in quants.map { Float(Float16(bitPattern: scale)) * Float($0) } }
        let floats = try #require(variant.run { Format.q8_0.dequantise(bytes, count: expected.count) })
        #expect(floats == expected)
    }

    @Test("Q4_0 holds its first half in low nibbles, its second in high ones, minus 8", arguments: Variant.available)
    func q4(variant: Variant) throws {
        let nibbles = (0..<32).map { ($0 * 7 + 3) % 16 }
        let packed = (0..<16).map { UInt8(nibbles[$0] | nibbles[16 + $0] << 4) }
        let bytes = Self.scales.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] + packed }
        let expected = Self.scales.flatMap { scale in
            nibbles.map { Float(Float16(bitPattern: scale)) * Float($0 - 8) }
        }
        let floats = try #require(variant.run { Format.q4_0.dequantise(bytes, count: expected.count) })
        #expect(floats == expected)
    }

    @Test("there are reference blocks of every type that has blocks")
    func references() {
        #expect(ReferenceBlocks.all.map(\.format) == Format.allCases.filter(\.isBlocked))
    }

    @Test("blocks become the reference's floats to the bit", arguments: Variant.available, ReferenceBlocks.all)
    func reference(variant: Variant, blocks: ReferenceBlocks) throws {
        let count = blocks.expected.count
        #expect(blocks.bytes.count == blocks.format.bytes(count))
        let floats = try #require(variant.run { blocks.format.dequantise(blocks.bytes, count: count) })
        #expect(bits(floats) == blocks.expected)
    }

    @Test("variants dequantise to the same bits at any scale", arguments: Variant.available, Format.unpacked)
    func sameFloats(variant: Variant, format: Format) throws {
        var numbers = Numbers(11)
        let count = 200 * format.blockElements
        let bytes = (0..<format.bytes(count)).map { _ in UInt8.random(in: 0...255, using: &numbers) }
        let portable = try #require(Variant.portable.run { format.dequantise(bytes, count: count) })
        let floats = try #require(variant.run { format.dequantise(bytes, count: count) })
        for (index, value) in portable.enumerated() where value.isNaN { #expect(floats[index].isNaN) }
        #expect(bits(floats.map { $0.isNaN ? 0 : $0 }) == bits(portable.map { $0.isNaN ? 0 : $0 }))
    }

    @Test("Q8_0 comes back within half a step and the scale's rounding", arguments: Variant.available)
    func q8RoundTrip(variant: Variant) throws {
        var numbers = Numbers(5)
        for magnitude: Float in [1, 1e-3, 1000, 0] {
            let values = numbers.floats(256, in: -magnitude...magnitude)
            let stored = try #require(variant.run { Format.q8_0.quantise(values) } ?? nil)
            let back = Format.q8_0.dequantise(stored, count: values.count)
            for block in stride(from: 0, to: values.count, by: 32) {
                let largest = values[block..<block + 32].map(abs).max() ?? 0
                let bound = largest / 127 * 0.5 + largest * 0x1p-11 + 127 * 0x1p-25
                for index in block..<block + 32 { #expect(abs(back[index] - values[index]) <= bound) }
            }
        }
    }

    @Test("Q8_0 stores zeros where the scale is too small for a half float", arguments: Variant.available)
    func q8Tiny(variant: Variant) throws {
        let values = [Float](repeating: 0x1p-130, count: 32)
        let stored = try #require(variant.run { Format.q8_0.quantise(values) } ?? nil)
        #expect(stored == [UInt8](repeating: 0, count: 34))
    }

    @Test("variants quantise to the same bytes", arguments: Variant.available, Format.written)
    func sameBytes(variant: Variant, format: Format) throws {
        var numbers = Numbers(9)
        let values = numbers.floats(format.isBlocked ? 320 : 333)
        let portable = try #require(Variant.portable.run { format.quantise(values) } ?? nil)
        let stored = try #require(variant.run { format.quantise(values) } ?? nil)
        #expect(stored == portable)
    }

    @Test("nothing is quantised to a format without a writer, or in part of a block", arguments: Variant.available)
    func refused(variant: Variant) {
        let values = [Float](repeating: 1, count: 33)
        for format in Format.allCases where !Format.written.contains(format) {
            #expect(variant.run { format.quantise(Array(repeating: 1, count: 256)) } == .some(nil))
        }
        #expect(variant.run { Format.q8_0.quantise(values) } == .some(nil))
        #expect(variant.run { Format.q4_1.quantise(values) } == .some(nil))
    }
}
