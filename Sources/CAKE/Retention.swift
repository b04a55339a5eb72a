// What is kept of a document: the result of compression.

/// The kept entries of every layer and KV head, and how they came about.
public struct Retention: Sendable, Equatable {
    /// One layer's share.
    public struct Layer: Sendable, Equatable {
        /// Entries per KV head (on average, where heads compete), always-kept ones included, before rounding.
        public let budget: Double
        /// P, as observed.
        public let preference: Double
        /// What each KV head keeps, best first.
        public let heads: [RankedEntries]

        /// States a layer's share.
        public init(budget: Double, preference: Double, heads: [RankedEntries]) {
            self.budget = budget
            self.preference = preference
            self.heads = heads
        }
    }

    /// S, the tokens of the document.
    public let tokens: Int
    /// The last of them that later rows see in each layer; nil: all in every one.
    public let capacities: [Int]?
    /// Layer 0 first.
    public let layers: [Layer]
    /// Whether preferences could not be used (not finite, or all zero) and layers got the average instead.
    public let preferenceFellBack: Bool

    /// Entries kept, `[layer][kvHead]`.
    public var counts: [[Int]] { layers.map { $0.heads.map(\.count) } }

    /// States what is kept, as a store remembers it.
    public init(tokens: Int, capacities: [Int]? = nil, layers: [Layer], preferenceFellBack: Bool) {
        self.tokens = tokens
        self.capacities = capacities
        self.layers = layers
        self.preferenceFellBack = preferenceFellBack
    }

    /// What a smaller budget keeps: a prefix of every head's entries, found without reading the document again.
    ///
    /// Budgets fall with the total as they do along the cascade, whole ones too (see `Apportionment`), so this is
    /// exactly what the smaller budget would have kept from the start.
    ///
    /// - Parameters:
    ///   - method: the one that compressed; one that keeps everything evicts nothing here either.
    ///   - budget: as for `Cascade`, no larger than what is kept now.
    /// - Throws: `CAKEError.budgetTooSmall` when the budget is below what is always kept.
    public func truncated(to budget: Int, method: Method, templatePrefixTokens: Int) throws(CAKEError) -> Retention {
        let plan = try CompressionPlan(
            method: method, layers: layers.count, kvHeads: layers.first?.heads.count ?? 0, tokens: tokens,
            templatePrefixTokens: templatePrefixTokens, capacities: capacities, budget: budget)
        return plan.retention(plan.ranked(layers.map(\.heads)), preferences: layers.map(\.preference))
    }
}
