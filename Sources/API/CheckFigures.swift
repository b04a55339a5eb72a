// What was found when a document's compact cache was compared with the full one.

/// Figures of a check: the caches' next-token distributions at places of the document.
public struct CheckFigures: Codable, Equatable, Sendable {
    /// The budget that was checked; a document that was shrunk since keeps less.
    public var budget: Int
    /// Places of the document that were asked for; 0 when it is too short or fills the context: then nothing is known.
    public var places = 0
    /// Tokens compared.
    public var tokens = 0
    /// Those of them that the full cache knows and nobody would guess who has not read the document.
    public var known = 0
    /// The share of the known tokens that the compact cache knows too; nil when they are too few to tell.
    public var recall: Double?
    /// The share of all tokens at which both find the same one likeliest.
    public var agreement: Double?
    /// The mean Kullback-Leibler divergence of the compact cache from the full one, in nats.
    public var kl: Double?
    /// How often the compact cache finds the document's own token likeliest.
    public var right: Double?
    /// How often the full cache does.
    public var rightFull: Double?
    /// The recall that was asked for, if one was.
    public var target: Double?

    /// Nothing found yet about a budget.
    public init(budget: Int) { self.budget = budget }

    /// Whether no share lies outside 0 to 1, and no number is negative or infinite.
    package var isPossible: Bool {
        let shares = [recall, agreement, right, rightFull, target].compactMap(\.self)
        return budget >= 0 && places >= 0 && known >= 0 && known <= tokens && shares.allSatisfy { (0...1).contains($0) }
            && kl.map { $0.isFinite && $0 >= 0 } ?? true
    }

    enum CodingKeys: String, CodingKey {
        case budget, places, tokens, known, recall, agreement, kl, right
        case rightFull = "right_full"
        case target
    }
}
