// Water-filling between floor and cap, and whole budgets without a slot unspent.

import CAKE
import Testing

@Suite("Allocation")
struct AllocationTests {
    struct Example: Sendable {
        let preferences: [Double?]
        let average: Int
        let cap: Int
        let floorShare: Double
        let budgets: [Double]
    }

    @Test(
        "layers share as worked out by hand",
        arguments: [
            Example(preferences: [1, 2, 3], average: 4, cap: 100, floorShare: 0, budgets: [2, 4, 6]),
            // The third layer is capped; the 7 others go 1 to 2.
            Example(preferences: [1, 2, 30], average: 4, cap: 5, floorShare: 0, budgets: [7.0 / 3, 14.0 / 3, 5]),
            // A tenth of the average is 1: the first layer is lifted to it, the others share 29 as 2 to 27.
            Example(
                preferences: [0.01, 2, 27], average: 10, cap: 100, floorShare: 0.1, budgets: [1, 2, 27]),
            // Floor and cap at once: 3 + 10, and 17 is left for the second.
            Example(
                preferences: [1e-9, 1, 10], average: 10, cap: 25, floorShare: 0.3, budgets: [3, 3, 24]),
            Example(preferences: [5, 1], average: 10, cap: 10, floorShare: 0, budgets: [10, 10]),
            // No preference at all: uniform.
            Example(preferences: [0, 0, 0, 0], average: 3, cap: 9, floorShare: 0.2, budgets: [3, 3, 3, 3]),
            // A silent layer gets what capped ones leave.
            Example(preferences: [0, 1, 0], average: 4, cap: 6, floorShare: 0, budgets: [3, 6, 3]),
            Example(preferences: [0, 1, 1], average: 4, cap: 20, floorShare: 0.25, budgets: [1, 5.5, 5.5]),
            // An unusable preference takes the average out of the pool.
            Example(preferences: [nil, 1, 3], average: 4, cap: 20, floorShare: 0, budgets: [4, 2, 6]),
            Example(preferences: [nil, nil], average: 4, cap: 20, floorShare: 0, budgets: [4, 4]),
            // All of the average guaranteed: uniform.
            Example(preferences: [1, 100], average: 7, cap: 20, floorShare: 1, budgets: [7, 7]),
            Example(preferences: [1, 100], average: 0, cap: 20, floorShare: 0.2, budgets: [0, 0]),
        ])
    func examples(_ example: Example) {
        let filling = WaterFilling(
            layers: example.preferences.count, averageBudget: example.average, cap: example.cap,
            floorShare: example.floorShare)
        let budgets = filling.budgets(example.preferences)
        #expect(zip(budgets, example.budgets).allSatisfy { abs($0 - $1) < 1e-9 }, "\(budgets)")
    }

    @Test("agrees with a bisection for λ at every stage") func bisection() {
        var random = Seeded(state: 11)
        for _ in 0..<2000 {
            let layers = random.int(1...20)
            let cap = random.int(1...400)
            let filling = WaterFilling(
                layers: layers, averageBudget: random.int(0...cap), cap: cap,
                floorShare: random.chance(0.5) ? 0 : Double.random(in: 0...1, using: &random))
            let preferences = (0..<random.int(1...layers)).map { _ in exp2(4 * random.normal()) }
            func budgets(_ lambda: Double) -> [Double] {
                preferences.map { min(Double(cap), max(filling.floors[0], lambda * $0)) }
            }
            let total = min(Double(filling.total), Double(cap * preferences.count))
            var (low, high) = (0.0, 1e30)
            for _ in 0..<400 {
                let middle = (low * high).squareRoot() + 1e-30
                if budgets(middle).reduce(0, +) < total { low = middle } else { high = middle }
            }
            let apart = zip(filling.budgets(preferences), budgets(high)).map { abs($0 - $1) }.max() ?? 1
            #expect(apart < 1e-6, "\(preferences) \(filling)")
        }
    }

    struct Rounding: Sendable {
        let preferences: [Double?]
        let average: Int
        let cap: Int
        let floorShare: Double
        let counts: [Int]
    }

