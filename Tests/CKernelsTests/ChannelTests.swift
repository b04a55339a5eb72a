// Four-bit entries: what the bytes mean, bit for bit, and how near they are to what was stored.

import CKernels
import Testing

@Suite struct ChannelTests {
    /// What the format says, written another way: levels of `step` from `zero` on, the sixteen from `lowest` up.
    struct Levels {
        let step: Float16
        let zero: Float16

        /// Of the keys of one channel of a group: the zero lies in the middle of the levels.
        init(keys: [Float]) {
            let (low, high) = (keys.min() ?? 0, keys.max() ?? 0)
            step = Float16((high - low) / 15)
            zero = Float16(low + 8 * Float(step))
        }

        /// Of the values of one block: the zero is the least.
        init(values: [Float]) {
            let (low, high) = (values.min() ?? 0, values.max() ?? 0)
            step = Float16((high - low) / 15)
            zero = Float16(low)
        }

        func quant(_ x: Float, lowest: Float) -> Float {
            let inverse = step > 0 ? 1 / Float(step) : 0
            return min(max((x - Float(zero)) * inverse, lowest), lowest + 15).rounded(.toNearestOrEven)
        }

        func value(_ quant: Float) -> Float { (Float(zero)).addingProduct(Float(step), quant) }
    }

    /// Keys with outlier channels, `[count, width]`.
    static func keys(_ count: Int, _ width: Int, seed: UInt64 = 3) -> [Float] {
        var numbers = Numbers(seed)
        return (0..<count * width).map { index in
            let channel = index % width
            return Float.random(in: -1...1, using: &numbers) * (channel % 9 == 4 ? 20 : 0.5) + Float(channel % 5)
        }
    }

    @Test(
        "keys have sixteen levels around a centre for each channel of 32 entries, to the bit",
        arguments: Variant.available)
    func keyLevels(variant: Variant) throws {
        for (count, width) in [(1, 32), (31, 64), (32, 96), (33, 64), (100, 320)] {
            let keys = Self.keys(count, width)
            var expected = [Float](repeating: .nan, count: count * width)
            for first in stride(from: 0, to: count, by: 32) {
                let entries = first..<min(first + 32, count)
                for channel in 0..<width {
                    let levels = Levels(keys: entries.map { keys[$0 * width + channel] })
                    for entry in entries {
                        let index = entry * width + channel
                        expected[index] = levels.value(levels.quant(keys[index], lowest: -8))
                    }
                }
            }
            let found = try #require(
                variant.run { () -> [Float] in
                    let stored = EntryFormat.q4.quantiseKeys(keys, count: count, width: width) ?? []
                    return EntryFormat.q4.dequantiseKeys(stored, count: count, width: width)
                })
            #expect(bits(found) == bits(expected), "\(count) entries of \(width)")
        }
    }

    @Test("values have sixteen levels from the least of each block of 32, to the bit", arguments: Variant.available)
    func valueLevels(variant: Variant) throws {
        let (count, width) = (7, 96)
        let values = Self.keys(count, width, seed: 4)
        let expected = stride(from: 0, to: values.count, by: 32).flatMap { first in
            let block = Array(values[first..<first + 32])
            let levels = Levels(values: block)
            return block.map { levels.value(levels.quant($0, lowest: 0)) }
        }
        let found = try #require(
            variant.run { () -> [Float] in
                let stored = EntryFormat.q4.quantiseValues(values, count: count, width: width) ?? []
                return EntryFormat.q4.dequantiseValues(stored, count: count, width: width)
            })
        #expect(bits(found) == bits(expected))
    }

    @Test("variants store the same bytes, five bits a number where groups are whole", arguments: Variant.available)
    func sameBytes(variant: Variant) throws {
        let keys = Self.keys(77, 64), format = EntryFormat.q4
        let portable = try #require(Variant.portable.run { format.quantiseKeys(keys, count: 77, width: 64) } ?? nil)
        #expect(variant.run { format.quantiseKeys(keys, count: 77, width: 64) } == .some(portable))
        #expect(portable.count == 3 * 4 * 64 + 77 * 32)
        #expect(format.keyBytes(64, 64) == 64 * 64 * 5 / 8)
        #expect(format.valueBytes(64, 64) == 64 * 64 * 5 / 8)
        #expect(format.keyBytes(0, 64) == 0)
    }

    @Test("the first entries are the first bytes: a group that is cut keeps its scales", arguments: Variant.available)
    func prefix(variant: Variant) throws {
        let (count, width, format) = (100, 64, EntryFormat.q4)
        let stored = try #require(format.quantiseKeys(Self.keys(count, width), count: count, width: width))
        let all = format.dequantiseKeys(stored, count: count, width: width)
        for kept in [1, 31, 32, 33, 96, 99] {
            let prefix = Array(stored.prefix(format.keyBytes(kept, width)))
            let found = try #require(variant.run { format.dequantiseKeys(prefix, count: kept, width: width) })
            #expect(bits(found) == bits(Array(all[..<(kept * width)])))
        }
    }

    @Test("keys and values come back within half a step and the halves' rounding")
    func roundTrip() throws {
        let (count, width, format) = (64, 64, EntryFormat.q4)
        for magnitude: Float in [1, 1e-3, 1000, 0] {
            let x = Self.keys(count, width).map { $0 * magnitude }
            let keys = try #require(format.quantiseKeys(x, count: count, width: width))
            let values = try #require(format.quantiseValues(x, count: count, width: width))
            let backs = [
                format.dequantiseKeys(keys, count: count, width: width),
                format.dequantiseValues(values, count: count, width: width),
            ]
            for index in x.indices {
                let group = index / width / 32 * 32
                let channel = (group..<group + 32).map { x[$0 * width + index % width] }
                let block = Array(x[index / 32 * 32..<index / 32 * 32 + 32])
                for (back, numbers) in zip(backs, [channel, block]) {
                    let (low, high) = (numbers.min() ?? 0, numbers.max() ?? 0)
                    // Fifteen steps, each wrong by the rounding of a half; the zero once; a subnormal step by half of
                    // 2^-24.
                    let rounding = (high - low + max(abs(low), abs(high))) * 0x1p-10
                    let bound = (high - low) / 30 + rounding + 15 * 0x1p-25
                    #expect(abs(back[index] - x[index]) <= bound)
                }
            }
        }
    }

    @Test("channels that never change are their centre, and what is too small for a half step is one number")
    func constant() throws {
        let settled: [Float] = (0..<32).map { $0 == 0 ? 3 : $0 == 1 ? 0 : -0.25 }
        var keys = (0..<5).flatMap { _ in settled }
        // One channel changes by less than any half float.
        for entry in 0..<5 { keys[32 * entry + 1] = Float(entry) * 0x1p-60 }
        let stored = try #require(EntryFormat.q4.quantiseKeys(keys, count: 5, width: 32))
        let back = EntryFormat.q4.dequantiseKeys(stored, count: 5, width: 32)
        #expect(back == (0..<5).flatMap { _ in settled })
    }

    @Test("rows that are no whole blocks are refused")
    func refused() {
        let x = [Float](repeating: 1, count: 80)
        #expect(EntryFormat.q4.keyBytes(2, 40) == 0)
        #expect(EntryFormat.q4.quantiseKeys(x, count: 2, width: 40) == nil)
        #expect(EntryFormat.q4.quantiseValues(x, count: 2, width: 40) == nil)
        #expect(EntryFormat.q8_0.quantiseKeys(x, count: 2, width: 40) == nil)
    }
}
