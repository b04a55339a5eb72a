// Compression while the document is read, layer by layer (CAKE §4.3, Algorithm 1).

/// Allocates and evicts after each layer of a layer-major prefill, so that never more than the budget and one layer is
/// held.
///
/// The result is the one `oneShot` finds with all layers at hand (Theorem 1; see `WaterFilling` for why).
public struct Cascade: Sendable {
    /// What is kept after a layer has been read.
    public struct Stage: Sendable, Equatable {
        /// The layer that was added.
        public let layer: Int
        /// Its kept entries per KV head, best first.
        public let heads: [RankedEntries]
        /// Entries every layer so far may keep, `[layer][kvHead]`: a prefix of its ranking, never longer than before.
        public let counts: [[Int]]
    }

    /// What was decided about the layers read so far: enough for a cascade with the same parameters to go on.
    public struct Progress: Sendable, Equatable {
        /// Kept entries of every layer so far, `[layer][kvHead]`, best first.
        public let heads: [[RankedEntries]]
        /// P of every layer so far.
        public let preferences: [Double]

        /// States what was decided, as a checkpoint remembers it.
        public init(heads: [[RankedEntries]], preferences: [Double]) {
            precondition(heads.count == preferences.count, "every layer has a preference")
            self.heads = heads
            self.preferences = preferences
        }
    }

    private let plan: CompressionPlan
    private var layers: [RankedLayer] = []
    private var preferences: [Double] = []

    /// Prepares for a document.
    ///
    /// - Parameters:
    ///   - tokens: S, with the template prefix.
    ///   - capacities: the last tokens of the document that later rows can see in each layer, where that is not all of
    ///     them in every one; what a layer cannot use of the budget goes to the others.
    ///   - budget: average entries per (layer, KV head), always-kept ones included; a method that keeps everything
    ///     ignores it.
    /// - Throws: `CAKEError` when the document is empty, or the budget does not fit it.
    public init(
        method: Method, layers: Int, kvHeads: Int, tokens: Int, templatePrefixTokens: Int, capacities: [Int]? = nil,
        budget: Int
    ) throws(CAKEError) {
        plan = try CompressionPlan(
            method: method, layers: layers, kvHeads: kvHeads, tokens: tokens,
            templatePrefixTokens: templatePrefixTokens, capacities: capacities, budget: budget)
    }

    /// What is decided so far.
    public var progress: Progress { Progress(heads: layers.map(\.heads), preferences: preferences) }

    /// Goes on where another cascade with the same parameters stopped.
    public mutating func resume(_ progress: Progress) {
        precondition(
            layers.isEmpty && progress.heads.count <= plan.layers, "a cascade is resumed before its first layer")
        preferences = progress.preferences
        layers = plan.ranked(progress.heads)
    }

    /// Takes the next layer's observation, ranks its entries and evicts everywhere down to this stage's budgets.
    public mutating func add(_ observation: LayerObservation) -> Stage {
        precondition(layers.count < plan.layers, "more layers than announced")
        preferences.append(observation.preference)
        plan.add(observation, to: &layers, preferences: preferences)
        return Stage(
            layer: layers.count - 1, heads: layers[layers.count - 1].heads,
            counts: layers.map { $0.heads.map(\.count) })
    }

    /// States what is kept when all layers have been added.
    public consuming func finish() -> Retention {
        plan.retention(layers, preferences: preferences)
    }

    /// Compresses with all layers at hand: what the cascade is tested against.
    package static func oneShot(
        method: Method, kvHeads: Int, tokens: Int, templatePrefixTokens: Int, capacities: [Int]? = nil, budget: Int,
        observations: [LayerObservation]
    ) throws(CAKEError) -> Retention {
        let plan = try CompressionPlan(
            method: method, layers: observations.count, kvHeads: kvHeads, tokens: tokens,
            templatePrefixTokens: templatePrefixTokens, capacities: capacities, budget: budget)
        return plan.retention(plan.rankEverything(observations), preferences: observations.map(\.preference))
    }
}
