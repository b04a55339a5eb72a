// What a smaller budget keeps of a stored document, by the method that chose its entries.

import CAKE
import CacheStore
import DequeModule
import Locks

/// Truncations of stored documents, the last ones remembered: finding one costs a look at every indicator.
final class Truncations: Sendable {
    /// How many are remembered: one for each budget that questions ask a document for, some kilobytes each.
    static let capacity = 256

    /// A document as it is stored, and the budget that is asked for.
    private struct Key: Hashable {
        var generation: UInt64
        var storedBudget: Int
        var budget: Int
    }

    private struct State {
        var known: [Key: Truncation] = [:]
        var order = Deque<Key>()
    }

    private let state = Mutex(State())

    /// The counts under a smaller budget; nil when the document cannot be made smaller.
    func truncation(of document: OpenDocument, budget: Int) -> Truncation? {
        let manifest = document.manifest
        let key = Key(generation: manifest.id, storedBudget: manifest.budget, budget: budget)
        if let known = state.withLock({ $0.known[key] }) { return known }
        guard let found = Truncation(of: document, budget: budget) else { return nil }
        state.withLock { state in
            guard state.known.updateValue(found, forKey: key) == nil else { return }
            state.order.append(key)
            if state.order.count > Self.capacity, let oldest = state.order.popFirst() { state.known[oldest] = nil }
        }
        return found
    }
}

extension Truncation {
    /// What a budget keeps of a document, as if it had been written with it.
    ///
    /// Nil when the document keeps everything whatever its budget, or its manifest does not say what chose its entries.
    package init?(of document: OpenDocument, budget: Int) {
        let manifest = document.manifest
        let (shape, prefix) = (manifest.shape, manifest.prefixTokens)
        guard let method = manifest.writtenBy, method.allocation != .everything,
            manifest.preferences.count == shape.layers
        else { return nil }
        let smallest = method.smallestBudget(tokens: shape.tokens, templatePrefixTokens: prefix)
        let met = max(budget, smallest)
        guard met < manifest.budget, Self.holds(manifest, atLeast: smallest, method: method),
            let whole = try? Retention(document),
            let kept = try? whole.truncated(to: met, method: method, templatePrefixTokens: prefix)
        else { return nil }
        self.init(
            budget: met, counts: kept.counts, layerBudgets: kept.layers.map(\.budget),
            preferenceFellBack: kept.preferenceFellBack)
    }

    /// Whether the counts are some that the method leaves; an imported document may say anything.
    private static func holds(_ manifest: Manifest, atLeast smallest: Int, method: Method) -> Bool {
        let isRagged = method.allocation.isGlobal || method.heads != .equal
        return manifest.counts.enumerated().allSatisfy { layer, heads in
            let least = manifest.shape.capacities.map { min(smallest, $0[layer]) } ?? smallest
            return heads.allSatisfy { $0 >= least } && (isRagged || Set(heads).count == 1)
        }
    }
}

extension Retention {
    /// What an open document keeps, in rank order.
    init(_ document: OpenDocument) throws(StoreError) {
        let manifest = document.manifest
        var layers: [Layer] = []
        for layer in 0..<manifest.shape.layers {
            var heads: [RankedEntries] = []
            for head in 0..<manifest.shape.kvHeads {
                var indicators: [Float] = []
                let segments = unsafe document.segments(layer: layer, head: head)
                for index in unsafe segments.indices {
                    let segment = unsafe segments[index]
                    unsafe indicators.append(
                        contentsOf: UnsafeBufferPointer(start: segment.indicators, count: segment.count))
                }
                let positions = try document.positions(layer: layer, head: head)
                heads.append(RankedEntries(positions: positions, indicators: indicators))
            }
            layers.append(
                Layer(
                    budget: manifest.layerBudget(layer), preference: manifest.preferences[layer], heads: heads))
        }
        self.init(
            tokens: manifest.shape.tokens, capacities: manifest.shape.capacities, layers: layers,
            preferenceFellBack: manifest.preferenceFellBack)
    }
}
