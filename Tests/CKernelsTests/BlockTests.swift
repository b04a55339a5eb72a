// Blockwise attention and the column statistics CAKE takes from it, against double precision.

import CKernels
import Foundation
import Testing

/// Rows of one query group over stored entries, in the shapes of the blockwise kernels.
struct BlockExample {
    let format: EntryFormat
    let (width, rows, group, count): (Int, Int, Int, Int)
    /// How many entries the first row sees; each later row sees one more.
    let firstSeen: Int
    /// `[rows, group, width]`, `[count, width]`.
    let query: [Float]
    let keys: [UInt8]
    let values: [UInt8]

    init(_ format: EntryFormat = .f32, width: Int, rows: Int, group: Int, count: Int, firstSeen: Int) {
        var numbers = Numbers(UInt64(count * 1000 + width))
        self.format = format
        (self.width, self.rows, self.group, self.count) = (width, rows, group, count)
        self.firstSeen = firstSeen
        let scale = 3 / Float(width).squareRoot()
        query = numbers.floats(rows * group * width, in: -scale...scale)
        (keys, values) = format.random(count, width: width, using: &numbers)
    }

    static let all = [
        BlockExample(width: 64, rows: 48, group: 2, count: 200, firstSeen: 200),
        BlockExample(.f16, width: 64, rows: 37, group: 3, count: 130, firstSeen: 94),
        BlockExample(.q8_0, width: 96, rows: 99, group: 1, count: 65, firstSeen: -30),
        BlockExample(.q4, width: 96, rows: 50, group: 2, count: 131, firstSeen: 90),
        BlockExample(width: 6, rows: 5, group: 2, count: 70, firstSeen: 3),
        BlockExample(.f16, width: 7, rows: 50, group: 1, count: 64, firstSeen: 64),
        BlockExample(.f16, width: 128, rows: 100, group: 4, count: 129, firstSeen: 30),
        BlockExample(width: 1, rows: 1, group: 1, count: 1, firstSeen: 1),
    ]

    func seen(_ row: Int) -> Int { max(0, min(count, firstSeen + row)) }

    private func vectors(_ floats: [Float]) -> [[Double]] {
        (0..<count).map { floats[$0 * width..<($0 + 1) * width].map { Double($0) } }
    }

    /// The score of each entry of the first that a row sees, by head: `[row][head][entry]`; nil where it stands before
    /// the row's window.
    func scores(_ scoring: Scoring?) -> [[[Double?]]] {
        let keys = vectors(format.dequantiseKeys(keys, count: count, width: width))
        return (0..<rows).map { row in
            (0..<group).map { head in
                let q = query[(row * group + head) * width..<(row * group + head + 1) * width].map { Double($0) }
                return keys[..<seen(row)].enumerated().map { entry, key in
                    let score = zip(q, key).reduce(0) { $0 + $1.0 * $1.1 }
                    return scoring.map { $0.score(score, entry: entry, row: row) } ?? score
                }
            }
        }
    }

    func scores() -> [[[Double]]] { scores(nil).map { $0.map { $0.compactMap(\.self) } } }

    /// What rows gather, `[rows, group, width]`, and ln Σ e^score, `[group, rows]`.
    func expected(_ scoring: Scoring? = nil, sinks: [Float]? = nil) -> (out: [Double], logSums: [Double]) {
        let values = vectors(format.dequantiseValues(values, count: count, width: width))
        let scores = scores(scoring)
        var logSums = [Double](repeating: -.infinity, count: group * rows)
        let out = (0..<rows).flatMap { row in
            (0..<group).flatMap { head -> [Double] in
                let weights = scores[row][head].map { score in score.map { exp($0) } ?? 0 }
                let sum = weights.reduce(sinks.map { exp(Double($0[head])) } ?? 0, +)
                logSums[head * rows + row] = log(sum)
                return (0..<width).map { i in
                    weights.indices.reduce(0) { $0 + weights[$1] * values[$1][i] } / max(sum, 1e-300)
                }
            }
        }
        return (out, logSums)
    }

    func packed(_ precision: caked_precision) -> [Float] {
        let unit = caked_block_query_size(1, width)
        var packed = [Float](repeating: .nan, count: caked_block_query_size(rows, width) * group)
        for first in stride(from: 0, to: rows, by: Int(CAKED_BLOCK_UNIT)) {
            for head in 0..<group {
                let source = Array(query[((first * group) + head) * width..<query.count])
                var part = [Float](repeating: .nan, count: unit)
                let count = min(Int(CAKED_BLOCK_UNIT), rows - first)
                unsafe caked_block_pack(precision, source, group * width, count, width, &part)
                let place = (first / Int(CAKED_BLOCK_UNIT) * group + head) * unit
                packed.replaceSubrange(place..<place + unit, with: part)
            }
        }
        return packed
    }

