// A turn of a conversation, as OpenAI's clients write it.

/// A turn of a conversation; its content is a text or, in requests, an array of text parts.
public struct ChatMessage: Codable, Equatable, Sendable {
    /// Who speaks.
    public enum Role: String, Codable, Sendable { case system, user, assistant }

    /// Who speaks.
    public var role: Role
    /// What is said.
    public var content: String

    /// A turn.
    public init(_ role: Role, _ content: String) {
        (self.role, self.content) = (role, content)
    }

    enum CodingKeys: String, CodingKey { case role, content }
    private enum ForeignKeys: String, CodingKey { case toolCalls = "tool_calls" }

    /// Throws `RequestError` for what caked cannot do, and for a role or a content that is none.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let path = JSONText.path(decoder.codingPath)
        let role = try fields.decode(String.self, forKey: .role)
        let foreign = try decoder.container(keyedBy: ForeignKeys.self)
        if try foreign.contains(.toolCalls) && !foreign.decodeNil(forKey: .toolCalls) {
            throw RequestError.unsupported("caked calls no tools", param: path + ".tool_calls")
        }
        switch role {
        case "system", "developer": self.role = .system  // OpenAI's newer name of the same
        case "user": self.role = .user
        case "assistant": self.role = .assistant
        case "tool", "function": throw RequestError.unsupported("caked calls no tools", param: path + ".role")
        default: throw RequestError.invalid("`\(path).role` must be system, user or assistant", param: path + ".role")
        }
        do {
            content = try fields.decode(String.self, forKey: .content)
        } catch DecodingError.typeMismatch, DecodingError.valueNotFound {
            guard (try? fields.nestedUnkeyedContainer(forKey: .content)) != nil else {
                throw RequestError.invalid(
                    "`\(path).content` must be a text or an array of text parts", param: path + ".content")
            }
            content = try fields.decode([Part].self, forKey: .content).map(\.text).joined()
        }
    }

    private struct Part: Decodable {
        var text: String
        enum CodingKeys: CodingKey { case type, text }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            guard try fields.decode(String.self, forKey: .type) == "text" else {
                throw RequestError.unsupported(
                    "caked reads text only", param: JSONText.path(decoder.codingPath) + ".type")
            }
            text = try fields.decode(String.self, forKey: .text)
        }
    }
}
