// What was said in a chat, the oldest of which is left out when the model's context is nearly full.

import API

/// The turns of a chat, each a question and its answer, within what a model can read at once.
struct Conversation {
    /// The share of the room behind the document that is left to the next question and its answer.
    ///
    /// Half of the turns go at once, since those that stay are read anew then: rarely rather than with every question.
    private static let reservedShare = 4

    /// What was said, and the question that is asked.
    private(set) var messages: [ChatMessage] = []
    /// Tokens that document, questions and answers may have together; nil while nobody has said.
    var contextLength: Int?
    /// Tokens of the document.
    var documentTokens = 0
    /// What the last question came to, with document and answer.
    private var usedTokens = 0

    /// Adds a question.
    mutating func ask(_ question: String) { messages.append(ChatMessage(.user, question)) }

    /// Adds its answer.
    mutating func take(_ answer: String, usedTokens: Int?) {
        messages.append(ChatMessage(.assistant, answer))
        self.usedTokens = usedTokens ?? 0
    }

    /// Takes back a question that has no answer.
    mutating func takeBack() { messages.removeLast() }

    /// Whether the next question had better be asked without the oldest turns.
    var isNearlyFull: Bool {
        guard let contextLength else { return false }
        return contextLength - usedTokens < (contextLength - documentTokens) / Self.reservedShare
    }

    /// Leaves out the older half of the turns before the question; returns how many went, 0 where there were none.
    mutating func leaveOutOldest() -> Int {
        let turns = messages.count / 2
        let gone = (turns + 1) / 2
        messages.removeFirst(2 * gone)
        usedTokens = 0
        return gone
    }
}
