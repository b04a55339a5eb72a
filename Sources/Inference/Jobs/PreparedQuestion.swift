// From a request to a question the engine can answer: cheap checks first, then the prompt tokenized, then the document.

import API
import CacheStore
import EngineInterface
import Jinja
import Tokenizers
import Transformer

/// A question that passed its checks and waits for a place; it holds no document open, so that it pins no pages.
struct PreparedQuestion: Sendable {
    /// A document and what of it is read.
    struct Source: Sendable {
        var key: DocumentKey
        /// The best so many entries per layer and head; nil for all that is kept.
        var budget: Int?

        /// Opens it, compared with its checksums where that has not been done since the start.
        func open(fingerprint: Fingerprint, in store: DocumentStore) throws(EngineError) -> OpenDocument {
            do throws(StoreError) {
                return try store.open(key, fingerprint: fingerprint.fields, budget: budget)
            } catch {
                throw EngineError(error, owner: key.owner, in: store)
            }
        }
    }

    let feed: EventFeed<CompletionEvent>
    let ticket: Ticket
    /// The document it is about; nil: a plain chat.
    let source: Source?
    /// The uid whose turn it is when it is answered.
    let user: UInt32
    let prompt: [Int32]
    /// Tells thoughts from the answer; nil where it goes on a text, rather than answer a chat.
    let parts: AnswerParts?
    /// Tokens of the document.
    let cachedTokens: Int
    let maxTokens: Int
    let sampler: Sampler
    /// The likeliest tokens that are told with each of the answer's; nil: nothing is told of them.
    let alternatives: Int?
    let stops: StopMatcher

    init(
        _ request: CompletionRequest, feed: EventFeed<CompletionEvent>, ticket: Ticket, loaded: LoadedModel,
        store: DocumentStore, configuration: EngineConfiguration
    ) throws(EngineError) {
        let stops = try Self.checkedStops(request.stop)
        let sampler = try Self.sampler(request.sampling, vocabulary: loaded.model.configuration.vocabulary)
        if let asked = request.maxTokens, asked < 1 {
            throw .invalid(code: "invalid_parameter", message: "max_tokens must be at least 1", parameter: "max_tokens")
        }
        let source = try request.document.map { name throws(EngineError) in
            Source(key: try DocumentKey(checking: name, owner: request.owner), budget: request.budget)
        }
        let segments = try Self.segments(request, hasDocument: source != nil, loaded: loaded)
        parts =
            if case .messages = request.prompt { AnswerParts(after: segments.last?.content ?? "") } else { nil }
        prompt = try Self.tokens(segments, hasDocument: source != nil, loaded: loaded)
        // Opened here so that it is checked on this thread, and closed again; the engine opens it when its turn has
        // come.
        cachedTokens =
            try source.map { source throws(EngineError) in
                let document = try source.open(fingerprint: loaded.fingerprint, in: store)
                // While the question waits for its turn, the disk brings what is not in memory.
                document.prefetch()
                return document.manifest.shape.tokens
            } ?? 0
        let room = loaded.card.contextLength - cachedTokens - prompt.count
        guard room > 0 else {
            throw .contextExceeded(
                """
                the prompt has \(prompt.count) tokens\(source == nil ? "" : " and the document \(cachedTokens)"); \
                with an answer they must stay below this model's context of \(loaded.card.contextLength): leave out \
                the oldest turns of the conversation, or ask about a shorter document
                """)
        }
        if let source { store.touch(source.key) }
        let limit = configuration.maxGeneratedTokens
        maxTokens = min(request.maxTokens ?? limit, limit, room)
        (self.feed, self.ticket, self.source, user) = (feed, ticket, source, request.user)
        (self.sampler, self.stops, alternatives) = (sampler, StopMatcher(stops), request.alternatives)
    }

