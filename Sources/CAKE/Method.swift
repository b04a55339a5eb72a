// What to observe, how to score, how to share the budget: a compression method is a choice of each and nothing more.

/// A way to decide which entries of a document's KV cache are kept.
///
/// CAKE (Qin et al., ICLR 2025, arXiv 2503.12491) and the methods it is compared with differ only in the parts below.
public struct Method: Sendable, Hashable {
    /// The query rows whose attention judges the entries.
    public enum Observation: Sendable, Hashable {
        /// Nothing is observed.
        case none
        /// The document's own last rows, as in the paper; they are always kept.
        case window(rows: Int)
        /// The document once more, in chunks that see the whole document and are dropped afterwards.
        case reconstruction(chunkRows: Int)
    }

    /// How attention over the observation rows becomes one number per KV head and token.
    public enum Indicator: Sendable, Hashable {
        /// No opinion: all equal, so that entries rank by position, the first one highest.
        case position
        /// Mean plus `gamma` times variance over the rows, averaged over `poolWidth` neighbours and the query group.
        case meanPlusVariance(gamma: Float, poolWidth: Int)
        /// The largest attention over all rows, chunks and query heads of the group.
        case maximum
        /// The largest change that evicting the entry would make to a row, over all rows, chunks and query heads of the
        /// group, averaged over `poolWidth` neighbours.
        ///
        /// Without entry n, whose value is v, a head's other weights grow by 1 / (1 − A), and its output moves from o by
        /// A / (1 − A) · (o − v). What counts is the length of that after W_o, as a share of the row's residual
        /// stream x: A / (1 − A) · ‖W_o (o − v)‖ / ‖x‖. Weighing attention by what the value adds follows CriticalKV
        /// (arXiv 2502.03805) and KVzip (arXiv 2505.23416); the pool is CAKE's.
        case largestChange(poolWidth: Int)
    }

    /// How the total budget is shared among the layers.
    public enum Allocation: Sendable, Hashable {
        /// Every layer keeps every entry, whatever the budget.
        case everything
        /// Every layer gets the average.
        case uniform
        /// In proportion to the layer's preference H^(1/tau1) · V^(1/tau2), but no less than `floorShare` of the average.
        case cake(tau1: Double, tau2: Double, floorShare: Double)
    }

    /// The preset's name, for manifests and messages.
    public var name: String
    /// The rows that observe.
    public var observation: Observation
    /// The score of an entry.
    public var indicator: Indicator
    /// The share of a layer.
    public var allocation: Allocation
    /// Whether a layer's heads share one ranking, so that their counts differ (ragged), or keep equally many each.
    public var competeAcrossHeads: Bool
    /// The document's first tokens that are always kept (attention sinks), template prefix included.
    public var protectedTokens: Int
    /// Whether the chat template's tokens before the document's text are always kept.
    public var protectsTemplatePrefix: Bool

    /// Combines the parts of a method.
    public init(
        name: String, observation: Observation, indicator: Indicator, allocation: Allocation,
        competeAcrossHeads: Bool = false, protectedTokens: Int = 0, protectsTemplatePrefix: Bool = false
    ) {
        self.name = name
        self.observation = observation
        self.indicator = indicator
        self.allocation = allocation
        self.competeAcrossHeads = competeAcrossHeads
        self.protectedTokens = protectedTokens
        self.protectsTemplatePrefix = protectsTemplatePrefix
    }

    /// How many of a document's first tokens are observed: all but the window, whose own columns the paper leaves out.
    public func observedTokens(documentTokens tokens: Int) -> Int {
        if case .window(let rows) = observation { return max(0, tokens - rows) }
        return tokens
    }

    /// Whether the indicator needs to know what the values of evicted entries would take from the rows' outputs.
    public var observesChange: Bool {
        if case .largestChange = indicator { return true }
        return false
    }

    /// The budget that keeps a share of a document's entries: rounded up, at least what is kept in any case, at most all.
    public func budget(keepingPercent percent: Double, tokens: Int, templatePrefixTokens: Int = 0) -> Int {
        let smallest = smallestBudget(tokens: tokens, templatePrefixTokens: templatePrefixTokens)
        return min(tokens, max(smallest, Int((Double(tokens) * percent / 100).rounded(.up))))
    }

    /// The smallest budget a document of so many tokens can have: the entries per head that are kept in any case.
    public func smallestBudget(tokens: Int, templatePrefixTokens: Int) -> Int {
        if case .everything = allocation { return tokens }
        return max(1, AlwaysKept(self, tokens: tokens, templatePrefixTokens: templatePrefixTokens).count)
    }
}