    @Test(
        "whole budgets as worked out by hand, ties to the lower layer",
        arguments: [
            Rounding(preferences: [1, 2, 3], average: 4, cap: 100, floorShare: 0, counts: [2, 4, 6]),
            Rounding(preferences: [1, 1, 1, 1], average: 5, cap: 20, floorShare: 0, counts: [5, 5, 5, 5]),
            // 4.5, 4.5, 3: the slots at 4.5 cost the same.
            Rounding(preferences: [1.5, 1.5, 1], average: 4, cap: 100, floorShare: 0, counts: [5, 4, 3]),
            Rounding(preferences: [1, 2, 30], average: 4, cap: 5, floorShare: 0, counts: [2, 5, 5]),
            Rounding(preferences: [0.01, 2, 27], average: 10, cap: 100, floorShare: 0.1, counts: [1, 2, 27]),
            Rounding(preferences: [0, 1, 0], average: 4, cap: 6, floorShare: 0, counts: [3, 6, 3]),
            Rounding(preferences: [0, 0, 0], average: 3, cap: 9, floorShare: 0.2, counts: [3, 3, 3]),
            Rounding(preferences: [nil, 1, 3], average: 4, cap: 20, floorShare: 0, counts: [4, 2, 6]),
            Rounding(preferences: [5, 1], average: 10, cap: 10, floorShare: 0, counts: [10, 10]),
        ])
    func rounding(_ example: Rounding) {
        let filling = WaterFilling(
            layers: example.preferences.count, averageBudget: example.average, cap: example.cap,
            floorShare: example.floorShare)
        #expect(filling.counts(example.preferences) == example.counts)
    }

    @Test("what layers of a window cannot hold goes to the others") func windows() {
        let filling = WaterFilling(caps: [3, 20, 3, 20], total: 24, floorShare: 0.5)
        #expect(filling.equal == [3, 9, 3, 9] && filling.wholeEqual == [3, 9, 3, 9])
        #expect(filling.budgets([nil, nil, nil, nil]) == [3, 9, 3, 9])
        // The third layer stays on its floor of 1.5, the first at its cap; 19.5 are shared 1 to 2.
        #expect(filling.budgets([5, 1, 0.01, 2]) == [3, 6.5, 1.5, 13])
        #expect(filling.counts([5, 1, 0.01, 2]) == [3, 6, 2, 13])
        // Odd ones go to the lower layer.
        #expect(WaterFilling(caps: [3, 20, 3, 20], total: 25, floorShare: 0).wholeEqual == [3, 10, 3, 9])
    }

    @Test("whole budgets spend the total, lie near the real ones, and never grow as budgets fall or layers come")
    func monotone() {
        var random = Seeded(state: 12)
        for _ in 0..<100 {
            let layers = random.int(1...20)
            let cap = random.int(1...120)
            let floorShare = random.chance(0.3) ? 0 : Double.random(in: 0...1, using: &random)
            let preferences = (0..<layers).map { _ -> Double? in
                random.chance(0.1) ? nil : random.chance(0.1) ? 0 : exp2(4 * random.normal())
            }
            let beta = random.int(1...30)
            var larger: (cake: [Int], pyramid: [Int])?
            for average in (0...cap).reversed() {
                let filling = WaterFilling(layers: layers, averageBudget: average, cap: cap, floorShare: floorShare)
                let cake = filling.counts(preferences)
                let pyramid = Pyramid.counts(layers: layers, average: average, cap: cap, beta: beta)
                #expect(cake.reduce(0, +) == average * layers && pyramid.reduce(0, +) == average * layers)
                let real = filling.budgets(preferences)
                #expect(zip(cake, real).allSatisfy { abs(Double($0) - $1) <= 1 + Double(layers) / 2 })
                let fewer = filling.counts(Array(preferences.dropLast()))
                #expect(zip(fewer, cake).allSatisfy { $0 >= $1 })
                if let larger {
                    #expect(zip(larger.cake, cake).allSatisfy { $0 >= $1 }, "\(preferences) \(filling)")
                    #expect(zip(larger.pyramid, pyramid).allSatisfy { $0 >= $1 })
                }
                larger = (cake, pyramid)
            }
        }
    }

    private func exp2(_ x: Double) -> Double {
        let whole = x.rounded(.down)
        return Double(sign: .plus, exponent: Int(whole), significand: 1 + x - whole)
    }
}

extension WaterFilling {
    /// Layers that all hold as much.
    fileprivate init(layers: Int, averageBudget: Int, cap: Int, floorShare: Double) {
        self.init(
            caps: Array(repeating: cap, count: layers), total: averageBudget * layers, floorShare: floorShare)
    }
}
