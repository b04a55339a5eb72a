// From a request to a question the engine can answer: cheap checks first, then the prompt tokenized, then the document.

import CacheStore
import Tokenizers
import Transformer

extension QuestionJob {
    convenience init(
        _ request: CompletionRequest, feed: EventFeed<CompletionEvent>, ticket: Ticket, loaded: LoadedModel,
        store: DocumentStore, configuration: EngineConfiguration
    ) throws(EngineError) {
        let stops = try Self.checkedStops(request.stop)
        let sampler = try Self.sampler(request.sampling)
        if let asked = request.maxTokens, asked < 1 {
            throw .invalid(code: "invalid_parameter", message: "max_tokens must be at least 1", parameter: "max_tokens")
        }
        let key = try request.document.map { name throws(EngineError) in
            try DocumentKey(checking: name, owner: request.owner)
        }
        let prompt = try Self.tokens(request.prompt, hasDocument: key != nil, loaded: loaded)
        // Opened here so that it is checked on this thread, closed again so that a question that waits pins no pages.
        let cached =
            try key.map { key throws(EngineError) in
                let document = try Self.open(key, budget: request.budget, loaded: loaded, store: store)
                // While the question waits for its turn, the disk brings what is not in memory.
                document.prefetch()
                return document.manifest.shape.tokens
            } ?? 0
        let room = loaded.card.contextLength - cached - prompt.count
        guard room > 0 else {
            throw .invalid(
                code: "prompt_too_long",
                message: """
                    the question has \(prompt.count) tokens and the document \(cached); together with an answer they \
                    must stay below this model's context of \(loaded.card.contextLength)
                    """,
                parameter: "messages")
        }
        if let key { store.touch(key) }
        let limit = configuration.maxGeneratedTokens
        self.init(
            feed: feed, ticket: ticket, source: key.map { ($0, request.budget) }, user: request.user,
            tokenizer: loaded.tokenizer, prompt: prompt, cachedTokens: cached,
            maxTokens: min(request.maxTokens ?? limit, limit, room), sampler: sampler, stops: StopMatcher(stops))
    }

    private static func open(
        _ key: DocumentKey, budget: Int?, loaded: LoadedModel, store: DocumentStore
    ) throws(EngineError) -> OpenDocument {
        do throws(StoreError) {
            return try store.open(key, fingerprint: loaded.fingerprint.fields, budget: budget)
        } catch {
            throw EngineError(error)
        }
    }

    /// Opens the document and begins; the checks of `init` hold as long as nobody put another one meanwhile.
    func start(loaded: LoadedModel, store: DocumentStore) throws(EngineError) {
        let base = try source.map { source throws(EngineError) in
            BaseRows(try Self.open(source.key, budget: source.budget, loaded: loaded, store: store))
        }
        guard (base?.tokens ?? 0) == cachedTokens else {
            throw .conflict(
                code: "document_replaced", message: "the document was replaced while the question waited; ask again")
        }
        do throws(ModelError) {
            start(try Sequence(model: loaded.model, base: base))
        } catch {
            throw .internalFailure(message: error.description)
        }
    }

    private static func tokens(
        _ prompt: Prompt, hasDocument: Bool, loaded: LoadedModel
    ) throws(EngineError) -> [Int32] {
        let segments: [PromptSegment]
        do throws(TokenizerError) {
            segments =
                switch prompt {
                case .text(let text): [.text(text)]
                case .messages(let messages):
                    try hasDocument ? loaded.template.continuation(messages) : loaded.template.render(messages)
                }
        } catch {
            throw .invalid(code: "invalid_messages", message: "\(error)", parameter: "messages")
        }
        // No token is longer than this, so a text far beyond the context is refused before it is tokenized.
        let bytes = segments.reduce(0) { $0 + $1.content.utf8.count }
        guard bytes / loaded.longestTokenBytes <= loaded.card.contextLength else {
            throw .invalid(
                code: "prompt_too_long",
                message: "the question is far longer than this model's context of \(loaded.card.contextLength) tokens",
                parameter: "messages")
        }
        let tokens = loaded.tokenizer.encode(segments, continuing: hasDocument)
        guard !tokens.isEmpty else {
            throw .invalid(code: "empty_prompt", message: "the prompt is empty; ask something", parameter: "prompt")
        }
        return tokens
    }

    private static func checkedStops(_ stops: [String]) throws(EngineError) -> [String] {
        guard stops.count <= StopMatcher.maxStops, stops.allSatisfy({ $0.utf8.count <= StopMatcher.maxStopBytes })
        else {
            throw .invalid(
                code: "invalid_parameter",
                message: "at most \(StopMatcher.maxStops) stop texts of at most \(StopMatcher.maxStopBytes) bytes each",
                parameter: "stop")
        }
        return stops
    }

    private static func sampler(_ request: SamplingRequest) throws(EngineError) -> Sampler {
        do throws(ModelError) {
            return try Sampler(
                SamplingOptions(
                    temperature: request.temperature, topK: request.topK, topP: request.topP, minP: request.minP,
                    repetitionPenalty: request.repetitionPenalty, seed: request.seed ?? UInt64.random(in: .min ... .max)
                ))
        } catch {
            throw .invalid(code: "invalid_parameter", message: "\(error)", parameter: nil)
        }
    }
}
