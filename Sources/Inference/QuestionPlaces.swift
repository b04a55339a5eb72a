// How many questions are answered at once, and how much is kept of ended ones, where the configuration leaves it to the
// engine: as memory allows, within bounds.

import Transformer

/// The places of the batch.
package enum QuestionPlaces {
    /// At least what a small machine needs for several users; at most what lets a question that joins have its first
    /// token in twice the time that it takes beside a single other one (`cakebench crowd`).
    package static let bounds = 4...16
    /// The share of the available memory that conversations may come to take.
    static let memoryShare = 8
    /// Tokens of a question that are reckoned with, beside an answer's.
    static let questionTokens = 1024

    /// The places for a model's shape: each has a conversation in memory, and one more that has lost its place.
    package static func count(_ shape: ModelConfiguration, answerTokens: Int, availableBytes: Int) -> Int {
        let tokens = min(shape.contextLength, answerTokens + questionTokens)
        // The longest rows that a conversation grows in are of half precision.
        let rowBytes = 2 * shape.headWidth
        let conversationBytes = tokens * shape.layers * shape.kvHeads * 2 * rowBytes
        let logitBytes = 4 * shape.vocabulary
        let places = availableBytes / memoryShare / max(1, 2 * conversationBytes + logitBytes)
        return min(max(places, bounds.lowerBound), bounds.upperBound)
    }
}

/// The memory of kept tails.
package enum TailMemory {
    /// The share of the available memory that they may take: as much as running conversations may come to.
    static let memoryShare = 8
    /// At least room for some short conversations, also where the system does not say what is available.
    package static let leastBytes = 64 << 20

    /// What they may take on a machine.
    package static func bytes(availableBytes: Int) -> Int { max(leastBytes, availableBytes / memoryShare) }
}
