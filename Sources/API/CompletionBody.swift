// The body of OpenAI's completion requests: what caked does is taken, and what it cannot do is refused by name.

/// `POST /v1/chat/completions` and `POST /v1/completions`.
public struct CompletionBody: Codable, Equatable, Sendable {
    /// The most texts that may end an answer, OpenAI allows 4, others up to 16; they are compared with every token.
    public static let maximumStops = 16
    /// Bytes of one of them: it is held back whole, so it stays short.
    public static let maximumStopBytes = 256

    /// The most answers to one question, each of which takes a place among those that wait.
    public static let maximumChoices = 8

    /// The most alternatives that may be asked for with each token of a chat's answer, as OpenAI has it.
    public static let maximumAlternatives = 20
    /// The same for a plain completion.
    public static let maximumPlainAlternatives = 5

    /// The most tokens that may have a bias, which are looked up for every token of the answer; OpenAI takes 300.
    public static let maximumBiases = 1024

    /// What a temperature may be.
    public static let temperatures: ClosedRange<Float> = 0...2

    /// The loaded model's id; anything else is refused.
    public var model: String?
    /// The cached document that the question is about.
    public var document: String?
    /// Entries to read of the document, on average for each layer and KV head; nil: all that are stored.
    public var budget: Int?
    /// The conversation so far, the question last.
    public var messages: [ChatMessage]?
    /// Text to be continued as it is.
    public var prompt: String?
    /// What the model's chat template is given beside the messages, `enable_thinking` for one.
    public var templateArguments: [String: TemplateValue] = [:]
    /// How many answers are wanted.
    public var choices = 1
    /// The most tokens to generate.
    public var maxTokens: Int?
    /// 0 is greedy.
    public var temperature: Float?
    /// Nucleus sampling.
    public var topP: Float?
    /// Sample among this many tokens.
    public var topK: Int?
    /// Sample among tokens at least this likely, relative to the likeliest.
    public var minP: Float?
    /// Above 1 discourages repetition.
    public var repetitionPenalty: Float?
    /// Discourages tokens that the answer has already; below 0 it encourages them.
    public var presencePenalty: Float?
    /// The same, for each time that it has them.
    public var frequencyPenalty: Float?
    /// What is added to the logits of tokens, by their ids.
    public var logitBias: [Int32: Float] = [:]
    /// How many of the likeliest tokens are told with each of the answer's; nil: none, nor how likely those are.
    public var alternatives: Int?
    /// Makes sampling repeatable.
    public var seed: Int64?
    /// Texts that end the answer and are not part of it.
    public var stop: [String] = []
    /// Whether the answer comes as it is written.
    public var streams = false
    /// Whether a stream ends with what the answer cost.
    public var includesUsage = false

    /// A conversation, about `document` when one is named.
    public init(document: String? = nil, messages: [ChatMessage]) {
        (self.document, self.messages) = (document, messages)
    }

    /// A single question.
    public init(document: String? = nil, question: String) {
        self.init(document: document, messages: [ChatMessage(.user, question)])
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case model, document, budget, messages, prompt, temperature, seed, stop, stream, n
        case maxTokens = "max_tokens"
        case maxCompletionTokens = "max_completion_tokens"
        case topP = "top_p"
        case topK = "top_k"
        case minP = "min_p"
        case repetitionPenalty = "repetition_penalty"
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
        case logitBias = "logit_bias"
        case logprobs
        case topLogprobs = "top_logprobs"
        case streamOptions = "stream_options"
        case templateArguments = "chat_template_kwargs"
    }

    /// The names of all fields.
    static let fieldNames = CodingKeys.allCases.map(\.rawValue)

    private struct StreamOptions: Codable {
        var includeUsage: Bool?
        enum CodingKeys: String, CodingKey { case includeUsage = "include_usage" }

        init(includeUsage: Bool) { self.includeUsage = includeUsage }

        init(from decoder: any Decoder) throws {
            let names = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue)
            _ = try RequestFields.streamOptions.warnings(about: names.sorted(), .warn)
            includeUsage = try decoder.container(keyedBy: CodingKeys.self).decodeIfPresent(
                Bool.self, forKey: .includeUsage)
        }
    }
}

