// What one layer's observation says, in the form allocation and ranking take it.

/// Dispersion, shift and indicator of one layer.
public struct LayerObservation: Sendable, Equatable {
    /// H: the entropy of the observed attention, summed over rows, query heads and tokens.
    public var entropy: Double
    /// V: the variance over the rows of a chunk, summed over chunks, query heads and tokens.
    public var variance: Double
    /// P = H^(1/τ1) · V^(1/τ2).
    public var preference: Double
    /// I, `[kvHeads, observedTokens]`; empty when nothing was observed, which ranks entries by position.
    public var indicator: [Float]

    /// States an observation.
    public init(entropy: Double, variance: Double, preference: Double, indicator: [Float]) {
        self.entropy = entropy
        self.variance = variance
        self.preference = preference
        self.indicator = indicator
    }

    /// The observation of a method that observes nothing.
    public static let none = LayerObservation(entropy: 0, variance: 0, preference: 0, indicator: [])
}