    /// Attention in as many calls as there are `cuts` and one more.
    func computed(
        _ precision: caked_precision, cuts: [Int] = [], scoring: Scoring? = nil, sinks: [Float]? = nil
    ) -> (out: [Float], logSums: [Float]) {
        let packed = packed(precision)
        var state = [Float](repeating: .nan, count: caked_block_state_size(rows, group, width))
        var room = [Float](repeating: .nan, count: caked_block_room_size(width))
        unsafe sinks.withPointer { unsafe caked_block_begin(precision, rows, group, width, $0, &state) }
        for (first, end) in zip([0] + cuts, cuts + [count]) {
            func call(_ scoring: UnsafePointer<caked_scoring>?) {
                unsafe caked_block_attend(
                    precision, packed, rows, group, width, format.type, Array(keys[format.keyBytes(first, width)...]),
                    Array(values[format.valueBytes(first, width)...]), end - first, firstSeen - first, scoring, true,
                    &state, &room)
            }
            if let scoring { unsafe scoring.withPointer(from: first, call) } else { call(nil) }
        }
        var out = [Float](repeating: .nan, count: rows * group * width)
        var logSums = [Float](repeating: .nan, count: group * rows)
        unsafe caked_block_finish(precision, state, rows, group, width, &out, group * width, &logSums, rows)
        return (out, logSums)
    }
}

@Suite struct BlockTests {
    @Test("blockwise attention is the softmax in double precision", arguments: Variant.available)
    func oracle(variant: Variant) throws {
        for example in BlockExample.all {
            let expected = example.expected()
            // Bfloats keep 8 bits: half of 2^-8 of each factor.
            for (precision, bound) in [(CAKED_FLOAT, 2e-6), (CAKED_BFLOAT, 1e-2)] {
                let group = example.format.groupEntries
                for cuts in [[], [64], [32], [1, 5]]
                where cuts.last ?? 0 <= example.count && cuts.allSatisfy({ $0.isMultiple(of: group) }) {
                    let found = try #require(variant.run { example.computed(precision, cuts: cuts) })
                    #expect(distance(found.out, expected.out) <= bound)
                    #expect(distance(found.logSums, expected.logSums) <= bound * 2)
                }
            }
        }
    }

    @Test("a row alone and in a block give the same bits", arguments: Variant.available)
    func batching(variant: Variant) throws {
        for precision in [CAKED_FLOAT, CAKED_BFLOAT] {
            let many = BlockExample(.f16, width: 64, rows: 70, group: 1, count: 131, firstSeen: 131)
            let together = try #require(variant.run { many.computed(precision) })
            for row in [0, 15, 16, 47, 48, 69] {
                let part = Array(many.query[row * 64..<(row + 1) * 64])
                var state = [Float](repeating: 0, count: caked_block_state_size(1, 1, 64))
                var out = [Float](repeating: .nan, count: 64)
                _ = variant.run {
                    var packed = [Float](repeating: .nan, count: caked_block_query_size(1, 64))
                    var room = [Float](repeating: .nan, count: caked_block_room_size(64))
                    unsafe caked_block_pack(precision, part, 64, 1, 64, &packed)
                    unsafe caked_block_begin(precision, 1, 1, 64, nil, &state)
                    unsafe caked_block_attend(
                        precision, packed, 1, 1, 64, many.format.type, many.keys, many.values, 131, 131, nil, true,
                        &state, &room)
                    unsafe caked_block_finish(precision, state, 1, 1, 64, &out, 64, nil, 0)
                }
                #expect(bits(out) == bits(Array(together.out[row * 64..<(row + 1) * 64])))
            }
        }
    }

    struct Statistics {
        var mean: [Float]
        var variance: [Float]
        var maximum: [Float]
        var entropy = 0.0
    }

    /// One tile of keys, observed by head 0, with given normalisers.
    static func observe(
        _ example: BlockExample, _ precision: caked_precision, logSums: [Float], scoring: Scoring? = nil,
        change: caked_change? = nil, from maximum: Float = 0
    ) -> Statistics {
        var found = Statistics(
            mean: Array(repeating: .nan, count: example.count), variance: Array(repeating: .nan, count: example.count),
            maximum: Array(repeating: maximum, count: example.count))
        var room = [Float](repeating: .nan, count: caked_block_room_size(example.width))
        let step = caked_block_query_size(1, example.width) * example.group
        let packed = example.packed(precision)
        func call(_ change: UnsafePointer<caked_change>?, _ scoring: UnsafePointer<caked_scoring>?) {
            // Each array by itself: what a closure captures is accessed as a whole.
            var (mean, variance, maximum) = (found.mean, found.variance, found.maximum)
            found.entropy = unsafe caked_observe(
                precision, packed, step, example.rows, example.width, example.format.type, example.keys,
                example.count, example.firstSeen, scoring, logSums, change, &mean, &variance, &maximum, &room)
            (found.mean, found.variance, found.maximum) = (mean, variance, maximum)
        }
        if let scoring {
            unsafe scoring.withPointer(from: 0) { call(nil, $0) }
        } else if var change = unsafe change {
            unsafe call(&change, nil)
        } else {
            call(nil, nil)
        }
        return found
    }

