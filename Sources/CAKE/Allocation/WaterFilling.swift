// How the budget is shared among layers: proportional water-filling between a floor and a cap (CAKE §4.1, eq. 5).
//
// A layer's budget is b(λ) = min(cap, max(floor, λ·P)), with λ such that the budgets of the layers seen so far sum to
// the total, or all of them are capped. This holds at every stage of the cascade, and makes it exact:
//
//   b(λ) depends on its own layer alone and never falls as λ grows. A new layer adds a b ≥ 0 to the sum, so λ can only
//   stay or fall, so no budget ever grows (Proposition 1), so a later stage keeps a prefix of what an earlier one kept
//   (Theorem 1). The floor needs no reserve: floors are a share ≤ 1 of the average, so those of all layers fit the
//   total, and a floor that is new is paid by a smaller λ.
//
// Two limits complete the rule without breaking the argument. A preference of 0 stands for an infinitely small one:
// such layers share evenly what the others, when all are capped, leave. A layer whose preference is unusable (nil) gets
// exactly the average, which is constant in λ. So ΣP = 0 is uniform, and so is the allocation of a method without
// preferences.

/// Shares a number of evictable entries per head among layers.
package struct WaterFilling: Sendable {
    /// Entries to share: the average budget times the number of layers.
    package let total: Int
    /// What a layer can hold at most.
    package let cap: Int
    /// What a layer gets if every layer gets the same.
    package let average: Double
    /// What a layer gets at least.
    package let floor: Double

    /// - Parameters:
    ///   - averageBudget: entries per layer, at most `cap`.
    ///   - floorShare: of the average, 0...1.
    package init(layers: Int, averageBudget: Int, cap: Int, floorShare: Double) {
        precondition(layers > 0 && 0...cap ~= averageBudget && 0...1 ~= floorShare)
        total = averageBudget * layers
        average = Double(averageBudget)
        self.cap = cap
        floor = floorShare * average
    }

    /// The real-valued budgets of the layers seen so far.
    ///
    /// - Parameter preferences: of the layers 0, 1, …; usable (`Preference.checked`), or nil for the average.
    package func budgets(_ preferences: [Double?]) -> [Double] {
        var budgets = [Double](repeating: average, count: preferences.count)
        let unusable = preferences.count { $0 == nil }
        let rest = Double(total) - average * Double(unusable)
        let silent = preferences.indices.filter { preferences[$0] == 0 }
        let voiced = preferences.indices.compactMap { index in
            preferences[index].flatMap { $0 > 0 ? (index, $0) : nil }
        }
        var left = rest
        for (index, budget) in fill(voiced, rest: rest - floor * Double(silent.count)) {
            budgets[index] = budget
            left -= budget
        }
        for index in silent { budgets[index] = min(Double(cap), max(floor, left / Double(silent.count))) }
        return budgets
    }

    /// Budgets of layers with a positive preference that share `rest`.
    ///
    /// Guesses λ from the layers that are still open, and settles those beyond a bound: the capped ones when the
    /// bounds take more than they give (λ must rise), those on the floor when they give more.
    private func fill(_ layers: [(index: Int, preference: Double)], rest: Double) -> [(Int, Double)] {
        let bounds = min(floor, Double(cap))...Double(cap)
        var open = layers
        var rest = rest
        var settled: [(Int, Double)] = []
        while !open.isEmpty {
            let lambda = rest / open.reduce(0) { $0 + $1.preference }
            let wishes = open.map { ($0.index, $0.preference, wish: lambda * $0.preference) }
            let excess = wishes.reduce(0) { $0 + $1.wish.clamped(to: bounds) - $1.wish }
            open = []
            for (index, preference, wish) in wishes {
                let beyond =
                    excess > 0 ? wish < bounds.lowerBound : excess < 0 ? wish > bounds.upperBound : true
                if beyond {
                    settled.append((index, wish.clamped(to: bounds)))
                    rest -= wish.clamped(to: bounds)
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
        let whole = Int(floor.rounded())
        return Apportionment(
            total: total, floors: preferences.map { $0 == nil ? Int(average) : whole },
            caps: preferences.map { $0 == nil ? Int(average) : cap }
        ).counts(near: budgets(preferences)) { layer, slot in
            let preference = preferences[layer] ?? 1
            return (Double(slot) - 0.5) / (preference > 0 ? preference : Self.silence)
        }
    }

    /// Stands for the preference of a layer that has none: below all usable ones, so that it is served after them.
    private static let silence = 1e-295
}

extension Double {
    fileprivate func clamped(to bounds: ClosedRange<Double>) -> Double {
        Swift.min(bounds.upperBound, Swift.max(bounds.lowerBound, self))
    }
}
