// The routes by which documents move from one caked to another: a file out, a file in, neither ever whole in memory.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// `GET /v1/documents/{id}/export` and `POST /v1/documents`.
struct TransferRoutes: Sendable {
    let api: HTTPAPI

    @Sendable func export(_ request: Request, _ context: APIContext) async throws -> Response {
        let (api, service, name) = (api, api.service, try context.documentName())
        let export = try await api.blocking { try service.export(name, owner: context.owner) }
        return Response(
            status: .ok,
            headers: [
                .contentType: ExportedDocument.mediaType, .contentDisposition: "attachment; filename=\"\(name).caked\"",
            ],
            body: ResponseBody(contentLength: export.byteCount) { writer in
                while let piece = try await api.blocking(export.next) {
                    try await writer.write(ByteBuffer(bytes: piece))
                }
                try await writer.finish(nil)
            })
    }

    @Sendable func importing(_ request: Request, _ context: APIContext) async throws -> Response {
        guard request.headers[.contentType]?.lowercased().hasPrefix(ExportedDocument.mediaType) == true else {
            throw RequestError.unsupported(
                "send what `GET /v1/documents/{id}/export` gave, as \(ExportedDocument.mediaType); a text is put to "
                    + "its own path",
                param: "Content-Type")
        }
        let query = request.uri.query ?? ""
        let warnings = try RequestFields.importQuery.warnings(query: query, api.limits.unknownFields)
        let options = try ImportOptions(query: query)
        let service = api.service
        let incoming = try await api.blocking {
            try service.importing(options, owner: context.owner, user: context.peer.user)
        }
        for try await part in request.body {
            let bytes = Array(part.readableBytesView)
            try await api.blocking { try incoming.append(bytes) }
        }
        let document = try await api.blocking { try incoming.finish() }
        return JSONText.response(document.warning(warnings), status: .created)
    }
}
