// Questions and answers: OpenAI's chat completions, with a document under them.

/// One turn of a conversation.
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
}

/// A question to the model, about a document when one is named.
public struct ChatRequest: Encodable, Equatable, Sendable {
    /// The cached document that the conversation is about.
    public var document: String?
    /// The conversation so far, the question last.
    public var messages: [ChatMessage]
    /// The entries to read of the document, on average for each layer and KV head; nil for all that are stored.
    public var budget: Int?
    /// The most tokens to generate.
    public var maxTokens: Int?
    /// 0 is greedy.
    public var temperature: Double?
    /// Nucleus sampling.
    public var topP: Double?
    /// Sample among this many tokens.
    public var topK: Int?
    /// Sample among tokens at least this likely, relative to the likeliest.
    public var minP: Double?
    /// Above 1 discourages repetition.
    public var repetitionPenalty: Double?
    /// Makes sampling repeatable.
    public var seed: Int64?
    /// Texts that end the answer.
    public var stop: [String]?
    /// The loaded model's id; anything else is refused.
    public var model: String?

    /// A conversation, about `document` when one is named.
    public init(document: String? = nil, messages: [ChatMessage]) {
        (self.document, self.messages) = (document, messages)
    }

    /// A single question.
    public init(document: String? = nil, question: String) {
        self.init(document: document, messages: [ChatMessage(.user, question)])
    }
}

/// What an answer cost.
public struct Usage: Codable, Equatable, Sendable {
    /// How much of the prompt was not computed.
    public struct PromptTokensDetails: Codable, Equatable, Sendable {
        /// Tokens of the document served from its cache.
        public var cachedTokens: Int?
    }

    /// Where the time went.
    public struct Timings: Codable, Equatable, Sendable {
        /// Reading the question.
        public var prefillSeconds: Double?
        /// Writing the answer.
        public var decodeSeconds: Double?
    }

    /// Document and question.
    public var promptTokens: Int
    /// The answer.
    public var completionTokens: Int
    /// Their sum.
    public var totalTokens: Int?
    /// How much of the prompt was not computed.
    public var promptTokensDetails: PromptTokensDetails?
    /// Where the time went.
    public var timings: Timings?
}

/// A finished answer.
public struct Answer: Equatable, Sendable {
    /// The whole text.
    public var text: String
    /// "stop" or "length".
    public var finishReason: String?
    /// The model that answered.
    public var model: String?
    /// What it cost.
    public var usage: Usage?
}

/// `chat.completion` of the API.
struct ChatCompletion: Decodable {
    struct Choice: Decodable {
        struct Message: Decodable { var content: String? }
        var message: Message
        var finishReason: String?
    }
    var model: String?
    var choices: [Choice]
    var usage: Usage?
}

/// `chat.completion.chunk` of the API.
struct ChatCompletionChunk: Decodable {
    struct Choice: Decodable {
        struct Delta: Decodable { var content: String? }
        var delta: Delta?
        var finishReason: String?
    }
    var model: String?
    var choices: [Choice]
    var usage: Usage?
}

/// A ``ChatRequest`` as it is sent.
struct ChatRequestBody: Encodable {
    struct StreamOptions: Encodable { var includeUsage: Bool }
    enum CodingKeys: String, CodingKey { case stream, streamOptions }

    var request: ChatRequest
    var stream: Bool

    func encode(to encoder: any Encoder) throws {
        try request.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(stream, forKey: .stream)
        if stream { try container.encode(StreamOptions(includeUsage: true), forKey: .streamOptions) }
    }
}
