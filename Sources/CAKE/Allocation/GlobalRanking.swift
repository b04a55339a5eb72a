// One ranking over all layers and heads (KVzip, Kim et al., arXiv 2505.23416, §3.3), with a floor for the heads of each
// layer.

/// Shares a total among the heads of the layers seen so far: each keeps its best entries up to its layer's floor, the
/// best of all others fill the total.
///
/// A cascade can do this, too. A new layer brings its floor and perhaps better entries; both only push others down one
/// fixed order, so what a stage evicted belongs to no later result, and the cascade keeps exactly what one shot keeps.
/// Floors may fall as layers come, when their sum stays: what they give up competes with all others. A smaller total is
/// the same case, since floors fall with it, by no more than the total does. Its memory bound is that of budgets by
/// preference: the whole total, and the layer being read. The bound is on the sum: while few layers are read they hold
/// all of it, and in the end a single layer may hold most.
package enum GlobalRanking {
    /// Evictable entries each head keeps, `[layer][head]`, of those it has.
    ///
    /// - Parameters:
    ///   - total: entries to keep over all heads, at least all floors; those kept in any case are not counted.
    ///   - floors: of each layer's heads.
    package static func counts(_ layers: [RankedLayer], total: Int, floors: [Int]) -> [[Int]] {
        var counts = zip(layers, floors).map { layer, floor in
            layer.heads.map { min(floor, $0.count - layer.alwaysKept) }
        }
        var candidates: [RankKey] = []
        var owners: [(layer: Int, head: Int)] = []
        for (layer, ranked) in layers.enumerated() {
            for (head, entries) in ranked.heads.enumerated() {
                for rank in ranked.alwaysKept + counts[layer][head]..<entries.count {
                    // Ties: the lower layer, then the lower head, then the lower position.
                    candidates.append(RankKey(indicator: entries.indicators[rank], index: candidates.count))
                    owners.append((layer, head))
                }
            }
        }
        let taken = counts.joined().reduce(0, +)
        for key in RankKey.best(max(0, total - taken), of: candidates) {
            counts[owners[key.index].layer][owners[key.index].head] += 1
        }
        return counts
    }
}
