// What a client hears back: answers, and how the reading of a document gets on.
import API

/// A finished answer.
public struct Answer: Equatable, Sendable {
    /// The whole text.
    public var text: String
    /// What the model thought before, where it did.
    public var reasoning = ""
    /// Why it ended.
    public var finishReason: FinishReason?
    /// The model that answered.
    public var model: String?
    /// What it cost.
    public var usage: Usage?
}

/// A piece of an answer while it is written.
public enum AnswerPiece: Equatable, Sendable {
    /// More of what the model thinks.
    case reasoning(String)
    /// More of the text.
    case text(String)
}

/// What the daemon reports while it reads a document.
public enum ReadingReport: Equatable, Sendable {
    /// Waiting behind this many other documents.
    case queued(ahead: Int)
    /// At work.
    case working(PutProgress)
}
