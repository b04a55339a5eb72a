// The routes of questions: OpenAI's chat completions and completions, whole or as a stream.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore

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
        let choices = AnswerChoices(request, count: body.choices, of: api.service)
        return body.streams ? try await streamed(choices, form, body) : try await whole(choices, form, body)
    }

    private func whole(
        _ choices: AnswerChoices, _ form: AnswerForm, _ body: CompletionBody
    ) async throws -> Response {
        var answers = (0..<body.choices).map { _ in GatheredChoice() }
        var paces = answers.map { _ in Pace(metrics: api.metrics) }
        for try await choice in choices {
            switch choice.event {
            case .started, .tokens: break
            case .text, .reasoning: paces[choice.index].noteText()
            case .finished(_, let usage): api.metrics.observe(usage)
            }
            answers[choice.index].take(choice.event)
        }
        let usages = answers.compactMap(\.end?.usage)
        guard usages.count == answers.count, let usage = Usage.sum(usages) else { throw Self.unfinished }
        return JSONText.response(form.whole(answers, withTokens: body.alternatives != nil, usage: usage))
    }

    // The first event is awaited before the head is sent, so that what is refused at once is refused with its status.
    private func streamed(
        _ choices: AnswerChoices, _ form: AnswerForm, _ body: CompletionBody
    ) async throws -> Response {
        let answers = StreamedAnswers(form, body, metrics: api.metrics)
        let events = PulsedEvents(choices, everySeconds: api.limits.keepAliveSeconds)
        let first = try await events.next()
        return Response(
            status: .ok, headers: ServerSentEvents.headers,
            body: ResponseBody { [answers] writer in
                var answers = answers
                do {
                    for chunk in answers.openings { try await writer.write(ServerSentEvents.event(value: chunk)) }
                    var pulse = first
                    loop: while true {
                        switch pulse {
                        case .beat: try await writer.write(ServerSentEvents.keepAlive)
                        case .event(let choice):
                            for chunk in answers.chunks(for: choice) {
                                try await writer.write(ServerSentEvents.event(value: chunk))
                            }
                            guard answers.areFinished else { break }
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
