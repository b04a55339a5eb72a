// A method applied to a document's size: what is fixed before the first layer is read.

/// Method, shape and budget together; the cascade and the one-shot computation both follow it.
package struct CompressionPlan: Sendable {
    package let method: Method
    package let layers: Int
    package let kvHeads: Int
    package let tokens: Int
    private let capacities: [Int]?
    /// Of each layer.
    package let alwaysKept: [AlwaysKept]
    package let waterFilling: WaterFilling
    /// What layers are guaranteed where one ranking over all of them decides about the rest; nil where none does.
    private let guarantees: WaterFilling?
    /// Evictable entries per layer, where they are fixed from the start.
    private let fixedBudgets: (real: [Double], whole: [Int])?

    /// - Parameter capacities: the last tokens that later rows see in each layer; nil: all in every one.
    package init(
        method: Method, layers: Int, kvHeads: Int, tokens: Int, templatePrefixTokens: Int, capacities: [Int]? = nil,
        budget: Int
    ) throws(CAKEError) {
        precondition(layers > 0 && 1...Int(UInt16.max) ~= kvHeads && templatePrefixTokens >= 0)
        precondition(tokens <= Int(UInt32.max) / kvHeads, "entries of a layer are numbered in 32 bits")
        precondition(capacities?.count ?? layers == layers && capacities?.allSatisfy { $0 >= 0 } ?? true)
        guard tokens > 0 else { throw .emptyDocument }
        alwaysKept = (0..<layers).map { layer in
            AlwaysKept(
                method, tokens: tokens, templatePrefixTokens: templatePrefixTokens, capacity: capacities?[layer])
        }
        let caps = alwaysKept.map(\.evictable.count)
        let kept = alwaysKept.reduce(0) { $0 + $1.count }
        var total = caps.reduce(0, +)
        if method.allocation != .everything {
            guard budget <= tokens else { throw .budgetAboveDocument(budget: budget, tokens: tokens) }
            let whole = AlwaysKept(method, tokens: tokens, templatePrefixTokens: templatePrefixTokens)
            // A document that is all window and protected start is kept whole, whatever its budget.
            let smallest = whole.evictable.isEmpty ? 1 : max(1, whole.count)
            guard budget >= smallest else { throw .budgetTooSmall(budget: budget, smallest: smallest) }
            total = min(total, max(0, budget * layers - kept))
        }
        var floorShare = 0.0
        if case .cake(_, _, let share) = method.allocation { floorShare = share }
        waterFilling = WaterFilling(caps: caps, total: total, floorShare: floorShare)
        guarantees = Self.guarantees(method.allocation, waterFilling)
        fixedBudgets = Self.fixedBudgets(method.allocation, waterFilling, tokens: tokens, alwaysKept)
        self.method = method
        self.layers = layers
        self.kvHeads = kvHeads
        self.tokens = tokens
        self.capacities = capacities
    }

    private static func guarantees(_ allocation: Method.Allocation, _ all: WaterFilling) -> WaterFilling? {
        switch allocation {
        // Without preferences each layer is guaranteed the same.
        case .global(let share): all.part(share, floorShare: 0)
        // The floor is a part of what is guaranteed, so that in whole entries both fall together.
        case .guardedGlobal(_, _, let share, let floor):
            all.part(share, floorShare: share > 0 ? min(1, floor / share) : 0)
        case .everything, .uniform, .pyramid, .cake: nil
        }
    }

    /// A pyramid stands on the layers that see the whole document; the others get what every layer would.
    private static func fixedBudgets(
        _ allocation: Method.Allocation, _ all: WaterFilling, tokens: Int, _ alwaysKept: [AlwaysKept]
    ) -> (real: [Double], whole: [Int])? {
        guard case .pyramid(let beta) = allocation else { return nil }
        let tall = alwaysKept.indices.filter { alwaysKept[$0].count + all.caps[$0] == tokens }
        guard let cap = tall.first.map({ all.caps[$0] }) else { return (all.equal, all.wholeEqual) }
        let average = tall.reduce(0) { $0 + all.wholeEqual[$1] } / tall.count
        var budgets = (real: all.equal, whole: all.wholeEqual)
        let real = Pyramid.budgets(layers: tall.count, average: average, cap: cap, beta: beta)
        let whole = Pyramid.counts(layers: tall.count, average: average, cap: cap, beta: beta)
        for (index, layer) in tall.enumerated() {
            (budgets.real[layer], budgets.whole[layer]) = (real[index], whole[index])
        }
        return budgets
    }

    /// Evictable entries per head of the layers seen so far, where each layer has a budget of its own.
    private func budgets(_ preferences: [Double]) -> [Double] {
        if let fixedBudgets { return Array(fixedBudgets.real.prefix(preferences.count)) }
        return waterFilling.budgets(usable(preferences))
    }

    /// The same in whole entries: what is kept.
    private func wholeBudgets(_ preferences: [Double]) -> [Int] {
        if let fixedBudgets { return Array(fixedBudgets.whole.prefix(preferences.count)) }
        return waterFilling.counts(usable(preferences))
    }

    private func usable(_ preferences: [Double]) -> [Double?] {
        guard method.allocation.exponents != nil else { return preferences.map { _ in nil } }
        return preferences.map(Preference.checked)
    }

    /// Whether the method asks for preferences, and there was something to evict, but a preference was unusable or all
    /// zero.
    private func fellBack(_ preferences: [Double]) -> Bool {
        guard method.allocation.exponents != nil, waterFilling.total < waterFilling.caps.reduce(0, +) else {
            return false
        }
        let usable = usable(preferences)
        return usable.contains(nil) || usable.allSatisfy { $0 == 0 }
    }

    /// Ranks a layer and keeps `kept` evictable entries per head.
    private func rank(_ observation: LayerObservation, layer: Int, kept: Int) -> RankedLayer {
        let columns = method.observedTokens(documentTokens: tokens)
        precondition(
            observation.indicator.isEmpty || observation.indicator.count == kvHeads * columns,
            "an indicator of another shape")
        let indicator =
            method.indicator == .recency
            ? (0..<kvHeads).flatMap { _ in (0..<columns).map(Float.init) } : observation.indicator
        return RankedLayer(
            indicator: indicator, kvHeads: kvHeads, alwaysKept: alwaysKept[layer], kept: kept, shares: shares)
    }

    /// Takes up the rankings of the first layers, as they were kept.
    package func ranked(_ layers: [[RankedEntries]]) -> [RankedLayer] {
        layers.enumerated().map { layer, heads in
            RankedLayer(heads: heads, alwaysKept: alwaysKept[layer].count, shares: shares)
        }
    }

    /// One ranking over all layers leaves nothing to share inside one.
    private var shares: Method.HeadShares { guarantees == nil ? method.heads : .equal }

    /// Ranks the next layer and evicts from all layers so far what no later stage can want back.
    ///
    /// - Parameter preferences: of all layers so far, the new one's included.
    package func add(_ observation: LayerObservation, to layers: inout [RankedLayer], preferences: [Double]) {
        let new = layers.count
        if let guarantees {
            layers.append(rank(observation, layer: new, kept: waterFilling.caps[new]))
            return evict(&layers, above: guarantees.counts(usable(preferences)))
        }
        let kept = wholeBudgets(preferences)
        for layer in layers.indices { layers[layer].truncate(to: kept[layer]) }
        layers.append(rank(observation, layer: new, kept: kept[new]))
    }

    /// Ranks all layers at once and evicts nothing yet.
    package func rankEverything(_ observations: [LayerObservation]) -> [RankedLayer] {
        observations.enumerated().map { rank($1, layer: $0, kept: waterFilling.caps[$0]) }
    }

    private func evict(_ layers: inout [RankedLayer], above floors: [Int]) {
        let counts = GlobalRanking.counts(layers, total: waterFilling.total * kvHeads, floors: floors)
        for layer in layers.indices {
            layers[layer].truncate(toCounts: counts[layer].map { $0 + alwaysKept[layer].count })
        }
    }

    /// Evicts down to the final budgets and states the result.
    package func retention(_ ranked: [RankedLayer], preferences: [Double]) -> Retention {
        precondition(ranked.count == layers, "a layer was not observed")
        var ranked = ranked
        var budgets: [Double]
        if let guarantees {
            evict(&ranked, above: guarantees.counts(usable(preferences)))
            budgets = ranked.map { layer in
                Double(layer.heads.reduce(0) { $0 + $1.count }) / Double(kvHeads)
            }
        } else {
            budgets = self.budgets(preferences)
            let whole = wholeBudgets(preferences)
            for layer in ranked.indices {
                budgets[layer] += Double(alwaysKept[layer].count)
                ranked[layer].truncate(to: whole[layer])
            }
        }
        let kept = ranked.indices.map { layer in
            Retention.Layer(budget: budgets[layer], preference: preferences[layer], heads: ranked[layer].heads)
        }
        return Retention(
            tokens: tokens, capacities: capacities, layers: kept, preferenceFellBack: fellBack(preferences))
    }
}
