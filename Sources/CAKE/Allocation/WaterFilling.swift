// How the budget is shared among layers: proportional water-filling between a floor and a cap (CAKE §4.1, eq. 5).
//
// A layer's budget is b(λ) = min(cap, max(floor, λ·P)), with λ such that the budgets of the layers seen so far sum to
// the total, or all of them are capped; a layer whose rows see a window has a lower cap. This holds at every stage of
// the cascade, and makes it exact:
//
//   b(λ) depends on its own layer alone and never falls as λ grows. A new layer adds a b ≥ 0 to the sum, so λ can only
//   stay or fall, so no budget ever grows (Proposition 1), so a later stage keeps a prefix of what an earlier one kept
//   (Theorem 1). The floor needs no reserve: floors are a share ≤ 1 of an equal part, so those of all layers fit
//   the total, and a floor that is new is paid by a smaller λ.
//
// Two limits complete the rule without breaking the argument. A preference of 0 stands for an infinitely small one:
// such layers share evenly what the others, when all are capped, leave. A layer whose preference is unusable (nil) gets
// exactly its equal part, which is constant in λ. So ΣP = 0 is uniform, and so is the allocation of a method without
// preferences.

/// Shares a number of evictable entries per head among layers.
package struct WaterFilling: Sendable {
    /// Entries to share, over all layers.
    package let total: Int
    /// What each layer can hold at most.
    package let caps: [Int]
    /// What each layer gets if all get the same, but for the caps.
    package let equal: [Double]
    /// The same in whole entries, which sum to the total and never grow as it falls.
    package let wholeEqual: [Int]
    /// What each layer gets at least.
    package let floors: [Double]
    private let wholeFloors: [Int]

    /// - Parameters:
    ///   - caps: of all layers.
    ///   - total: no more than they hold together.
    ///   - floorShare: of an equal part, 0...1.
    package init(caps: [Int], total: Int, floorShare: Double) {
        precondition(0...caps.reduce(0, +) ~= total && 0...1 ~= floorShare)
        self.total = total
        self.caps = caps
        let nothing = caps.map { _ in 0.0 }
        let layers = caps.indices.map { (index: $0, preference: 1.0) }
        var equal = nothing
        for (index, budget) in Self.fill(layers, rest: Double(total), floors: nothing, caps: caps) {
            equal[index] = budget
        }
        wholeEqual = Apportionment(total: total, floors: caps.map { _ in 0 }, caps: caps)
            .counts(near: equal) { _, slot in Double(slot) }
        self.equal = equal
        floors = equal.map { floorShare * $0 }
        wholeFloors = wholeEqual.map { Int((floorShare * Double($0)).rounded()) }
    }

    /// The same layers sharing a part of what each would get equally.
    package func part(_ share: Double, floorShare: Double) -> WaterFilling {
        WaterFilling(
            caps: caps, total: wholeEqual.reduce(0) { $0 + Int(share * Double($1)) }, floorShare: floorShare)
    }

    /// The real-valued budgets of the layers seen so far.
    ///
    /// - Parameter preferences: of the layers 0, 1, …; usable (`Preference.checked`), or nil for an equal part.
    package func budgets(_ preferences: [Double?]) -> [Double] {
        var budgets = Array(equal.prefix(preferences.count))
        let silent = preferences.indices.filter { preferences[$0] == 0 }
        let voiced = preferences.indices.compactMap { index in
            preferences[index].flatMap { $0 > 0 ? (index: index, preference: $0) : nil }
        }
        var left = Double(total)
        for index in preferences.indices where preferences[index] == nil { left -= equal[index] }
        let reserved = silent.reduce(0) { $0 + floors[$1] }
        for (index, budget) in Self.fill(voiced, rest: left - reserved, floors: floors, caps: caps) {
            budgets[index] = budget
            left -= budget
        }
        let silence = silent.map { (index: $0, preference: 1.0) }
        for (index, budget) in Self.fill(silence, rest: left, floors: floors, caps: caps) { budgets[index] = budget }
        return budgets
    }

    /// Budgets of layers with a positive preference that share `rest`.
    ///
    /// Guesses λ from the layers that are still open, and settles those beyond a bound: the capped ones when the
    /// bounds take more than they give (λ must rise), those on the floor when they give more.
    private static func fill(
        _ layers: [(index: Int, preference: Double)], rest: Double, floors: [Double], caps: [Int]
    ) -> [(Int, Double)] {
        func bounded(_ wish: Double, _ layer: Int) -> Double {
            min(Double(caps[layer]), max(min(floors[layer], Double(caps[layer])), wish))
        }
        var open = layers
        var rest = rest
        var settled: [(Int, Double)] = []
        while !open.isEmpty {
            let lambda = rest / open.reduce(0) { $0 + $1.preference }
            let wishes = open.map { ($0.index, $0.preference, wish: lambda * $0.preference) }
            let excess = wishes.reduce(0) { $0 + bounded($1.wish, $1.0) - $1.wish }
            open = []
            for (index, preference, wish) in wishes {
                let budget = bounded(wish, index)
                let beyond = excess > 0 ? wish < budget : excess < 0 ? wish > budget : true
                if beyond {
                    settled.append((index, budget))
                    rest -= budget
                } else {
                    open.append((index, preference))
                }
            }
        }
        return settled
    }

    /// Whole budgets of the layers seen so far, which sum to the total unless all are capped.
    ///
    /// The real-valued ones rounded so that neither a new layer nor a smaller total ever raises one (see
    /// `Apportionment`).
    package func counts(_ preferences: [Double?]) -> [Int] {
        Apportionment(
            total: total, floors: preferences.indices.map { preferences[$0] == nil ? wholeEqual[$0] : wholeFloors[$0] },
            caps: preferences.indices.map { preferences[$0] == nil ? wholeEqual[$0] : caps[$0] }
        ).counts(near: budgets(preferences)) { layer, slot in
            let preference = preferences[layer] ?? 1
            return (Double(slot) - 0.5) / (preference > 0 ? preference : Self.silence)
        }
    }

    /// Stands for the preference of a layer that has none: below all usable ones, so that it is served after them.
    private static let silence = 1e-295
}
