// How far two next-token distributions are apart.

import Glibc

/// Next-token distributions along a text: a reference's, and another's that should be like it.
public struct Divergence: Sendable {
    /// Tokens compared.
    public private(set) var tokens = 0
    private var divergence = 0.0
    private var referenceLoss = 0.0
    private var loss = 0.0
    private var sameBest = 0

    /// Nothing compared yet.
    public init() {}

    /// Compares the distributions of one place, given as logits; `truth` is the token that follows.
    public mutating func add(reference: [Float], other: [Float], truth: Int) {
        precondition(reference.count == other.count && reference.indices.contains(truth))
        let (p, q) = (Self.logProbabilities(reference), Self.logProbabilities(other))
        divergence += Self.between(p, q)
        referenceLoss -= p[truth]
        loss -= q[truth]
        sameBest += Self.best(reference) == Self.best(other) ? 1 : 0
        tokens += 1
    }

    /// Kullback-Leibler divergence of `other` from `reference`, both given as logits, in nats.
    static func between(_ reference: [Float], _ other: [Float]) -> Double {
        between(logProbabilities(reference), logProbabilities(other))
    }

    private static func between(_ p: [Double], _ q: [Double]) -> Double {
        var sum = 0.0
        for (p, q) in zip(p, q) where p > -.infinity { sum += exp(p) * (p - q) }
        return max(0, sum)
    }

    /// The mean Kullback-Leibler divergence from the reference, in nats.
    public var meanDivergence: Double { divergence / Double(tokens) }
    /// The reference's perplexity of the text.
    public var referencePerplexity: Double { exp(referenceLoss / Double(tokens)) }
    /// The other's.
    public var perplexity: Double { exp(loss / Double(tokens)) }
    /// The share of places where both find the same token likeliest.
    public var agreement: Double { Double(sameBest) / Double(tokens) }

    /// log softmax, in double precision.
    static func logProbabilities(_ logits: [Float]) -> [Double] {
        let most = Double(logits.max() ?? 0)
        let logTotal = log(logits.reduce(0) { $0 + exp(Double($1) - most) })
        return logits.map { Double($0) - most - logTotal }
    }

    /// The largest one's index, the first of equals.
    public static func best(_ logits: [Float]) -> Int {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return best
    }
}