    @Test("column statistics follow their formulas in double precision", arguments: Variant.available)
    func observed(variant: Variant) throws {
        for (rows, count, firstSeen) in [(1, 1, 1), (2, 15, 15), (7, 16, 3), (49, 64, 64), (300, 33, -20)] {
            let example = BlockExample(.f16, width: 64, rows: rows, group: 2, count: count, firstSeen: firstSeen)
            let scores = example.scores().map { $0[0] }
            let logSums = scores.map { Float(log($0.reduce(1) { $0 + exp($1) })) }
            let a = (0..<count).map { key in
                (0..<rows).map { key < scores[$0].count ? exp(scores[$0][key] - Double(logSums[$0])) : 0 }
            }
            let mean = a.map { $0.reduce(0, +) / Double(rows) }
            let variance = zip(a, mean).map { a, mean in
                rows < 2 ? 0 : a.reduce(0) { $0 + pow($1 - mean, 2) } / Double(rows - 1)
            }
            let entropy = a.joined().reduce(0.0) { $0 - ($1 > 0 ? $1 * Foundation.log($1) : 0) }
            for (precision, bound) in [(CAKED_FLOAT, 1e-5), (CAKED_BFLOAT, 4e-2)] {
                let found = try #require(variant.run { Self.observe(example, precision, logSums: logSums) })
                #expect(relative(found.mean, mean) <= bound)
                #expect(relative(found.variance, variance) <= 3 * bound)
                #expect(relative(found.maximum, a.map { $0.max() ?? 0 }) <= bound)
                #expect(abs(found.entropy - entropy) <= bound * max(1, entropy))
            }
        }
    }

    @Test(
        "the largest change follows its formula, whatever was largest before, and stays finite where one entry is all",
        arguments: Variant.available)
    func change(variant: Variant) throws {
        let (rows, width) = (60, 24)
        let example = BlockExample(width: width, rows: rows, group: 1, count: 37, firstSeen: 37)
        let scores = example.scores().map { $0[0] }
        var logSums = scores.map { Float(log($0.reduce(0) { $0 + exp($1) })) }
        // The first row's best entry has all the weight.
        logSums[0] = Float(scores[0].max() ?? 0)
        var numbers = Numbers(9)
        let out = numbers.floats(rows * width), scales = numbers.floats(rows, in: 0.5...2)
        let value = example.format.dequantiseValues(example.values, count: 37, width: width)
        let outSquares = (0..<rows).map { row in out[row * width..<(row + 1) * width].reduce(0) { $0 + $1 * $1 } }
        let valueSquares = (0..<37).map { key in value[key * width..<(key + 1) * width].reduce(0) { $0 + $1 * $1 } }
        for before in [Float(0), 0.05] {
            let found = try #require(
                variant.run { () -> Statistics in
                    let unit = caked_block_query_size(1, width)
                    var mapped: [Float] = []
                    for first in [0, 48] {
                        var part = [Float](repeating: .nan, count: unit)
                        unsafe caked_block_pack(
                            CAKED_FLOAT, Array(out[(first * width)...]), width, min(48, rows - first), width, &part)
                        mapped += part
                    }
                    return unsafe mapped.withUnsafeBufferPointer { mapped in
                        unsafe outSquares.withUnsafeBufferPointer { outSquares in
                            unsafe scales.withUnsafeBufferPointer { scales in
                                unsafe valueSquares.withUnsafeBufferPointer { squares in
                                    unsafe example.values.withUnsafeBytes { values in
                                        let change = unsafe caked_change(
                                            mapped: mapped.baseAddress, mapped_step: unit,
                                            out_squares: outSquares.baseAddress, row_scales: scales.baseAddress,
                                            values: values.baseAddress, value_squares: squares.baseAddress)
                                        return unsafe Self.observe(
                                            example, CAKED_FLOAT, logSums: logSums, change: change, from: before)
                                    }
                                }
                            }
                        }
                    }
                })
            #expect(found.maximum.allSatisfy { $0.isFinite })
            for key in 0..<37 where exp(scores[0][key] - Double(logSums[0])) < 0.9 {
                let expected =
                    (0..<rows).map { row in
                        let a = exp(scores[row][key] - Double(logSums[row]))
                        let distance = (0..<width).reduce(0.0) {
                            $0 + pow(Double(out[row * width + $1]) - Double(value[key * width + $1]), 2)
                        }
                        return Double(scales[row]) * a / (1 - a) * distance.squareRoot()
                    }.max() ?? 0
                // The stand-in for a weight of 1 is worth 1e-4 / (1 - a)².
                #expect(abs(Double(found.maximum[key]) - max(expected, Double(before))) <= 2e-2 * expected)
            }
        }
    }

    private func relative(_ found: [Float], _ expected: [Double]) -> Double {
        zip(found, expected).reduce(0) { largest, pair in
            guard Double(pair.0) != pair.1 else { return largest }
            let difference = abs(Double(pair.0) - pair.1) / max(abs(pair.1), 1e-30)
            return difference.isNaN ? .infinity : max(largest, difference)
        }
    }
}
