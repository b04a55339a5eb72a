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
        throw EngineError.internalFailure(message: Self.unfinished)
    }

    private func progress(of stream: EventStream<VerifyEvent>) async throws -> Response {
        try await api.events(of: stream, unfinished: Self.unfinished) { event in
            switch event {
            case .checked(let document, let number, let total):
                let checked = CheckedDocument(document: document, number: number, total: total)
                return (ServerSentEvents.event("checked", value: checked), false)
            case .finished(let verification):
                return (ServerSentEvents.event("verification", value: verification), true)
            }
        }
    }

    private static let unfinished = "the verification ended without a result"
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
