// A method applied to a document's size: what is fixed before the first layer is read.

/// Method, shape and budget together; the cascade and the one-shot computation both follow it.
package struct CompressionPlan: Sendable {
    package let method: Method
    package let layers: Int
    package let kvHeads: Int
    package let tokens: Int
    package let alwaysKept: AlwaysKept
    package let waterFilling: WaterFilling
    /// What layers are guaranteed where one ranking over all of them decides about the rest; nil where none does.
    private let guarantees: WaterFilling?
    /// Evictable entries per layer, where they are fixed from the start.
    private let fixedBudgets: (real: [Double], whole: [Int])?

    package init(
        method: Method, layers: Int, kvHeads: Int, tokens: Int, templatePrefixTokens: Int, budget: Int
    ) throws(CAKEError) {
        precondition(layers > 0 && 1...Int(UInt16.max) ~= kvHeads && templatePrefixTokens >= 0)
        precondition(tokens <= Int(UInt32.max) / kvHeads, "entries of a layer are numbered in 32 bits")
        guard tokens > 0 else { throw .emptyDocument }
        alwaysKept = AlwaysKept(method, tokens: tokens, templatePrefixTokens: templatePrefixTokens)
        let evictable = alwaysKept.evictable.count
        var averageBudget = evictable
        if method.allocation != .everything {
            guard budget <= tokens else { throw .budgetAboveDocument(budget: budget, tokens: tokens) }
            // A document that is all window and protected start is kept whole, whatever its budget.
            let smallest = evictable == 0 ? 1 : max(1, alwaysKept.count)
            guard budget >= smallest else { throw .budgetTooSmall(budget: budget, smallest: smallest) }
            averageBudget = evictable == 0 ? 0 : budget - alwaysKept.count
        }
        var floorShare = 0.0
        var guarantees: WaterFilling?
        func guarantee(_ share: Double, floorShare: Double) -> WaterFilling {
            WaterFilling(
                layers: layers, averageBudget: Int(share * Double(averageBudget)), cap: evictable,
                floorShare: floorShare)
        }
        var fixedBudgets: (real: [Double], whole: [Int])?
        switch method.allocation {
        case .cake(_, _, let share): floorShare = share
        // Without preferences each layer is guaranteed the same.
        case .global(let share): guarantees = guarantee(share, floorShare: 0)
        // The floor is a part of what is guaranteed, so that in whole entries both fall together.
        case .guardedGlobal(_, _, let share, let floor):
            guarantees = guarantee(share, floorShare: share > 0 ? min(1, floor / share) : 0)
        case .pyramid(let beta):
            fixedBudgets = (
                Pyramid.budgets(layers: layers, average: averageBudget, cap: evictable, beta: beta),
                Pyramid.counts(layers: layers, average: averageBudget, cap: evictable, beta: beta)
            )
        case .everything, .uniform: break
        }
        self.fixedBudgets = fixedBudgets
        waterFilling = WaterFilling(
            layers: layers, averageBudget: averageBudget, cap: evictable, floorShare: floorShare)
        self.guarantees = guarantees
        self.method = method
        self.layers = layers
        self.kvHeads = kvHeads
        self.tokens = tokens
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
        guard method.allocation.exponents != nil, waterFilling.total < waterFilling.cap * layers else { return false }
        let usable = usable(preferences)
        return usable.contains(nil) || usable.allSatisfy { $0 == 0 }
    }

    /// Ranks a layer and keeps `kept` evictable entries per head.
    private func rank(_ observation: LayerObservation, kept: Int) -> RankedLayer {
        let columns = method.observedTokens(documentTokens: tokens)
        precondition(
            observation.indicator.isEmpty || observation.indicator.count == kvHeads * columns,
            "an indicator of another shape")
        let indicator =
            method.indicator == .recency
            ? (0..<kvHeads).flatMap { _ in (0..<columns).map(Float.init) } : observation.indicator
        return RankedLayer(
            indicator: indicator, kvHeads: kvHeads, alwaysKept: alwaysKept, kept: kept, shares: shares)
    }

    /// Takes up the ranking of a layer that was kept.
    package func ranked(_ heads: [RankedEntries]) -> RankedLayer {
        RankedLayer(heads: heads, alwaysKept: alwaysKept.count, shares: shares)
    }

    /// One ranking over all layers leaves nothing to share inside one.
    private var shares: Method.HeadShares { guarantees == nil ? method.heads : .equal }

    /// Ranks the next layer and evicts from all layers so far what no later stage can want back.
    ///
    /// - Parameter preferences: of all layers so far, the new one's included.
    package func add(_ observation: LayerObservation, to layers: inout [RankedLayer], preferences: [Double]) {
        if let guarantees {
            layers.append(rank(observation, kept: waterFilling.cap))
            return evict(&layers, above: guarantees.counts(usable(preferences)))
        }
        let kept = wholeBudgets(preferences)
        for layer in layers.indices { layers[layer].truncate(to: kept[layer]) }
        layers.append(rank(observation, kept: kept[layers.count]))
    }

    /// Ranks all layers at once and evicts nothing yet.
    package func rankEverything(_ observations: [LayerObservation]) -> [RankedLayer] {
        observations.map { rank($0, kept: waterFilling.cap) }
    }

    private func evict(_ layers: inout [RankedLayer], above floors: [Int]) {
        let counts = GlobalRanking.counts(
            layers, alwaysKept: alwaysKept.count, total: waterFilling.total * kvHeads, floors: floors)
        for layer in layers.indices {
            layers[layer].truncate(toCounts: counts[layer].map { $0 + alwaysKept.count })
        }
    }

    /// Evicts down to the final budgets and states the result.
    package func retention(_ ranked: [RankedLayer], preferences: [Double]) -> Retention {
        precondition(ranked.count == layers, "a layer was not observed")
        var ranked = ranked
        let budgets: [Double]
        if let guarantees {
            evict(&ranked, above: guarantees.counts(usable(preferences)))
            budgets = ranked.map { layer in
                Double(layer.heads.reduce(0) { $0 + $1.count }) / Double(kvHeads) - Double(alwaysKept.count)
            }
        } else {
            budgets = self.budgets(preferences)
            let whole = wholeBudgets(preferences)
            for layer in ranked.indices { ranked[layer].truncate(to: whole[layer]) }
        }
        let kept = ranked.indices.map { layer in
            Retention.Layer(
                budget: budgets[layer] + Double(alwaysKept.count), preference: preferences[layer],
                heads: ranked[layer].heads)
        }
        return Retention(tokens: tokens, layers: kept, preferenceFellBack: fellBack(preferences))
    }
}
