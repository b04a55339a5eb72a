// The bodies of OpenAI's completion requests: what caked does is taken, what it cannot do is refused by name, and what
// it does not know is ignored.

import Inference
import Tokenizers

/// `POST /v1/chat/completions` and `POST /v1/completions`.
package struct CompletionBody: Decodable {
    /// The most texts that may end an answer, and the bytes of each: they are compared with every token.
    static let maxStops = 16
    static let maxStopBytes = 256

    var model: String?
    var document: String?
    /// Entries to read of the document, on average for each layer and KV head.
    var budget: Int?
    var messages: [ChatMessage]?
    var prompt: String?
    var maxTokens: Int?
    var sampling = SamplingRequest()
    var stop: [String] = []
    var streams = false
    var includesUsage = false

    enum CodingKeys: String, CodingKey {
        case model, document, budget, messages, prompt, temperature, seed, stop, stream
        case maxTokens = "max_tokens"
        case maxCompletionTokens = "max_completion_tokens"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case repetitionPenalty = "repetition_penalty"
        case streamOptions = "stream_options"
    }

    package init(from decoder: any Decoder) throws {
        try UnsupportedFields.check(decoder)
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        model = try fields.decodeIfPresent(String.self, forKey: .model)
        if let name = try fields.decodeIfPresent(String.self, forKey: .document) {
            document = try DocumentName.checked(name, param: "document")
        }
        budget = try Self.number(fields, .budget, in: 1...Int(Int32.max), "at least 1")
        if budget != nil, document == nil {
            throw APIError.invalid("`budget` is about a document; name one as `document`", param: "budget")
        }
        messages = try fields.decodeIfPresent([Message].self, forKey: .messages)?.map(\.message)
        prompt = try fields.decodeIfPresent(OneOrMany.self, forKey: .prompt)?.single(param: "prompt")
        let limits: [CodingKeys] = [.maxCompletionTokens, .maxTokens]
        for key in limits where maxTokens == nil {
            maxTokens = try Self.number(fields, key, in: 1...Int.max, "at least 1")
        }
        try readSampling(fields)
        stop = try fields.decodeIfPresent(OneOrMany.self, forKey: .stop)?.texts ?? []
        guard stop.count <= Self.maxStops, stop.allSatisfy({ (1...Self.maxStopBytes).contains($0.utf8.count) }) else {
            throw APIError.invalid(
                "`stop` takes at most \(Self.maxStops) texts of 1 to \(Self.maxStopBytes) bytes", param: "stop")
        }
        streams = try fields.decodeIfPresent(Bool.self, forKey: .stream) ?? false
        includesUsage = try fields.decodeIfPresent(StreamOptions.self, forKey: .streamOptions)?.includeUsage ?? false
    }

    private mutating func readSampling(_ fields: KeyedDecodingContainer<CodingKeys>) throws {
        if let value = try Self.number(fields, .temperature, in: Float(0)...2, "between 0 and 2") {
            sampling.temperature = value
        }
        if let value = try Self.number(fields, .topP, in: Float.leastNonzeroMagnitude...1, "above 0 and at most 1") {
            sampling.topP = value
        }
        if let value = try Self.number(fields, .topK, in: 0...1_000_000, "between 0 and 1000000") {
            sampling.topK = value
        }
        if let value = try Self.number(fields, .minP, in: Float(0)...1, "between 0 and 1") { sampling.minP = value }
        if let value = try Self.number(fields, .repetitionPenalty, in: Float(0.1)...10, "between 0.1 and 10") {
            sampling.repetitionPenalty = value
        }
        // OpenAI's seed is a signed number; every one of its bits counts.
        sampling.seed = try fields.number(Int64.self, forKey: .seed).map { UInt64(bitPattern: $0) }
    }

    private static func number<N: Comparable & Decodable & Numeric>(
        _ fields: KeyedDecodingContainer<CodingKeys>, _ key: CodingKeys, in range: ClosedRange<N>, _ wanted: String
    ) throws -> N? {
        guard let value = try fields.number(N.self, forKey: key) else { return nil }
        guard range.contains(value) else {
            throw APIError.invalid("`\(key.rawValue)` must be \(wanted)", param: key.rawValue)
        }
        return value
    }

    private struct StreamOptions: Decodable {
        var includeUsage: Bool?
        enum CodingKeys: String, CodingKey { case includeUsage = "include_usage" }
    }
}

/// A message of a conversation; its content is a text or an array of text parts.
private struct Message: Decodable {
    var message: ChatMessage

