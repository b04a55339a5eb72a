// A method applied to a document's size: what is fixed before the first layer is read.

/// Method, shape and budget together; the cascade and the one-shot computation both follow it.
package struct CompressionPlan: Sendable {
    package let method: Method
    package let layers: Int
    package let kvHeads: Int
    package let tokens: Int
    package let alwaysKept: AlwaysKept
    package let waterFilling: WaterFilling

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
        if case .cake(_, _, let share) = method.allocation { floorShare = share }
        waterFilling = WaterFilling(
            layers: layers, averageBudget: averageBudget, cap: evictable, floorShare: floorShare)
        self.method = method
        self.layers = layers
        self.kvHeads = kvHeads
        self.tokens = tokens
    }

    /// Evictable entries per head of the layers seen so far.
    package func budgets(_ preferences: [Double]) -> [Double] {
        waterFilling.budgets(usable(preferences))
    }

    private func usable(_ preferences: [Double]) -> [Double?] {
        guard case .cake = method.allocation else { return preferences.map { _ in nil } }
        return preferences.map(Preference.checked)
    }

    /// Whether the method asks for preferences, and there was something to evict, but a preference was unusable or all zero.
    private func fellBack(_ preferences: [Double]) -> Bool {
        guard case .cake = method.allocation, waterFilling.total < waterFilling.cap * layers else { return false }
        let usable = usable(preferences)
        return usable.contains(nil) || usable.allSatisfy { $0 == 0 }
    }

    /// Ranks a layer and keeps `kept` evictable entries per head.
    package func rank(_ observation: LayerObservation, kept: Int) -> RankedLayer {
        let columns = method.observedTokens(documentTokens: tokens)
        precondition(
            observation.indicator.isEmpty || observation.indicator.count == kvHeads * columns,
            "an indicator of another shape")
        return RankedLayer(
            indicator: observation.indicator, kvHeads: kvHeads, alwaysKept: alwaysKept, kept: kept,
            competeAcrossHeads: method.competeAcrossHeads)
    }

    /// Rounds the final budgets, evicts down to them and states the result.
    package func retention(_ ranked: [RankedLayer], preferences: [Double]) -> Retention {
        precondition(ranked.count == layers, "a layer was not observed")
        let budgets = budgets(preferences)
        let whole = waterFilling.rounded(budgets, kept: ranked.map(\.kept))
        let kept = ranked.indices.map { layer in
            var entries = ranked[layer]
            entries.truncate(to: whole[layer])
            return Retention.Layer(
                budget: budgets[layer] + Double(alwaysKept.count), preference: preferences[layer],
                heads: entries.heads)
        }
        return Retention(tokens: tokens, layers: kept, preferenceFellBack: fellBack(preferences))
    }
}
