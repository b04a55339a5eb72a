// The answer objects of OpenAI's API, whole and in chunks.

/// Why an answer ended, as OpenAI names it.
public enum FinishReason: String, Codable, Sendable {
    /// The model ended its turn, or a stop text came.
    case stop
    /// The token limit or the model's context was reached.
    case length
}

/// What an answer cost.
public struct Usage: Codable, Equatable, Sendable {
    /// How much of the prompt was not computed.
    public struct PromptTokensDetails: Codable, Equatable, Sendable {
        /// Tokens of the document, and of the conversation so far, that were not read again.
        public var cachedTokens: Int

        enum CodingKeys: String, CodingKey { case cachedTokens = "cached_tokens" }
    }

    /// Where the time went.
    public struct Timings: Codable, Equatable, Sendable {
        /// Seconds spent on reading the question.
        public var prefillSeconds: Double
        /// Seconds from the first token to the last.
        public var decodeSeconds: Double

        enum CodingKeys: String, CodingKey {
            case prefillSeconds = "prefill_seconds"
            case decodeSeconds = "decode_seconds"
        }
    }

    /// Tokens of the document and the question.
    public var promptTokens: Int
    /// Tokens generated.
    public var completionTokens: Int
    /// Their sum.
    public var totalTokens: Int
    /// How much of the prompt was not computed.
    public var promptTokensDetails: PromptTokensDetails
    /// Where the time went.
    public var timings: Timings

    /// The cost of an answer; the total follows.
    public init(
        promptTokens: Int, cachedTokens: Int, completionTokens: Int, prefillSeconds: Double, decodeSeconds: Double
    ) {
        self.promptTokens = promptTokens
        self.completionTokens = completionTokens
        totalTokens = promptTokens + completionTokens
        promptTokensDetails = PromptTokensDetails(cachedTokens: cachedTokens)
        timings = Timings(prefillSeconds: prefillSeconds, decodeSeconds: decodeSeconds)
    }

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case totalTokens = "total_tokens"
        case promptTokensDetails = "prompt_tokens_details"
        case timings
    }
}

/// An answer or a chunk of one.
public struct Completion: Codable, Equatable, Sendable {
    /// What the answer, or this chunk of it, says.
    public struct Message: Codable, Equatable, Sendable {
        /// Who speaks; absent in all chunks but the first.
        public var role: String?
        /// The text.
        public var content: String?
        /// What the model thought before, where it did.
        public var reasoning: String?

        /// All fields.
        public init(role: String? = nil, content: String? = nil, reasoning: String? = nil) {
            (self.role, self.content, self.reasoning) = (role, content, reasoning)
        }

        // The name that DeepSeek's API gave it, and others took over.
        enum CodingKeys: String, CodingKey {
            case role, content
            case reasoning = "reasoning_content"
        }
    }

    /// One of the answers, or a piece of one.
    public struct Choice: Codable, Equatable, Sendable {
        /// Of a whole chat answer.
        public var message: Message?
        /// Of a chunk of one.
        public var delta: Message?
        /// Of a plain completion and its chunks.
        public var text: String?
        /// Why the answer ended; nil until the last chunk.
        public var finishReason: FinishReason?
        /// How likely its tokens were, where that was asked for.
        public var logprobs: AnswerProbabilities?
        /// Which of the answers it is, from 0.
        public var index = 0

        /// All fields but the last.
        public init(
            message: Message? = nil, delta: Message? = nil, text: String? = nil, finishReason: FinishReason? = nil,
            logprobs: AnswerProbabilities? = nil
        ) {
            (self.message, self.delta, self.text, self.finishReason) = (message, delta, text, finishReason)
            self.logprobs = logprobs
        }

        enum CodingKeys: String, CodingKey {
            case message, delta, text
            case finishReason = "finish_reason"
            case logprobs, index
        }

        /// What lacks a number is the first.
        public init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            message = try fields.decodeIfPresent(Message.self, forKey: .message)
            delta = try fields.decodeIfPresent(Message.self, forKey: .delta)
            text = try fields.decodeIfPresent(String.self, forKey: .text)
            finishReason = try fields.decodeIfPresent(FinishReason.self, forKey: .finishReason)
            logprobs = try fields.decodeIfPresent(AnswerProbabilities.self, forKey: .logprobs)
            index = try fields.decodeIfPresent(Int.self, forKey: .index) ?? 0
        }

        /// With the fields that clients expect although nobody asked for them.
        public func encode(to encoder: any Encoder) throws {
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encode(index, forKey: .index)
            try fields.encode(logprobs, forKey: .logprobs)  // null where nobody asked
            try fields.encodeIfPresent(message, forKey: .message)
            try fields.encodeIfPresent(delta, forKey: .delta)
            try fields.encodeIfPresent(text, forKey: .text)
            try fields.encode(finishReason, forKey: .finishReason)  // null until the last chunk, as clients expect
        }
    }

    /// A stream with usage has the field in every chunk, null in all but the last.
    public enum UsageField: Equatable, Sendable {
        case absent, null, value(Usage)

        /// What the answer cost, where it is said.
        public var value: Usage? { if case .value(let usage) = self { usage } else { nil } }
    }

    /// The same in every chunk.
    public var id: String
    /// "chat.completion", "chat.completion.chunk" or "text_completion".
    public var object: String
    /// When it was begun, Unix seconds.
    public var created: Int
    /// The model that answers.
    public var model: String
    /// As many as were asked for; in a chunk one, or none in that with the usage.
    public var choices: [Choice]
    /// What the answer cost.
    public var usage: UsageField
    /// What of the request had no effect; in a stream with the chunk that says why it ended.
    public var warnings: [String]?

    /// All fields but the warnings.
    public init(id: String, object: String, created: Int, model: String, choices: [Choice], usage: UsageField) {
        (self.id, self.object, self.created, self.model) = (id, object, created, model)
        (self.choices, self.usage) = (choices, usage)
    }

    enum CodingKeys: CodingKey { case id, object, created, model, choices, usage, warnings }

    /// A usage that is null is not one that is absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        id = try fields.decode(String.self, forKey: .id)
        object = try fields.decode(String.self, forKey: .object)
        created = try fields.decode(Int.self, forKey: .created)
        model = try fields.decode(String.self, forKey: .model)
        choices = try fields.decode([Choice].self, forKey: .choices)
        let cost = try fields.decodeIfPresent(Usage.self, forKey: .usage)
        warnings = try fields.decodeIfPresent([String].self, forKey: .warnings)
        usage = cost.map(UsageField.value) ?? (fields.contains(.usage) ? .null : .absent)
    }

    /// A usage that is null is not one that is absent.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(id, forKey: .id)
        try fields.encode(object, forKey: .object)
        try fields.encode(created, forKey: .created)
        try fields.encode(model, forKey: .model)
        try fields.encode(choices, forKey: .choices)
        try fields.encodeIfPresent(warnings, forKey: .warnings)
        switch usage {
        case .absent: break
        case .null: try fields.encodeNil(forKey: .usage)
        case .value(let usage): try fields.encode(usage, forKey: .usage)
        }
    }
}