    enum CodingKeys: String, CodingKey {
        case role, content
        case toolCalls = "tool_calls"
    }

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let role = try fields.decode(String.self, forKey: .role)
        let path = JSONText.path(decoder.codingPath)
        if try fields.contains(.toolCalls) && !fields.decodeNil(forKey: .toolCalls) {
            throw APIError.unsupported("caked calls no tools", param: path + ".tool_calls")
        }
        let known: ChatMessage.Role
        switch role {
        case "system", "developer": known = .system  // OpenAI's newer name of the same
        case "user": known = .user
        case "assistant": known = .assistant
        case "tool", "function": throw APIError.unsupported("caked calls no tools", param: path + ".role")
        default: throw APIError.invalid("`\(path).role` must be system, user or assistant", param: path + ".role")
        }
        do {
            message = ChatMessage(role: known, content: try fields.decode(String.self, forKey: .content))
        } catch DecodingError.typeMismatch, DecodingError.valueNotFound {
            guard (try? fields.nestedUnkeyedContainer(forKey: .content)) != nil else {
                throw APIError.invalid(
                    "`\(path).content` must be a text or an array of text parts", param: path + ".content")
            }
            let parts = try fields.decode([Part].self, forKey: .content)
            message = ChatMessage(role: known, content: parts.map(\.text).joined())
        }
    }

    private struct Part: Decodable {
        var text: String
        enum CodingKeys: CodingKey { case type, text }

        init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            guard try fields.decode(String.self, forKey: .type) == "text" else {
                throw APIError.unsupported(
                    "caked reads text only", param: JSONText.path(decoder.codingPath) + ".type")
            }
            text = try fields.decode(String.self, forKey: .text)
        }
    }
}

/// A text, or an array of texts.
private struct OneOrMany: Decodable {
    var texts: [String]

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        texts = try (try? value.decode(String.self)).map { [$0] } ?? value.decode([String].self)
    }

    func single(param: String) throws -> String {
        guard texts.count == 1 else { throw APIError.unsupported("`\(param)` must be one text", param: param) }
        return texts[0]
    }
}

/// Fields that would change the answer if caked knew them: ignoring them would give a wrong one.
private enum UnsupportedFields {
    /// A field, whether a value of it asks for nothing, and what is lacking.
    private struct Rule {
        var field: String
        var lacking: String
        var isHarmless: @Sendable (Value) -> Bool
    }

    private static let rules: [Rule] = [
        Rule(field: "tools", lacking: "caked calls no tools") { $0.isEmpty },
        Rule(field: "tool_choice", lacking: "caked calls no tools") { $0 == .text("none") || $0 == .text("auto") },
        Rule(field: "functions", lacking: "caked calls no tools") { $0.isEmpty },
        Rule(field: "function_call", lacking: "caked calls no tools") { $0 == .text("none") || $0 == .text("auto") },
        Rule(field: "n", lacking: "caked gives one answer") { $0 == .number(1) },
        Rule(field: "best_of", lacking: "caked gives one answer") { $0 == .number(1) },
        Rule(field: "logprobs", lacking: "caked gives no probabilities") { $0 == .flag(false) },
        Rule(field: "top_logprobs", lacking: "caked gives no probabilities") { $0 == .number(0) },
        Rule(field: "response_format", lacking: "caked answers in plain text") { $0.type == "text" },
        Rule(field: "logit_bias", lacking: "caked biases no tokens") { $0.isEmpty },
        Rule(field: "presence_penalty", lacking: "use `repetition_penalty`") { $0 == .number(0) },
        Rule(field: "frequency_penalty", lacking: "use `repetition_penalty`") { $0 == .number(0) },
        Rule(field: "modalities", lacking: "caked answers in text") {
            $0 == .other(count: 1, type: nil, first: "text")
        },
        Rule(field: "audio", lacking: "caked answers in text") { _ in false },
        Rule(field: "echo", lacking: "caked does not repeat the prompt") { $0 == .flag(false) },
        Rule(field: "suffix", lacking: "caked fills no gaps") { $0 == .text("") },
    ]

    static func check(_ decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: AnyKey.self)
        for rule in rules {
            let key = AnyKey(stringValue: rule.field)
            guard let value = try fields.decodeIfPresent(Value.self, forKey: key) else { continue }
            if !rule.isHarmless(value) {
                throw APIError.unsupported("`\(rule.field)` is not supported: \(rule.lacking)", param: rule.field)
            }
        }
    }

    /// Enough of any JSON value to see whether it asks for something.
    private enum Value: Decodable, Equatable {
        case flag(Bool)
        case number(Double)
        case text(String)
        case other(count: Int, type: String?, first: String?)

        var isEmpty: Bool { if case .other(count: 0, _, _) = self { true } else { false } }
        var type: String? { if case .other(_, let type, _) = self { type } else { nil } }

        init(from decoder: any Decoder) throws {
            if let fields = try? decoder.container(keyedBy: AnyKey.self) {
                let type = try? fields.decodeIfPresent(String.self, forKey: AnyKey(stringValue: "type"))
                self = .other(count: fields.allKeys.count, type: type, first: nil)
                return
            }
            if var items = try? decoder.unkeyedContainer() {
                let count = items.count ?? 0
                self = .other(count: count, type: nil, first: try? items.decode(String.self))
                return
            }
            let value = try decoder.singleValueContainer()
            if let flag = try? value.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? value.decode(Double.self) {
                self = .number(number)
            } else {
                self = .text(try value.decode(String.self))
            }
        }
    }

    private struct AnyKey: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}
