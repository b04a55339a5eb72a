// Blockwise softmax and the column statistics CAKE takes from it.

import CKernels
import Foundation
import Testing

@Suite struct SoftmaxTests {
    @Test("the exponential errs by less than 2 ulp, down to 0 at -infinity", arguments: Variant.available)
    func exponential(variant: Variant) throws {
        // A first score of 0 is the peak, so every weight is e^score.
        let arguments: [Float] = [0] + (0..<20_000).map { -Float($0) * 0.005_4 } + [-104, -105, -1000, -.infinity]
        var weights = arguments
        _ = variant.run {
            var state = Attention(rows: 1, width: 0)
            state.softmax(&weights, columns: weights.count)
        }
        for (x, weight) in zip(arguments, weights) {
            let exact = exp(Double(x))
            // Below the normal floats the step is fixed.
            let bound = max(exact * 0x1p-22, Double(Float.leastNonzeroMagnitude) * 2)
            guard abs(Double(weight) - exact) > bound || weight.isNaN else { continue }
            Issue.record("e^\(x) = \(weight)")
        }
        #expect(weights.last == 0)
    }

    @Test("softmax over several tiles is softmax at once", arguments: Variant.available)
    func tiles(variant: Variant) throws {
        let rows = 5, width = 9, tiles = [1, 16, 37, 64, 3]
        var numbers = Numbers(11)
        let total = tiles.reduce(0, +)
        let scores = numbers.floats(rows * total, in: -30...30)
        let values = numbers.floats(total * width)
        let visible = [0, 1, 40, 118, 121]
        var state = Attention(rows: rows, width: width)
        var first = 0
        for columns in tiles {
            var tile = (0..<rows).flatMap { scores[$0 * total + first..<$0 * total + first + columns] }
            let shown = visible.map { UInt32(max(0, min($0 - first, columns))) }
            _ = variant.run { state.softmax(&tile, columns: columns, visible: shown) }
            for row in 0..<rows {
                for column in 0..<columns {
                    let weight = tile[row * columns + column]
                    #expect(column < shown[row] || weight == 0)
                    for i in 0..<width { state.out[row * width + i] += weight * values[(first + column) * width + i] }
                }
            }
            first += columns
        }
        let out = try #require(variant.run { state.finished() })
        let expected = (0..<rows).flatMap { row -> [Double] in
            let row = scores[row * total..<row * total + visible[row]].map(Double.init)
            let peak = row.max() ?? 0
            let weights = row.map { exp($0 - peak) }, sum = max(weights.reduce(0, +), 1e-300)
            return (0..<width).map { i in
                weights.indices.reduce(0.0) { $0 + weights[$1] * Double(values[$1 * width + i]) } / sum
            }
        }
        #expect(distance(out, expected) <= 3e-6)
    }

    struct Statistics {
        var attention: [Float]
        var mean: [Float]
        var variance: [Float]
        var maximum: [Float]
        var entropy: Double

        init(_ scores: [Float], rows: Int, columns: Int, logSums: [Float], visible: [UInt32]?) {
            attention = scores
            (mean, variance, maximum) = ([], [], [])
            entropy = 0
            var mean = [Float](repeating: .nan, count: columns), variance = mean, maximum = mean
            var attention = scores, entropy = 0.0
            unsafe visible.withPointer { visible in
                entropy = unsafe caked_observe_tile(
                    &attention, columns, rows, columns, logSums, visible, &mean, &variance, &maximum)
            }
            (self.attention, self.mean, self.variance, self.maximum) = (attention, mean, variance, maximum)
            self.entropy = entropy
        }
    }

