// Attention over stored entries: the softmax of all of them, however many calls and states it took.

import Foundation
import Testing

@Suite struct AttentionTests {
    /// Stored keys and values [count, width] and queries [rows, width].
    struct Case {
        let format: EntryFormat
        let count: Int
        let width: Int
        let rows: Int
        var keys: [UInt8]
        let values: [UInt8]
        var q: [Float]

        init(_ format: EntryFormat, count: Int, width: Int, rows: Int) {
            var numbers = Numbers(UInt64(count * 1000 + width))
            (self.format, self.count, self.width, self.rows) = (format, count, width, rows)
            (keys, values) = format.random(count, width: width, using: &numbers)
            q = numbers.floats(rows * width)
        }

        func computed(_ visible: [UInt32]? = nil) -> Attention {
            var state = Attention(rows: rows, width: width)
            state.attend(format, keys: keys, values: values, count: count, q: q, visible: visible)
            return state
        }

        func expected(_ visible: [UInt32]? = nil, scoring: Scoring? = nil, heads: Int = 1) -> [Double] {
            let k = format.dequantiseKeys(keys, count: count, width: width)
            let v = format.dequantiseValues(values, count: count, width: width)
            return (0..<rows).flatMap { row -> [Double] in
                let seen = visible.map { min(Int($0[row]), count) } ?? count
                let scores = (0..<seen).map { entry in
                    let score = (0..<width).reduce(0.0) {
                        $0 + Double(q[row * width + $1]) * Double(k[entry * width + $1])
                    }
                    return scoring.map { $0.score(score, entry: entry, row: row / heads) ?? -.infinity } ?? score
                }
                let peak = scores.reduce(-1e30, max)
                let weights = scores.map { exp($0 - peak) }
                let sum = max(weights.reduce(0, +), .leastNonzeroMagnitude)
                return (0..<width).map { i in
                    (0..<seen).reduce(0.0) { $0 + weights[$1] * Double(v[$1 * width + i]) } / sum
                }
            }
        }
    }

    /// How far a set may be from the softmax of the stored numbers, which are between -1 and 1: sets that sum integers
    /// round queries and weights of `q8_0` to 16 bits, a fortieth of what its bytes are rounded by, and queries of `q4`
    /// to 8 bits, which is a tenth of what its nibbles are.
    static func bound(_ variant: Variant, _ format: EntryFormat) -> Double {
        guard variant.sumsIntegers else { return 5e-6 }
        return switch format {
        case .f32, .f16: 5e-6
        case .q8_0: 1e-4
        case .q4: 3e-2
        }
    }

