// Water-filling between floor and cap, and rounding without a slot unspent.

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
                preferences.map { min(Double(cap), max(filling.floor, lambda * $0)) }
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

    @Test("rounds by largest remainder, ties to the lower layer") func rounding() {
        let filling = WaterFilling(layers: 4, averageBudget: 5, cap: 20, floorShare: 0)
        #expect(filling.rounded([4.5, 4.5, 4.25, 6.75], kept: [9, 9, 9, 9]) == [5, 4, 4, 7])
        #expect(filling.rounded([4.25, 4.25, 5.25, 6.25], kept: [9, 9, 9, 9]) == [5, 4, 5, 6])
        #expect(filling.rounded([5, 5, 5, 5], kept: [20, 20, 20, 20]) == [5, 5, 5, 5])
    }

    @Test("rounding never exceeds what a layer still holds") func limits() {
        let filling = WaterFilling(layers: 3, averageBudget: 4, cap: 20, floorShare: 0)
        #expect(filling.rounded([3.9, 3.9, 4.2], kept: [3, 4, 9]) == [3, 4, 5])
    }

    private func exp2(_ x: Double) -> Double {
        let whole = x.rounded(.down)
        return Double(sign: .plus, exponent: Int(whole), significand: 1 + x - whole)
    }
}