    @Test("column statistics follow their formulas in double precision", arguments: Variant.available)
    func observed(variant: Variant) throws {
        for (rows, columns) in [(0, 5), (1, 1), (2, 15), (7, 16), (32, 70), (300, 33)] {
            for isMasked in [false, true] {
                var numbers = Numbers(UInt64(rows + columns))
                let scores = numbers.floats(rows * columns, in: -6...4)
                let logSums = numbers.floats(rows, in: 5...8)
                let visible = isMasked ? (0..<rows).map { UInt32($0 * columns / max(1, rows - 1)) } : nil
                let found = try #require(
                    variant.run {
                        Statistics(scores, rows: rows, columns: columns, logSums: logSums, visible: visible)
                    })
                let log = { (row: Int, column: Int) -> Double? in
                    if let visible, column >= visible[row] { return nil }
                    return Double(scores[row * columns + column]) - Double(logSums[row])
                }
                let a = (0..<columns).map { column in (0..<rows).map { row in log(row, column).map(exp) ?? 0 } }
                let mean = a.map { $0.reduce(0, +) / Double(max(1, rows)) }
                let variance = (0..<columns).map { column in
                    rows < 2 ? 0 : a[column].reduce(0) { $0 + pow($1 - mean[column], 2) } / Double(rows - 1)
                }
                let maximum = a.map { $0.max() ?? 0 }
                let entropy = a.joined().reduce(0.0) { $0 - ($1 > 0 ? $1 * Foundation.log($1) : 0) }
                #expect(relative(found.mean, mean) <= 1e-5)
                #expect(relative(found.variance, variance) <= 1e-5)
                #expect(relative(found.maximum, maximum) <= 2e-6)
                #expect(abs(found.entropy - entropy) <= 1e-6 * max(1, entropy))
                for row in 0..<rows {
                    for column in 0..<columns {
                        let difference = abs(Double(found.attention[row * columns + column]) - a[column][row])
                        #expect(difference <= 2e-6 * a[column][row])
                    }
                }
            }
        }
    }

    @Test(
        "the largest change follows its formula, and stays finite where one entry is all", arguments: Variant.available)
    func change(variant: Variant) throws {
        let (rows, columns, width) = (5, 37, 3)
        var numbers = Numbers(9)
        let (out, value) = (numbers.floats(rows * width), numbers.floats(columns * width))
        var attention = numbers.floats(rows * columns, in: 0...0.9)
        attention[0] = 1
        let scales = numbers.floats(rows, in: 0.5...2)
        func dot(_ a: ArraySlice<Float>, _ b: ArraySlice<Float>) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
        let o = (0..<rows).map { out[$0 * width..<($0 + 1) * width] }
        let v = (0..<columns).map { value[$0 * width..<($0 + 1) * width] }
        let products = o.flatMap { o in v.map { dot(o, $0) } }
        let outSquares = o.map { dot($0, $0) }, valueSquares = v.map { dot($0, $0) }
        let found = try #require(
            variant.run {
                var change = [Float](repeating: .nan, count: columns)
                unsafe caked_observe_change(
                    attention, products, columns, rows, columns, outSquares, valueSquares, scales, &change)
                return change
            })
        #expect(found[0].isFinite)
        for column in 1..<columns {
            let expected =
                (0..<rows).map { row in
                    let a = Double(attention[row * columns + column])
                    let distance = zip(o[row], v[column]).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
                    return Double(scales[row]) * a / (1 - a) * distance.squareRoot()
                }.max() ?? 0
            // The stand-in for a weight of 1 is worth 1e-4 / (1 - a)².
            #expect(abs(Double(found[column]) - expected) <= 2e-2 * expected)
        }
    }

    func relative(_ found: [Float], _ expected: [Double]) -> Double {
        zip(found, expected).reduce(0) { largest, pair in
            guard Double(pair.0) != pair.1 else { return largest }
            let difference = abs(Double(pair.0) - pair.1) / max(abs(pair.1), 1e-30)
            return difference.isNaN ? .infinity : max(largest, difference)
        }
    }

    @Test("attention that underflows has no entropy", arguments: Variant.available)
    func vanishing(variant: Variant) throws {
        let found = try #require(
            variant.run {
                Statistics(
                    [-.infinity, -500, 0, 0], rows: 2, columns: 2, logSums: [0, 0.693_147_2], visible: nil)
            })
        #expect(found.attention[..<2] == [0, 0])
        #expect(abs(found.entropy - log(2)) < 1e-6)
    }
}
