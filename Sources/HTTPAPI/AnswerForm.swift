// The answer objects of OpenAI's API, whole and in chunks.

import Glibc
import Inference

/// Writes one answer: its id and time are the same in every chunk.
struct AnswerForm: Sendable {
    /// Which of OpenAI's two endpoints asked.
    enum Kind: Sendable { case chat, text }

    let kind: Kind
    private let id: String
    private let created: Int
    private let model: String

    init(_ kind: Kind, model: String) {
        self.kind = kind
        self.model = model
        let random = String(UInt64.random(in: .min ... .max), radix: 36)
        id = (kind == .chat ? "chatcmpl-" : "cmpl-") + random
        created = time(nil)
    }

    /// The whole answer.
    func whole(text: String, reason: FinishReason, usage: Usage) -> AnswerObject {
        let choice: AnswerObject.Choice =
            switch kind {
            case .chat: .init(message: .init(role: "assistant", content: text), finishReason: reason.rawValue)
            case .text: .init(text: text, finishReason: reason.rawValue)
            }
        return object(kind == .chat ? "chat.completion" : "text_completion", [choice], usage: .value(.init(usage)))
    }

    /// The first chunk, which says who speaks; plain completions have none.
    func opening(withUsageField: Bool) -> AnswerObject? {
        guard kind == .chat else { return nil }
        return chunk(.init(delta: .init(role: "assistant", content: "")), withUsageField)
    }

    /// More of the answer.
    func chunk(text: String, withUsageField: Bool) -> AnswerObject {
        switch kind {
        case .chat: chunk(.init(delta: .init(content: text)), withUsageField)
        case .text: chunk(.init(text: text), withUsageField)
        }
    }

    /// The chunk that says why the answer ended.
    func last(reason: FinishReason, withUsageField: Bool) -> AnswerObject {
        switch kind {
        case .chat: chunk(.init(delta: .init(), finishReason: reason.rawValue), withUsageField)
        case .text: chunk(.init(text: "", finishReason: reason.rawValue), withUsageField)
        }
    }

    /// The chunk after it, if the client asked for it.
    func usageChunk(_ usage: Usage) -> AnswerObject { object(chunkName, [], usage: .value(.init(usage))) }

    private var chunkName: String { kind == .chat ? "chat.completion.chunk" : "text_completion" }

    private func chunk(_ choice: AnswerObject.Choice, _ withUsageField: Bool) -> AnswerObject {
        object(chunkName, [choice], usage: withUsageField ? .null : .absent)
    }

    private func object(_ name: String, _ choices: [AnswerObject.Choice], usage: AnswerObject.UsageField)
        -> AnswerObject
    {
        AnswerObject(id: id, object: name, created: created, model: model, choices: choices, usage: usage)
    }
}

/// An answer or a chunk of one.
struct AnswerObject: Encodable {
    /// A choice; there is only ever the first.
    struct Choice: Encodable {
        struct Message: Encodable {
            var role: String?
            var content: String?
        }

        var message: Message?
        var delta: Message?
        var text: String?
        var finishReason: String?

        init(message: Message? = nil, delta: Message? = nil, text: String? = nil, finishReason: String? = nil) {
            self.message = message
            self.delta = delta
            self.text = text
            self.finishReason = finishReason
        }

        enum CodingKeys: String, CodingKey {
            case index, message, delta, text, logprobs
            case finishReason = "finish_reason"
        }

        func encode(to encoder: any Encoder) throws {
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encode(0, forKey: .index)
            try fields.encodeIfPresent(message, forKey: .message)
            try fields.encodeIfPresent(delta, forKey: .delta)
            try fields.encodeIfPresent(text, forKey: .text)
            try fields.encodeNil(forKey: .logprobs)
            try fields.encode(finishReason, forKey: .finishReason)  // null until the last chunk, as clients expect
        }
    }

    /// A stream with usage has the field in every chunk, null in all but the last.
    enum UsageField { case absent, null, value(UsageObject) }

    var id: String
    var object: String
    var created: Int
    var model: String
    var choices: [Choice]
    var usage: UsageField

    enum CodingKeys: CodingKey { case id, object, created, model, choices, usage }

    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(id, forKey: .id)
        try fields.encode(object, forKey: .object)
        try fields.encode(created, forKey: .created)
        try fields.encode(model, forKey: .model)
        try fields.encode(choices, forKey: .choices)
        switch usage {
        case .absent: break
        case .null: try fields.encodeNil(forKey: .usage)
        case .value(let usage): try fields.encode(usage, forKey: .usage)
        }
    }
}

/// What an answer cost.
struct UsageObject: Encodable {
    private struct Details: Encodable {
        var cachedTokens: Int
        enum CodingKeys: String, CodingKey { case cachedTokens = "cached_tokens" }
    }

    private struct Timings: Encodable {
        var prefillSeconds: Double
        var decodeSeconds: Double
        enum CodingKeys: String, CodingKey {
            case prefillSeconds = "prefill_seconds"
            case decodeSeconds = "decode_seconds"
        }
    }

    private var promptTokens: Int
    private var completionTokens: Int
    private var totalTokens: Int
    private var promptTokensDetails: Details
    private var timings: Timings

    init(_ usage: Usage) {
        promptTokens = usage.promptTokens
        completionTokens = usage.completionTokens
        totalTokens = usage.promptTokens + usage.completionTokens
        promptTokensDetails = Details(cachedTokens: usage.cachedTokens)
        timings = Timings(prefillSeconds: usage.prefillSeconds, decodeSeconds: usage.decodeSeconds)
    }

    enum CodingKeys: String, CodingKey {
        case promptTokens = "prompt_tokens"
        case completionTokens = "completion_tokens"
        case totalTokens = "total_tokens"
        case promptTokensDetails = "prompt_tokens_details"
        case timings
    }
}