    @Test("over q4, queries that bytes hold exactly lose nothing", arguments: Variant.available, [32, 64, 96, 160])
    func exactQueries(variant: Variant, width: Int) throws {
        for (count, rows) in [(2, 1), (34, 4), (64, 2), (99, 5)] {
            var example = Case(.q4, count: count, width: width, rows: rows)
            // Every channel of every group spans -1 to 1: their scales are equal, and so are the folded queries.
            var numbers = Numbers(UInt64(count + width))
            var keys = numbers.floats(count * width)
            for entry in 0..<count where entry % 32 < 2 {
                for i in 0..<width { keys[entry * width + i] = entry % 32 == 0 ? -1 : 1 }
            }
            example.keys = try #require(EntryFormat.q4.quantiseKeys(keys, count: count, width: width))
            example.q = example.q.map { $0 < 0 ? -1 : 1 }
            let out = try #require(variant.run { example.computed().finished() })
            #expect(
                distance(out, example.expected()) <= (variant.sumsIntegers ? 3e-4 : 2e-5), "\(count), \(rows) rows")
        }
    }

    @Test("attention is the softmax in double precision", arguments: Variant.available, EntryFormat.allCases)
    func oracle(variant: Variant, format: EntryFormat) throws {
        for width in format.isBlocked ? [32, 64, 96, 320] : [1, 7, 64, 80, 128, 300] {
            for (count, rows) in [(0, 1), (1, 1), (5, 2), (31, 1), (64, 4), (65, 3), (131, 16), (80, 37)] {
                let example = Case(format, count: count, width: width, rows: rows)
                let out = try #require(variant.run { example.computed().finished() })
                #expect(
                    distance(out, example.expected()) <= Self.bound(variant, format),
                    "width \(width), \(count) entries, \(rows) rows")
            }
        }
    }

    @Test(
        "a row sees its first entries only, whatever stands behind them", arguments: Variant.available,
        [EntryFormat.f32, .q8_0])
    func masked(variant: Variant, format: EntryFormat) throws {
        let (width, bound) = (32, Self.bound(variant, format))
        let example = Case(format, count: 150, width: width, rows: 6)
        let visible: [UInt32] = [0, 1, 63, 66, 150, 7]
        let out = try #require(variant.run { example.computed(visible).finished() })
        #expect(distance(out, example.expected(visible)) <= bound)
        #expect(out[..<width].allSatisfy { $0 == 0 })

        // The same rows with NaN from entry 70 on have the same bits.
        var (poisoned, clean) = (Attention(rows: 6, width: width), Attention(rows: 6, width: width))
        let behind = format.valueBytes(70, width)
        let poison = [UInt8](repeating: 0xff, count: example.keys.count - behind)
        let seen: [UInt32] = [0, 1, 63, 66, 70, 7]
        _ = variant.run {
            clean.attend(
                format, keys: example.keys, values: example.values, count: 150, q: example.q, visible: seen)
            poisoned.attend(
                format, keys: example.keys[..<behind] + poison, values: example.values[..<behind] + poison, count: 150,
                q: example.q, visible: seen)
        }
        #expect(distance(poisoned.finished(), example.expected(seen)) <= bound)
        #expect(bits(poisoned.finished()) == bits(clean.finished()))
    }

    @Test("a row that has seen nothing stays empty, without NaN", arguments: Variant.available)
    func empty(variant: Variant) throws {
        let example = Case(.f16, count: 9, width: 16, rows: 2)
        var state = try #require(variant.run { example.computed([0, 0]) })
        #expect(state.peak == [-.infinity, -.infinity])
        #expect(state.sum == [0, 0])
        _ = variant.run { state.merge(Attention(rows: 2, width: 16)) }
        #expect(state.finished() == [Float](repeating: 0, count: 32))
    }

    @Test("a row alone and in a batch give the same bits", arguments: Variant.available, EntryFormat.allCases)
    func batching(variant: Variant, format: EntryFormat) throws {
        let example = Case(format, count: 131, width: 96, rows: 21)
        let together = try #require(variant.run { example.computed().finished() })
        for row in 0..<example.rows {
            let part = row * example.width..<(row + 1) * example.width
            var state = Attention(rows: 1, width: example.width)
            _ = variant.run {
                state.attend(
                    format, keys: example.keys, values: example.values, count: example.count, q: Array(example.q[part]))
            }
            let alone = try #require(variant.run { state.finished() })
            #expect(bits(alone) == bits(Array(together[part])))
        }
    }

    @Test("states merged, or carried on, are attention at once", arguments: Variant.available, EntryFormat.allCases)
    func merged(variant: Variant, format: EntryFormat) throws {
        let example = Case(format, count: 140, width: 64, rows: 3)
        for cut in [0, 1, 32, 64, 77, 96, 140] where cut == 140 || cut.isMultiple(of: format.groupEntries) {
            let attend = { (state: inout Attention, entries: Range<Int>) in
                state.attend(
                    format, keys: Array(example.keys[format.keyBytes(entries.lowerBound, example.width)...]),
                    values: Array(example.values[format.valueBytes(entries.lowerBound, example.width)...]),
                    count: entries.count, q: example.q)
            }
            let results = try #require(
                variant.run {
                    var first = Attention(rows: 3, width: 64), second = first, carried = first
                    attend(&first, 0..<cut)
                    attend(&second, cut..<140)
                    first.merge(second)
                    attend(&carried, 0..<cut)
                    attend(&carried, cut..<140)
                    return (first.finished(), carried.finished())
                })
            #expect(distance(results.0, example.expected()) <= Self.bound(variant, format))
            #expect(distance(results.1, example.expected()) <= Self.bound(variant, format))
        }
    }

    @Test("the largest keys, queries and values do not overflow", arguments: Variant.available, [64, 256])
    func extremeBytes(variant: Variant, width: Int) throws {
        // Each key is all 127 or all -127 with scale 1, and so is its value: who is like the query gets all the weight.
        let signs: [Float] = (0..<70).map { $0 % 3 == 0 ? -127 : 127 }
        let stored = try #require(Format.q8_0.quantise(signs.flatMap { [Float](repeating: $0, count: width) }))
        for (rows, query): (Int, Float) in [(1, 1e4), (4, -1e4), (5, 1e-3)] {
            var state = Attention(rows: rows, width: width)
            let q = [Float](repeating: query, count: rows * width)
            _ = variant.run { state.attend(.q8_0, keys: stored, values: stored, count: 70, q: q) }
            let expected: Float = query > 0 ? 127 : -127
            #expect(state.finished().allSatisfy { abs($0 - expected) < 127 * 1e-4 }, "query \(query)")
        }
    }

    @Test("scores far apart neither overflow nor vanish into NaN", arguments: Variant.available)
    func extremes(variant: Variant) throws {
        // Keys 400, -400, 400: two equal winners, the loser's weight underflows.
        let keys = try #require(Format.f32.quantise([400, -400, 400])), q: [Float] = [100]
        let values = try #require(Format.f32.quantise([1, 1000, 3]))
        var state = Attention(rows: 1, width: 1)
        _ = variant.run { state.attend(.f32, keys: keys, values: values, count: 3, q: q) }
        #expect(state.finished() == [2])
        #expect(state.peak == [40000])
    }
}
