// The routes of documents: put, list, show, change, forget, and what was kept.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// `/v1/documents` and what is under it.
struct DocumentRoutes: Sendable {
    let api: HTTPAPI

    @Sendable func list(_ request: Request, _ context: APIContext) async throws -> Response {
        let service = api.service
        let text = request.uri.query ?? ""
        // A list has no place for warnings.
        _ = try RequestFields.listQuery.warnings(query: text, api.limits.unknownFields)
        let query = try ListQuery(query: text)
        let page = try await api.blocking { try service.documents(owner: context.owner, query) }
        return JSONText.response(page)
    }

    @Sendable func get(_ request: Request, _ context: APIContext) async throws -> Response {
        let (service, name) = (api.service, try context.documentName())
        return JSONText.response(try await api.blocking { try service.document(name, owner: context.owner) })
    }

    @Sendable func retention(_ request: Request, _ context: APIContext) async throws -> Response {
        let (service, name) = (api.service, try context.documentName())
        return JSONText.response(try await api.blocking { try service.retention(name, owner: context.owner) })
    }

    @Sendable func source(_ request: Request, _ context: APIContext) async throws -> Response {
        let (service, name) = (api.service, try context.documentName())
        return JSONText.response(try await api.blocking { try service.source(name, owner: context.owner) })
    }

    @Sendable func delete(_ request: Request, _ context: APIContext) async throws -> Response {
        let (service, name) = (api.service, try context.documentName())
        try await api.blocking { try service.delete(name, owner: context.owner) }
        return JSONText.response(DeletedDocument(id: name))
    }

    @Sendable func patch(_ request: Request, _ context: APIContext) async throws -> Response {
        let (service, name) = (api.service, try context.documentName())
        let body = try await request.wholeBody(
            limitBytes: api.limits.patchBodyBytes, lease: api.chatBodies.lease(user: context.peer.user))
        let (change, warnings) = try JSONText.request(
            DocumentChange.self, from: body.readableBytesView, maxDepth: api.limits.jsonDepth, fields: .change,
            unknown: api.limits.unknownFields)
        let document = try await api.blocking { try service.update(name, owner: context.owner, change) }
        return JSONText.response(document.warning(warnings))
    }

    @Sendable func put(_ request: Request, _ context: APIContext) async throws -> Response {
        // Until the engine has looked at the text: what it then keeps fits into the context.
        let lease = api.documentBodies.lease(user: context.peer.user)
        defer { withExtendedLifetime(lease) {} }
        let (putRequest, warnings) = try await putRequest(request, context, lease)
        return try await answer(
            api.service.put(putRequest), request, mayStream: !putRequest.options.detached, warnings)
    }

    @Sendable func rebuild(_ request: Request, _ context: APIContext) async throws -> Response {
        let name = try context.documentName()
        if let query = request.uri.query, !query.isEmpty {
            throw RequestError.unsupported(
                "a rebuild takes no options: it has those that the document was put with; leave out "
                    + "`\(query.prefix(80))`, or put the text again", param: "query")
        }
        let stream = api.service.rebuild(name, owner: context.owner, user: context.peer.user)
        return try await answer(stream, request, mayStream: true, [])
    }

    private func answer(
        _ stream: EventStream<PutEvent>, _ request: Request, mayStream: Bool, _ warnings: [String]
    ) async throws -> Response {
        if mayStream, request.wantsEvents { return try await progress(of: stream, warnings) }
        for try await event in stream {
            switch event {
            case .finished(let document, let created):
                observe(document, created)
                return JSONText.response(document.warning(warnings), status: created ? .created : .ok)
            case .accepted(let document): return JSONText.response(document.warning(warnings), status: .accepted)
            case .queued, .progress: continue
            }
        }
        throw EngineError.internalFailure(message: Self.unfinished)
    }

    private func putRequest(
        _ request: Request, _ context: APIContext, _ lease: BodyBudget.Lease
    ) async throws -> (PutRequest, warnings: [String]) {
        let name = try context.documentName()
        let isJSON = try DocumentMedia.kind(request.headers[.contentType]) == .json
        if isJSON, let query = request.uri.query, !query.isEmpty {
            throw RequestError.unsupported(
                "options stand beside `text` in a JSON body, not in the address: move `\(query.prefix(80))` there",
                param: "query")
        }
        // The query is looked at first: why read 64 MiB to refuse a misspelt number?
        let query = isJSON ? "" : request.uri.query ?? ""
        let unknown = api.limits.unknownFields
        var warnings = try RequestFields.putQuery.warnings(query: query, unknown)
        var options = try DocumentOptions(query: query)
        let body = try await request.wholeBody(limitBytes: api.limits.documentBodyBytes, lease: lease)
        let text: [UInt8]
        if isJSON {
            let put: PutBody
            (put, warnings) = try JSONText.request(
                PutBody.self, from: body.readableBytesView, maxDepth: api.limits.jsonDepth, fields: .put,
                unknown: unknown)
            (options, text) = (put.options, Array(put.text.utf8))
        } else {
            text = Array(body.readableBytesView)
        }
        try PutBody.check(text: text)
        try DocumentMedia.check(text)
        let put = PutRequest(
            owner: context.owner, name: name, text: text, options: options, user: context.peer.user)
        return (put, warnings)
    }

    private func progress(of stream: EventStream<PutEvent>, _ warnings: [String]) async throws -> Response {
        try await api.events(of: stream, unfinished: Self.unfinished) { event in
            let isLast =
                switch event {
                case .finished, .accepted: true
                case .queued, .progress: false
                }
            return (text(of: event, warnings), isLast)
        }
    }

    private static let unfinished = "the document's work ended without a result"

    private func text(of event: PutEvent, _ warnings: [String]) -> ByteBuffer {
        switch event {
        case .queued(let ahead): return ServerSentEvents.event(.queued, value: QueuedDocument(ahead: ahead))
        case .progress(let progress): return ServerSentEvents.event(.progress, value: progress)
        case .accepted(let document): return ServerSentEvents.event(.accepted, value: document)
        case .finished(var document, let created):
            observe(document, created)
            document.wasCreated = created
            return ServerSentEvents.event(.document, value: document.warning(warnings))
        }
    }

    private func observe(_ document: Document, _ created: Bool) {
        if created { api.metrics.observeDocument(prefillSeconds: document.prefillSeconds) }
    }
}

extension Document {
    /// The document as the answer to a request of which something had no effect.
    func warning(_ warnings: [String]) -> Document {
        var document = self
        document.warnings = warnings.isEmpty ? nil : warnings
        return document
    }
}
