// What to observe, how to score, how to share the budget: a compression method is a choice of each and nothing more.

/// A way to decide which entries of a document's KV cache are kept.
///
/// CAKE (Qin et al., ICLR 2025, arXiv 2503.12491) and the methods it is compared with differ only in the parts below.
public struct Method: Sendable, Hashable, Codable {
    /// The preset's name, for manifests and messages.
    public var name: String
    /// The rows that observe.
    public var observation: Observation
    /// The score of an entry.
    public var indicator: Indicator
    /// Whether an entry's score is multiplied by the norm of what its value adds to the residual stream, ‖W_o v‖.
    ///
    /// CriticalKV (Feng et al., arXiv 2502.03805) and KVzip+ do this; `Indicator.largestChange` does it by itself.
    public var weighsValues: Bool
    /// The share of a layer.
    public var allocation: Allocation
    /// The share of a head inside its layer.
    public var heads: HeadShares
    /// The document's first tokens that are always kept (attention sinks), template prefix included.
    public var protectedTokens: Int
    /// The document's last tokens that are always kept; an observation window is kept whatever this says.
    public var recentTokens: Int
    /// Whether the chat template's tokens before the document's text are always kept.
    public var protectsTemplatePrefix: Bool

    /// Combines the parts of a method.
    public init(
        name: String, observation: Observation, indicator: Indicator, weighsValues: Bool = false,
        allocation: Allocation, heads: HeadShares = .equal, protectedTokens: Int = 0, recentTokens: Int = 0,
        protectsTemplatePrefix: Bool = false
    ) {
        self.name = name
        self.observation = observation
        self.indicator = indicator
        if case .largestChange = indicator { precondition(!weighsValues, "the largest change weighs values itself") }
        self.weighsValues = weighsValues
        self.allocation = allocation
        self.heads = heads
        self.protectedTokens = protectedTokens
        self.recentTokens = recentTokens
        self.protectsTemplatePrefix = protectsTemplatePrefix
    }

    /// How many of a document's first tokens are observed: all but the window, whose own columns the paper leaves out.
    public func observedTokens(documentTokens tokens: Int) -> Int {
        if case .window(let rows) = observation { return max(0, tokens - rows) }
        return tokens
    }

    /// Whether observing needs the values of the entries and what the rows make of them.
    public var observesChange: Bool {
        if case .largestChange = indicator { return true }
        return weighsValues
    }

    /// Whether questions may observe: as branches they can stand beside a reconstruction's.
    public var takesProbes: Bool {
        switch observation {
        case .probe, .reconstruction: true
        case .none, .window, .everyRow, .predicted: false
        }
    }

    /// The budget that keeps a share of a document's entries: rounded up, at least what is kept in any case, at most
    /// all.
    ///
    /// - Parameter capacities: entries that each layer has at most, where that is fewer than tokens in some; nil: all
    ///   of them.
    public func budget(
        keepingPercent percent: Double, tokens: Int, templatePrefixTokens: Int = 0, capacities: [Int]? = nil
    ) -> Int {
        let smallest = smallestBudget(tokens: tokens, templatePrefixTokens: templatePrefixTokens)
        let whole = capacities.map { Double($0.reduce(0, +)) / Double(max(1, $0.count)) } ?? Double(tokens)
        return min(tokens, max(smallest, Int((whole * percent / 100).rounded(.up))))
    }

    /// The smallest budget a document of so many tokens can have: the entries per head that are kept in any case.
    public func smallestBudget(tokens: Int, templatePrefixTokens: Int) -> Int {
        if case .everything = allocation { return tokens }
        return max(1, AlwaysKept(self, tokens: tokens, templatePrefixTokens: templatePrefixTokens).count)
    }
}