// MARK: As it is sent

extension CompletionBody {
    /// Only what is given, and whether to stream.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encodeIfPresent(model, forKey: .model)
        try fields.encodeIfPresent(document, forKey: .document)
        try fields.encodeIfPresent(budget, forKey: .budget)
        try fields.encodeIfPresent(messages, forKey: .messages)
        try fields.encodeIfPresent(prompt, forKey: .prompt)
        if choices != 1 { try fields.encode(choices, forKey: .n) }
        try fields.encodeIfPresent(maxTokens, forKey: .maxTokens)
        try fields.encodeIfPresent(temperature, forKey: .temperature)
        try fields.encodeIfPresent(topP, forKey: .topP)
        try fields.encodeIfPresent(topK, forKey: .topK)
        try fields.encodeIfPresent(minP, forKey: .minP)
        try fields.encodeIfPresent(repetitionPenalty, forKey: .repetitionPenalty)
        try fields.encodeIfPresent(presencePenalty, forKey: .presencePenalty)
        try fields.encodeIfPresent(frequencyPenalty, forKey: .frequencyPenalty)
        if !logitBias.isEmpty {
            let biases = logitBias.map { (String($0.key), $0.value) }
            try fields.encode(Dictionary(uniqueKeysWithValues: biases), forKey: .logitBias)
        }
        if let alternatives {
            // OpenAI's two endpoints ask for it in two ways.
            if prompt == nil {
                try fields.encode(true, forKey: .logprobs)
                try fields.encode(alternatives, forKey: .topLogprobs)
            } else {
                try fields.encode(alternatives, forKey: .logprobs)
            }
        }
        try fields.encodeIfPresent(seed, forKey: .seed)
        if !stop.isEmpty { try fields.encode(stop, forKey: .stop) }
        if !templateArguments.isEmpty { try fields.encode(templateArguments, forKey: .templateArguments) }
        try fields.encode(streams, forKey: .stream)
        if streams, includesUsage { try fields.encode(StreamOptions(includeUsage: true), forKey: .streamOptions) }
    }
}

// MARK: As it is taken

extension CompletionBody {
    /// Throws `RequestError` for what caked cannot do, and for values out of their range.
    public init(from decoder: any Decoder) throws {
        try UnsupportedFields.check(decoder)
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        model = try fields.decodeIfPresent(String.self, forKey: .model)
        if let name = try fields.decodeIfPresent(String.self, forKey: .document) {
            document = try DocumentName.checked(name, param: "document")
        }
        budget = try Self.number(fields, .budget, in: 1...Int(Int32.max), "a whole number from 1 to \(Int32.max)")
        if budget != nil, document == nil {
            throw RequestError.invalid("`budget` is about a document; name one as `document`", param: "budget")
        }
        messages = try fields.decodeIfPresent([ChatMessage].self, forKey: .messages)
        prompt = try fields.decodeIfPresent(OneOrMany.self, forKey: .prompt)?.single(param: "prompt")
        choices =
            try Self.number(
                fields, .n, in: 1...Self.maximumChoices, "a whole number from 1 to \(Self.maximumChoices)") ?? 1
        let limits: [CodingKeys] = [.maxCompletionTokens, .maxTokens]
        for key in limits where maxTokens == nil {
            maxTokens = try Self.number(fields, key, in: 1...Int.max, "a whole number from 1 to \(Int.max)")
        }
        try readSampling(fields)
        templateArguments =
            try fields.decodeIfPresent([String: TemplateValue].self, forKey: .templateArguments) ?? [:]
        stop = try fields.decodeIfPresent(OneOrMany.self, forKey: .stop)?.texts ?? []
        try Self.check(stops: stop)
        streams = try fields.decodeIfPresent(Bool.self, forKey: .stream) ?? false
        includesUsage = try fields.decodeIfPresent(StreamOptions.self, forKey: .streamOptions)?.includeUsage ?? false
    }