    private static func segments(
        _ request: CompletionRequest, hasDocument: Bool, loaded: LoadedModel
    ) throws(EngineError) -> [PromptSegment] {
        do throws(TokenizerError) {
            return switch request.prompt {
            case .text(let text): [.text(text)]
            case .messages(let messages):
                try Self.segments(
                    messages, request.templateArguments, hasDocument: hasDocument, template: loaded.template)
            }
        } catch {
            throw .invalid(code: "invalid_messages", message: "\(error)", parameter: "messages")
        }
    }

    private static func tokens(
        _ segments: [PromptSegment], hasDocument: Bool, loaded: LoadedModel
    ) throws(EngineError) -> [Int32] {
        // No token is longer than this, so a text far beyond the context is refused before it is tokenized.
        let bytes = segments.reduce(0) { $0 + $1.content.utf8.count }
        guard bytes / loaded.longestTokenBytes <= loaded.card.contextLength else {
            throw .contextExceeded(
                """
                the prompt is far longer than this model's context of \(loaded.card.contextLength) tokens: leave out \
                the oldest turns of the conversation, or put the long text as a document
                """)
        }
        let tokens = loaded.tokenizer.encode(segments, continuing: hasDocument)
        guard !tokens.isEmpty else {
            throw .invalid(code: "empty_prompt", message: "the prompt is empty; ask something", parameter: "prompt")
        }
        return tokens
    }

    private static func checkedStops(_ stops: [String]) throws(EngineError) -> [String] {
        do throws(RequestError) { try CompletionBody.check(stops: stops) } catch { throw EngineError(error) }
        return stops
    }

    private static func segments(
        _ turns: [API.ChatMessage], _ arguments: [String: TemplateValue], hasDocument: Bool, template: ChatTemplate
    ) throws(TokenizerError) -> [PromptSegment] {
        let messages = turns.map(Tokenizers.ChatMessage.init)
        let arguments = Datum.entries(arguments)
        return hasDocument
            ? try template.continuation(messages, arguments: arguments, now: .now)
            : try template.render(messages, arguments: arguments, now: .now)
    }

    private static func sampler(_ request: SamplingRequest, vocabulary: Int) throws(EngineError) -> Sampler {
        if let id = request.biases.keys.sorted().first(where: { !(0..<vocabulary).contains(Int($0)) }) {
            throw .invalid(
                code: "invalid_parameter",
                message: "`logit_bias` names token \(id); this model has those from 0 to \(vocabulary - 1)",
                parameter: "logit_bias")
        }
        do throws(ModelError) {
            return try Sampler(
                SamplingOptions(
                    temperature: request.temperature, topK: request.topK, topP: request.topP, minP: request.minP,
                    repetitionPenalty: request.repetitionPenalty, presencePenalty: request.presencePenalty,
                    frequencyPenalty: request.frequencyPenalty, biases: request.biases,
                    seed: request.seed ?? UInt64.random(in: .min ... .max)))
        } catch {
            throw .invalid(code: "invalid_parameter", message: "\(error)", parameter: nil)
        }
    }
}

extension EngineError {
    /// More than the model can read; the code is OpenAI's, which clients act on.
    fileprivate static func contextExceeded(_ message: String) -> EngineError {
        .invalid(code: "context_length_exceeded", message: message, parameter: "messages")
    }
}

extension Tokenizers.ChatMessage {
    /// The same turn, in the template's words.
    fileprivate init(_ turn: API.ChatMessage) {
        let role: Role =
            switch turn.role {
            case .system: .system
            case .user: .user
            case .assistant: .assistant
            }
        self.init(role: role, content: turn.content)
    }
}

extension Datum {
    /// What a request gives a template, keys in order: JSON's objects have none.
    static func entries(_ values: [String: TemplateValue]) -> [Entry] {
        values.sorted { $0.key < $1.key }.map { Entry($0.key, Datum($0.value)) }
    }

    private init(_ value: TemplateValue) {
        self =
            switch value {
            case .none: .none
            case .flag(let flag): .bool(flag)
            case .integer(let integer): .integer(integer)
            case .number(let number): .float(number)
            case .text(let text): .text(text)
            case .list(let list): .list(list.map(Datum.init))
            case .object(let object): .dict(Datum.entries(object))
            }
    }
}
