// What a prompt is made of: messages, and the segments they are rendered into.

/// A stretch of a rendered prompt.
public enum PromptSegment: Sendable, Equatable, Encodable {
    /// Text of the chat template, in which all special tokens are recognised.
    case template(String)
    /// Text that somebody wrote, in which only user-defined tokens are recognised.
    case text(String)

    /// The text of the segment.
    public var content: String {
        switch self {
        case .template(let text), .text(let text): text
        }
    }
}

/// One message of a chat.
public struct ChatMessage: Sendable, Equatable {
    /// Who speaks.
    public enum Role: String, Sendable {
        case system, user, assistant
    }

    /// Who speaks.
    public var role: Role
    /// What they say.
    public var content: String

    /// Creates a message.
    public init(role: Role, content: String) {
        self.role = role
        self.content = content
    }
}
