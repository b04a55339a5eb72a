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
    }

    /// S, the tokens of the document.
    public let tokens: Int
    /// Layer 0 first.
    public let layers: [Layer]
    /// Whether preferences could not be used (not finite, or all zero) and layers got the average instead.
    public let preferenceFellBack: Bool

    /// Entries kept, `[layer][kvHead]`.
    public var counts: [[Int]] { layers.map { $0.heads.map(\.count) } }
}
