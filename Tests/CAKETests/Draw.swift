// Seeded random documents, methods and observations, with the awkward ones drawn often.

import CAKE
import Foundation

/// SplitMix64: the same draws on every machine.
struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    mutating func int(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &self) }
    mutating func chance(_ share: Double) -> Bool { Double.random(in: 0..<1, using: &self) < share }

    mutating func normal() -> Double {
        let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &self))).squareRoot()
        return radius * cos(2 * .pi * Double.random(in: 0..<1, using: &self))
    }
}

/// One random compression problem with a budget that fits it.
struct Draw {
    let method: Method
    let kvHeads: Int
    let tokens: Int
    let prefix: Int
    /// Of windows in some layers; nil mostly.
    let capacities: [Int]?
    let budget: Int
    let observations: [LayerObservation]

    init(_ random: inout Seeded) {
        let floors = [0, 0, 0.2, 0.5, 1, Double.random(in: 0...1, using: &random)]
        let floorShare = floors[random.int(0...5)]
        let allocations: [Method.Allocation] = [
            .uniform, .pyramid(beta: random.int(1...30)), .global(floorShare: floorShare),
            .guardedGlobal(
                tau1: 1, tau2: 1, share: floors[random.int(0...5)], floorShare: floors[random.int(0...5)]),
        ]
        let safeguards = [0, 0, 0.2, 0.5, 1, Double.random(in: 0...1, using: &random)]
        let heads: Method.HeadShares =
            random.chance(0.5) ? .equal : .compete(safeguard: safeguards[random.int(0...5)])
        method = Method(
            name: "drawn",
            observation: random.chance(0.5) ? .window(rows: random.int(1...8)) : .reconstruction(chunkRows: 512),
            indicator: .maximum,
            allocation: random.chance(0.5)
                ? .cake(tau1: 1, tau2: 1, floorShare: floorShare) : allocations[random.int(0...3)],
            heads: heads, protectedTokens: random.chance(0.5) ? random.int(0...4) : 0,
            recentTokens: random.chance(0.2) ? random.int(0...9) : 0, protectsTemplatePrefix: random.chance(0.5))
        kvHeads = random.int(1...4)
        tokens = random.chance(0.1) ? random.int(1...12) : random.int(1...90)
        prefix = random.int(0...min(tokens, 6))
        // Tiny, huge and middling budgets.
        let smallest = method.smallestBudget(tokens: tokens, templatePrefixTokens: prefix)
        switch random.int(0...4) {
        case 0: budget = min(tokens, smallest + random.int(0...2))
        case 1: budget = max(smallest, tokens - random.int(0...2))
        default: budget = random.int(smallest...tokens)
        }
        observations = Self.observations(&random, values: kvHeads * method.observedTokens(documentTokens: tokens))
        capacities = random.chance(0.3) ? Self.capacities(&random, layers: observations.count, tokens) : nil
    }

    /// One or two windows, in some of the layers.
    private static func capacities(_ random: inout Seeded, layers: Int, _ tokens: Int) -> [Int] {
        let windows = [random.int(0...tokens), random.int(0...tokens)]
        return (0..<layers).map { _ in random.chance(0.6) ? windows[random.int(0...1)] : tokens }
    }

    private static func observations(_ random: inout Seeded, values: Int) -> [LayerObservation] {
        let spread = [0, 0.5, 1, 2, 4, 30][random.int(0...5)]
        let slope = random.chance(0.2) ? Double.random(in: -1...1, using: &random) : 0
        let awkward = random.chance(0.2)
        let levels = random.chance(0.3) ? Float(random.int(1...4)) : 1e6
        return (0..<random.int(1...14)).map { layer in
            var preference = exp(spread * random.normal() + slope * Double(layer))
            if awkward, random.chance(0.3) { preference = [0, 0, .infinity, .nan, -1, 1e-300][random.int(0...5)] }
            let indicator = (0..<values).map { _ in
                (Float.random(in: 0..<1, using: &random) * levels).rounded(.down) / levels
            }
            return LayerObservation(entropy: 1, variance: 1, preference: preference, indicator: indicator)
        }
    }

    func cascade() throws -> Cascade {
        try Cascade(
            method: method, layers: observations.count, kvHeads: kvHeads, tokens: tokens,
            templatePrefixTokens: prefix, capacities: capacities, budget: budget)
    }

    func oneShot(budget: Int? = nil) throws -> Retention {
        try Cascade.oneShot(
            method: method, kvHeads: kvHeads, tokens: tokens, templatePrefixTokens: prefix, capacities: capacities,
            budget: budget ?? self.budget, observations: observations)
    }

    /// Entries per head that a budget comes to, over all layers.
    func entries(budget: Int) -> Int {
        let whole = (capacities ?? observations.map { _ in tokens }).reduce(0, +)
        return isAllKept ? whole : min(whole, budget * observations.count)
    }

    /// Whether so many are kept: a pyramid that stands on some layers alone may leave one for each of them.
    func spends(_ entries: Int, budget: Int) -> Bool {
        var wanted = (self.entries(budget: budget))...(self.entries(budget: budget))
        if case .pyramid = method.allocation, capacities != nil {
            wanted = max(0, wanted.upperBound - observations.count)...wanted.upperBound
        }
        return entries.isMultiple(of: kvHeads) && wanted ~= entries / kvHeads
    }

    /// Whether every entry is kept in any case.
    var isAllKept: Bool { method.smallestBudget(tokens: tokens, templatePrefixTokens: prefix) == tokens }
}
