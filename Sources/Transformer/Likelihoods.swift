// How likely the model thinks the tokens that may come next, before anything is done to their logits.

import Glibc

/// A token and the logarithm of its probability: the logit less ln Σ e^logit.
public struct TokenLikelihood: Equatable, Sendable {
    /// The token.
    public var id: Int32
    /// ln p, at most 0; −∞ for what cannot come.
    public var logProbability: Double

    /// Both.
    public init(id: Int32, logProbability: Double) { (self.id, self.logProbability) = (id, logProbability) }

    /// The likelihood of `chosen`, and those of the likeliest tokens, at most so many, likeliest first; of equals the
    /// lower id comes first.
    ///
    /// - Parameter logits: `[vocabulary]`, none of them NaN or +∞, `chosen` among their ids.
    public static func of(
        _ chosen: Int32, likeliest count: Int, in logits: Span<Float>
    ) -> (chosen: TokenLikelihood, likeliest: [TokenLikelihood]) {
        var peak = -Float.infinity
        for index in logits.indices { peak = max(peak, logits[index]) }
        var sum = 0.0
        for index in logits.indices { sum += exp(Double(logits[index] - peak)) }
        let total = Double(peak) + log(sum)
        func likelihood(_ index: Int) -> TokenLikelihood {
            TokenLikelihood(id: Int32(index), logProbability: Double(logits[index]) - total)
        }
        // Short, so that inserting is quick; most tokens are below its last.
        var best: [Int] = []
        for index in logits.indices where best.count < count || best.last.map { logits[index] > logits[$0] } ?? false {
            best.insert(index, at: best.firstIndex { logits[$0] < logits[index] } ?? best.endIndex)
            if best.count > count { best.removeLast() }
        }
        return (likelihood(Int(chosen)), best.map(likelihood))
    }
}
