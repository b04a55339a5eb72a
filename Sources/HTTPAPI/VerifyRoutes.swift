// The routes that compare what is stored with what was written: of one document, or of all that the caller has.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore

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
            case .checked(let document): (ServerSentEvents.event(.checked, value: document), false)
            case .finished(let verification): (ServerSentEvents.event(.verification, value: verification), true)
            }
        }
    }

    private static let unfinished = "the verification ended without a result"
}

extension Request {
    /// Whether progress is to be told as server-sent events.
    var wantsEvents: Bool { headers[.accept]?.contains("text/event-stream") == true }
}
