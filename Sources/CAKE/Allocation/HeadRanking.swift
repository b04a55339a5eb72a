// One ranking over the heads of a layer, each with a safeguard (Ada-KV: Feng et al., arXiv 2407.11550, §3.3).

/// The order in which the heads of a layer give up entries.
///
/// With an average of b entries a head, every head keeps its best ⌊safeguard · b⌋, and the best of all others fill up
/// to b a head, as kvpress has it (the authors' code blends the heads' counts instead, which need not add up). The kept
/// sets are nested: one more b adds at most one safeguarded entry to each head and one place for each head, so no entry
/// that was kept for its score loses its place. Hence one order serves all budgets, and evicting is truncating.
package enum HeadRanking {
    /// What a head keeps in any case when the average is `kept`.
    package static func safe(_ safeguard: Double, of kept: Int) -> Int { Int(safeguard * Double(kept)) }

    /// Whose each entry is, best first over all heads, for an average of up to `kept` a head.
    ///
    /// - Parameter heads: each head's entries in its own order, at least as many as it can get; ties between heads are
    ///   broken by the keys.
    package static func order(_ heads: [[RankKey]], kept: Int, safeguard: Double) -> [UInt16] {
        precondition(0...1 ~= safeguard)
        var taken = [Int](repeating: 0, count: heads.count)
        var order: [UInt16] = []
        order.reserveCapacity(kept * heads.count)
        func take(_ head: Int) {
            taken[head] += 1
            order.append(UInt16(head))
        }
        for average in 0..<kept {
            let safe = safe(safeguard, of: average + 1)
            for head in heads.indices where taken[head] < min(safe, heads[head].count) { take(head) }
            while order.count < (average + 1) * heads.count {
                var best: Int?
                for head in heads.indices where taken[head] < heads[head].count {
                    if let other = best, heads[other][taken[other]] < heads[head][taken[head]] { continue }
                    best = head
                }
                guard let best else { return order }
                take(best)
            }
        }
        return order
    }
}