    /// Throws when so many texts, or texts of such a length, may not end an answer.
    public static func check(stops: [String]) throws(RequestError) {
        guard stops.count <= maximumStops, stops.allSatisfy({ (1...maximumStopBytes).contains($0.utf8.count) }) else {
            throw .invalid(
                "`stop` takes at most \(maximumStops) texts of 1 to \(maximumStopBytes) bytes", param: "stop")
        }
    }

    private mutating func readSampling(_ fields: KeyedDecodingContainer<CodingKeys>) throws {
        temperature = try Self.number(fields, .temperature, in: Self.temperatures, "a number from 0 to 2")
        topP = try Self.number(
            fields, .topP, in: Float.leastNonzeroMagnitude...1, "a number above 0 and at most 1")
        topK = try Self.number(fields, .topK, in: 0...1_000_000, "a whole number from 0 to 1000000")
        minP = try Self.number(fields, .minP, in: 0...1, "a number from 0 to 1")
        repetitionPenalty = try Self.number(fields, .repetitionPenalty, in: 0.1...10, "a number from 0.1 to 10")
        presencePenalty = try Self.number(fields, .presencePenalty, in: -2...2, "a number from -2 to 2")
        frequencyPenalty = try Self.number(fields, .frequencyPenalty, in: -2...2, "a number from -2 to 2")
        logitBias = try Self.biases(fields)
        alternatives =
            prompt == nil
            ? try Self.alternatives(fields)
            : try Self.number(
                fields, .logprobs, in: 0...Self.maximumPlainAlternatives,
                "a whole number from 0 to \(Self.maximumPlainAlternatives)")
        seed = try Self.number(
            fields, .seed, in: Int64.min...Int64.max, "a whole number from \(Int64.min) to \(Int64.max)")
    }

    /// What a chat asks for: whether, and how many.
    private static func alternatives(_ fields: KeyedDecodingContainer<CodingKeys>) throws -> Int? {
        let isWanted: Bool
        do {
            isWanted = try fields.decodeIfPresent(Bool.self, forKey: .logprobs) ?? false
        } catch {
            throw RequestError.invalid(
                "`logprobs` must be true or false; how many alternatives, `top_logprobs` says", param: "logprobs")
        }
        let count = try number(
            fields, .topLogprobs, in: 0...maximumAlternatives, "a whole number from 0 to \(maximumAlternatives)")
        if let count, count > 0, !isWanted {
            throw RequestError.invalid("`top_logprobs` needs `logprobs` to be true", param: "top_logprobs")
        }
        return isWanted ? count ?? 0 : nil
    }

    /// Biases by token; JSON's names are texts.
    private static func biases(_ fields: KeyedDecodingContainer<CodingKeys>) throws -> [Int32: Float] {
        let refusal = RequestError.invalid(
            "`logit_bias` must be an object of at most \(maximumBiases) token ids, each with a number from -100 to 100",
            param: CodingKeys.logitBias.rawValue)
        let given: [String: Float]?
        do {
            given = try fields.decodeIfPresent([String: Float].self, forKey: .logitBias)
        } catch {
            throw refusal
        }
        var biases: [Int32: Float] = [:]
        for (name, bias) in given ?? [:] {
            guard let id = Int32(name), id >= 0, biases[id] == nil, (-100...100).contains(bias) else { throw refusal }
            biases[id] = bias
        }
        guard biases.count <= maximumBiases else { throw refusal }
        return biases
    }

    /// A number in its range; whatever else stands there is refused with what it must be.
    private static func number<N: Comparable & Decodable & Numeric>(
        _ fields: KeyedDecodingContainer<CodingKeys>, _ key: CodingKeys, in range: ClosedRange<N>, _ wanted: String
    ) throws -> N? {
        guard let value = try fields.number(N.self, forKey: key, wanted: wanted) else { return nil }
        guard range.contains(value) else {
            throw RequestError.invalid("`\(key.rawValue)` must be \(wanted)", param: key.rawValue)
        }
        return value
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
        guard texts.count == 1 else { throw RequestError.unsupported("`\(param)` must be one text", param: param) }
        return texts[0]
    }
}
