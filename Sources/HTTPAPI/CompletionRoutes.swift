// The routes of questions: OpenAI's chat completions and completions, whole or as a stream.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// `/v1/chat/completions` and `/v1/completions`.
struct CompletionRoutes: Sendable {
    let api: HTTPAPI

    @Sendable func chat(_ request: Request, _ context: APIContext) async throws -> Response {
        let lease = api.chatBodies.lease(user: context.peer.user)
        defer { withExtendedLifetime(lease) {} }
        let (body, warnings) = try await body(of: request, lease)
        guard let messages = body.messages, !messages.isEmpty else {
            throw RequestError.invalid("`messages` must have at least one message", param: "messages")
        }
        return try await answer(body, .messages(messages), form(.chat, warnings), context)
    }

    @Sendable func text(_ request: Request, _ context: APIContext) async throws -> Response {
        let lease = api.chatBodies.lease(user: context.peer.user)
        defer { withExtendedLifetime(lease) {} }
        let (body, warnings) = try await body(of: request, lease)
        guard let prompt = body.prompt else { throw RequestError.invalid("`prompt` is missing", param: "prompt") }
        return try await answer(body, .text(prompt), form(.text, warnings), context)
    }

    private func form(_ kind: AnswerForm.Kind, _ warnings: [String]) -> AnswerForm {
        AnswerForm(kind, model: api.service.modelCard.id, warnings: warnings)
    }

    private func body(
        of request: Request, _ lease: BodyBudget.Lease
    ) async throws -> (CompletionBody, warnings: [String]) {
        let bytes = try await request.wholeBody(limitBytes: api.limits.chatBodyBytes, lease: lease)
        let (body, warnings) = try JSONText.request(
            CompletionBody.self, from: bytes.readableBytesView, maxDepth: api.limits.jsonDepth, fields: .completion,
            unknown: api.limits.unknownFields)
        var chosen = body
        chosen.document = try DocumentChoice.document(
            body, header: HTTPField.Name.cakedDocument.flatMap { request.headers[$0] },
            loaded: api.service.modelCard.id)
        return (chosen, warnings)
    }

    private func answer(
        _ body: CompletionBody, _ prompt: Prompt, _ form: AnswerForm, _ context: APIContext
    ) async throws -> Response {
        var request = CompletionRequest(
            owner: context.owner, document: body.document, prompt: prompt,
            templateArguments: body.templateArguments, budget: body.budget,
            maxTokens: body.maxTokens, sampling: SamplingRequest(body), stop: body.stop, user: context.peer.user)
        request.alternatives = body.alternatives
        let stream = api.service.complete(request)
        let withTokens = body.alternatives != nil
        return body.streams
            ? try await streamed(stream, form, includesUsage: body.includesUsage, withTokens: withTokens)
            : try await whole(stream, form, withTokens: withTokens)
    }

    private func whole(
        _ stream: EventStream<CompletionEvent>, _ form: AnswerForm, withTokens: Bool
    ) async throws -> Response {
        var (text, reasoning) = ("", "")
        var tokens: [TokenProbability] = []
        var pace = Pace(metrics: api.metrics)
        for try await event in stream {
            switch event {
            case .started: break
            case .tokens(let more): tokens += more
            case .text(let more):
                pace.noteText()
                text += more
            case .reasoning(let more):
                pace.noteText()
                reasoning += more
            case .finished(let reason, let usage):
                api.metrics.observe(usage)
                return JSONText.response(
                    form.whole(
                        text: text, reasoning: reasoning, tokens: withTokens ? tokens : nil, reason: reason,
                        usage: usage))
            }
        }
        throw Self.unfinished
    }

    // The first event is awaited before the head is sent, so that what is refused at once is refused with its status.
    private func streamed(
        _ stream: EventStream<CompletionEvent>, _ form: AnswerForm, includesUsage: Bool, withTokens: Bool
    ) async throws -> Response {
        let started = Pace(metrics: api.metrics)
        let events = PulsedEvents(stream, everySeconds: api.limits.keepAliveSeconds)
        let first = try await events.next()
        return Response(
            status: .ok, headers: ServerSentEvents.headers,
            body: ResponseBody { writer in
                var pace = started
                var (tokens, offset): ([TokenProbability], Int) = ([], 0)
                do {
                    if let opening = form.opening(withUsageField: includesUsage) {
                        try await writer.write(ServerSentEvents.event(value: opening))
                    }
                    var pulse = first
                    loop: while true {
                        switch pulse {
                        case .beat: try await writer.write(ServerSentEvents.keepAlive)
                        case .event(.started): break
                        case .event(.tokens(let more)): tokens += more
                        case .event(.text(let text)):
                            pace.noteText()
                            let chunk = form.chunk(
                                text: text, tokens: withTokens ? tokens : nil, offset: offset,
                                withUsageField: includesUsage)
                            (tokens, offset) = ([], offset + text.unicodeScalars.count)
                            try await writer.write(ServerSentEvents.event(value: chunk))
                        case .event(.reasoning(let text)):
                            pace.noteText()
                            let chunk = form.chunk(reasoning: text, withUsageField: includesUsage)
                            try await writer.write(ServerSentEvents.event(value: chunk))
                        case .event(.finished(let reason, let usage)):
                            api.metrics.observe(usage)
                            let last = form.last(reason: reason, withUsageField: includesUsage)
                            try await writer.write(ServerSentEvents.event(value: last))
                            if includesUsage {
                                try await writer.write(ServerSentEvents.event(value: form.usageChunk(usage)))
                            }
                            try await writer.write(ServerSentEvents.done)
                            break loop
                        case .end: throw Self.unfinished
                        }
                        pulse = try await events.next()
                    }
                } catch let error as EngineError {
                    try await writer.write(ServerSentEvents.event(json: APIError(error).body))
                    try await writer.finish(nil)
                    throw error
                }
                try await writer.finish(nil)
            })
    }

    private static let unfinished = EngineError.internalFailure(message: "the answer ended without a result")
}

/// The pace of one answer, for the histograms.
private struct Pace: Sendable {
    let metrics: Metrics
    private var previous = ContinuousClock.now
    private var hasText = false

    init(metrics: Metrics) { self.metrics = metrics }

    mutating func noteText() {
        let now = ContinuousClock.now
        let seconds = previous.duration(to: now).seconds
        if hasText { metrics.observeInterToken(seconds: seconds) } else { metrics.observeFirstToken(seconds: seconds) }
        hasText = true
        previous = now
    }
}

extension SamplingRequest {
    /// What a body says, and the defaults for what it does not.
    fileprivate init(_ body: CompletionBody) {
        self.init()
        temperature = body.temperature ?? temperature
        topK = body.topK ?? topK
        topP = body.topP ?? topP
        minP = body.minP ?? minP
        repetitionPenalty = body.repetitionPenalty ?? repetitionPenalty
        presencePenalty = body.presencePenalty ?? presencePenalty
        frequencyPenalty = body.frequencyPenalty ?? frequencyPenalty
        biases = body.logitBias
        // OpenAI's seed is a signed number; every one of its bits counts.
        seed = body.seed.map { UInt64(bitPattern: $0) }
    }
}
