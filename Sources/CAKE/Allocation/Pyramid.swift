// PyramidKV's prior (Cai et al., arXiv 2406.02069): low layers look everywhere and get much, high ones get little.

/// Budgets that fall in equal steps from the first layer to the last.
package enum Pyramid {
    /// Evictable entries per head of each layer; they sum to the average times the layers, and depend on nothing
    /// observed.
    ///
    /// The last layer gets average / beta and the first what then balances the sum, at most the cap: §3.2 of the paper
    /// as its authors' code has it, but for their rounding of the step.
    package static func budgets(layers: Int, average: Int, cap: Int, beta: Int) -> [Double] {
        precondition(layers > 0 && beta > 0 && 0...cap ~= average)
        guard layers > 1 else { return [Double(average)] }
        let first = min(Double(cap), 2 * Double(average) - Double(average) / Double(beta))
        let last = 2 * Double(average) - first
        return (0..<layers).map { first - Double($0) * (first - last) / Double(layers - 1) }
    }

    /// The same in whole entries, which sum to the average times the layers and never grow as the average falls.
    package static func counts(layers: Int, average: Int, cap: Int, beta: Int) -> [Int] {
        let budgets = budgets(layers: layers, average: average, cap: cap, beta: beta)
        let apportionment = Apportionment(
            total: average * layers, floors: budgets.map { _ in 0 }, caps: budgets.map { _ in cap })
        return apportionment.counts(near: budgets) { layer, slot in
            price(
                Double(slot) - 0.5, depth: layers > 1 ? Double(layer) / Double(layers - 1) : nil, cap: cap, beta: beta)
        }
    }

    /// The average at which the layer in that depth, 0 first and 1 last, reaches a budget; nil for an only layer.
    private static func price(_ budget: Double, depth: Double?, cap: Int, beta: Int) -> Double {
        guard let depth else { return budget }
        let steepest = 2 - 1 / Double(beta)
        let average = budget / (steepest - depth * (2 - 2 / Double(beta)))
        // Beyond this average the first layer is capped, and the others rise towards it.
        guard average * steepest > Double(cap), depth > 0 else { return average }
        return (budget - Double(cap) * (1 - 2 * depth)) / (2 * depth)
    }
}
