// The routes that compare what is stored with what was written: of one document, or of all that the caller has.

import HTTPTypes
import Hummingbird
import HummingbirdCore
import Inference

/// `POST /v1/verify` and `POST /v1/documents/{id}/verify`.
struct VerifyRoutes: Sendable {
    let api: HTTPAPI

    @Sendable func all(_ request: Request, _ context: APIContext) async throws -> Response {
        try await answer(nil, request, context)
    }

    @Sendable func one(_ request: Request, _ context: APIContext) async throws -> Response {
        try await answer(try context.documentName(), request, context)
    }

    private func answer(_ name: String?, _ request: Request, _ context: APIContext) async throws -> Response {
        let stream = api.service.verify(name, owner: context.owner, user: context.peer.user)
        if request.wantsEvents { return try await progress(of: stream) }
        for try await event in stream {
            if case .finished(let verification) = event { return JSONText.response(verification) }
        }
        throw Self.unfinished
    }

    // The first event is awaited before the head is sent, so that what is refused at once is refused with its status.
    private func progress(of stream: EventStream<VerifyEvent>) async throws -> Response {
        let events = PulsedEvents(stream, everySeconds: api.limits.keepAliveSeconds)
        let first = try await events.next()
        return Response(
            status: .ok, headers: ServerSentEvents.headers,
            body: ResponseBody { writer in
                do {
                    var pulse = first
                    loop: while true {
                        switch pulse {
                        case .beat: try await writer.write(ServerSentEvents.keepAlive)
                        case .event(.checked(let document, let number, let total)):
                            let checked = CheckedDocument(document: document, number: number, total: total)
                            try await writer.write(ServerSentEvents.event("checked", value: checked))
                        case .event(.finished(let verification)):
                            try await writer.write(ServerSentEvents.event("verification", value: verification))
                            break loop
                        case .end: throw Self.unfinished
                        }
                        pulse = try await events.next()
                    }
                } catch let error as EngineError {
                    let error = APIError(error)
                    api.metrics.countStreamFailure(code: error.code)
                    try await writer.write(ServerSentEvents.event("error", json: error.body))
                }
                try await writer.finish(nil)
            })
    }

    private static let unfinished = EngineError.internalFailure(message: "the verification ended without a result")
}

/// The data of a `checked` event.
private struct CheckedDocument: Encodable {
    var document: VerifiedDocument
    var number: Int
    var total: Int

    enum CodingKeys: CodingKey { case number, total }

    func encode(to encoder: any Encoder) throws {
        try document.encode(to: encoder)
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(number, forKey: .number)
        try fields.encode(total, forKey: .total)
    }
}

extension Request {
    /// Whether progress is to be told as server-sent events.
    var wantsEvents: Bool { headers[.accept]?.contains("text/event-stream") == true }
}
