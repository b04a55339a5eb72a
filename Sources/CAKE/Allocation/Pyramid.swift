// PyramidKV's prior (Cai et al., arXiv 2406.02069): low layers look everywhere and get much, high ones get little.

/// Budgets that fall in equal steps from the first layer to the last.
package enum Pyramid {
    /// Evictable entries per head of each layer; they sum to the average times the layers, and depend on nothing observed.
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
}
