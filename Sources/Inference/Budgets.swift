// How many entries of a document are kept, from what was asked for: when it is read, and when it is shrunk.

import API
import CAKE
import CacheStore
import EngineInterface
import Transformer

/// A document's full cache, and how what is kept of it is stored.
package struct CacheExtent {
    /// The document's, the template's prefix included.
    var tokens: Int
    /// Of them, those of the template before the document.
    var prefixTokens: Int
    /// The last tokens that questions see in each layer; nil: all in every one.
    var capacities: [Int]?
    /// How kept entries are stored.
    var rows: KVRows

    /// A document's extent.
    package init(tokens: Int, prefixTokens: Int, capacities: [Int]?, rows: KVRows) {
        (self.tokens, self.prefixTokens, self.capacities, self.rows) = (tokens, prefixTokens, capacities, rows)
    }

    /// A stored document's extent.
    init(_ manifest: Manifest) {
        let shape = manifest.shape
        self.init(
            tokens: shape.tokens, prefixTokens: manifest.prefixTokens, capacities: shape.capacities,
            rows: KVRows(shape.rows))
    }

    /// The share of the full cache's bytes in `q8_0` that an average of so many entries a layer and head is, 0...1.
    package func share(ofBudget budget: Int) -> Double {
        min(1, entryShare(ofBudget: budget) / rows.entriesPerCounted)
    }

    /// The share of the full cache's entries that it is.
    func entryShare(ofBudget budget: Int) -> Double {
        let (layers, whole) = (capacities?.count ?? 1, capacities?.reduce(0, +) ?? tokens)
        return Double(budget * layers) / Double(max(1, whole))
    }
}

extension Method {
    /// The average entries for each layer and KV head that a share or a budget comes to; nil for `auto`, which only a
    /// check can tell.
    ///
    /// A share is rounded up to what the method keeps in any case; an explicit number is taken at its word.
    func budget(_ keep: Keep, of cache: CacheExtent) -> Int? {
        switch keep {
        case .percent(let percent): budget(keepingPercent: percent, of: cache)
        case .budget(let entries): entries
        case .auto: nil
        }
    }

    /// The entries that fit into a share of the full cache's bytes, which are counted in `q8_0` whatever the rows: with
    /// fewer bits more entries fit.
    package func budget(keepingPercent percent: Double, of cache: CacheExtent) -> Int {
        budget(
            keepingPercent: min(100, percent * cache.rows.entriesPerCounted), tokens: cache.tokens,
            templatePrefixTokens: cache.prefixTokens, capacities: cache.capacities)
    }

    /// Throws when a budget is less than the method keeps of a document in any case.
    func check(budget: Int, tokens: Int, prefixTokens: Int) throws(EngineError) {
        let smallest = min(tokens, smallestBudget(tokens: tokens, templatePrefixTokens: prefixTokens))
        guard budget < smallest else { return }
        throw .invalidBudget(
            """
            the budget is \(budget) entries; method \(name) always keeps \(smallest) of this document: use at least \
            \(smallest)
            """)
    }
}

extension EngineError {
    /// A budget that this document cannot have.
    static func invalidBudget(_ message: String, parameter: String = "budget") -> EngineError {
        .invalid(code: "invalid_budget", message: message, parameter: parameter)
    }
}
