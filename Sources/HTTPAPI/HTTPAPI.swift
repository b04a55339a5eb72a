// The routes: which path and method is answered by what.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Answers HTTP requests with a `DocumentService`.
public final class HTTPAPI: Sendable {
    typealias Handler = @Sendable (Request, APIContext) async throws -> Response

    let service: any DocumentService
    let limits: ServerLimits
    let metrics = Metrics()
    let documentBodies: BodyBudget
    let chatBodies: BodyBudget
    let logger: Logger
    private let access: Access
    private let daemonUser: UInt32
    /// The connections, and who is behind each.
    let door: Door
    private let draining = Atomic(false)

    /// An API over `service`; `daemonUser` owns the documents when the namespace is shared.
    public convenience init(
        service: any DocumentService, access: Access, daemonUser: UInt32, limits: ServerLimits = ServerLimits(),
        logger: Logger
    ) {
        self.init(
            service: service, access: access, daemonUser: daemonUser, limits: limits, logger: logger,
            identify: PeerCredentials.of)
    }

    /// The same with another way to learn who connected, which tests need: they all run as one user.
    package init(
        service: any DocumentService, access: Access, daemonUser: UInt32, limits: ServerLimits, logger: Logger,
        identify: @escaping @Sendable (any Channel) throws -> PeerCredentials
    ) {
        self.service = service
        self.access = access
        self.daemonUser = daemonUser
        self.limits = limits
        self.logger = logger
        door = Door(places: limits.connections, identify: identify)
        documentBodies = BodyBudget(
            limitBytes: limits.documentBodiesBytes, largestBodyBytes: limits.documentBodyBytes)
        chatBodies = BodyBudget(limitBytes: limits.chatBodiesBytes, largestBodyBytes: limits.chatBodyBytes)
    }

    /// From now on `/healthz` says that we are leaving.
    func startDraining() { draining.store(true, ordering: .relaxed) }

    /// Answers one request on `channel`.
    func respond(
        to request: Request, _ writer: consuming ResponseWriter, _ channel: any Channel, router: some APIResponder
    ) async throws {
        guard let peer = door.peer(of: channel) else { throw ChannelError.ioOnClosedChannel }
        let context = APIContext(
            source: RequestSource(
                logger: logger, peer: peer, owner: access.owner(for: peer, daemonUser: daemonUser)))
        if request.headers[.expect]?.lowercased() == "100-continue", mayContinue(request) {
            try await writer.writeInformationalHead(HTTPResponse(status: .continue))
        }
        let response = try await router.respond(to: request, context: context)
        if request.method == .head {
            try await writer.writeResponse(response.head)
        } else {
            do {
                try await writer.write(response: response.head, body: response.body)
            } catch {
                guard response.headers[.contentType] == ServerSentEvents.headers[.contentType] else { throw error }
                try noteBrokenStream(error)
            }
        }
    }

    /// Counts a stream that broke off, wherever that was, and throws what its connection does not survive.
    ///
    /// An error of the engine's was an event of the stream, which came to its end; any other is a client that has gone.
    private func noteBrokenStream(_ error: any Error) throws {
        metrics.countStreamFailure(code: APIError(error as? EngineError ?? .cancelled).code)
        if !(error is EngineError) { throw error }
    }

    /// A client that waits for leave to send a body that is too large hears the refusal instead.
    private func mayContinue(_ request: Request) -> Bool {
        (request.headers[.contentLength].flatMap { Int($0) } ?? 0) <= limits.documentBodyBytes
    }

    /// Every route of the API.
    func makeRouter() -> some APIResponder {
        let router = Router(context: APIContext.self)
        router.add(middleware: RequestMiddleware(metrics: metrics))
        let documents = DocumentRoutes(api: self)
        let transfer = TransferRoutes(api: self)
        let verify = VerifyRoutes(api: self)
        let completions = CompletionRoutes(api: self)
        let routes: [(RouterPath, [(HTTPRequest.Method, Handler)])] = [
            ("/v1/documents", [(.get, documents.list), (.post, transfer.importing)]),
            (
                "/v1/documents/{id}",
                [
                    (.get, documents.get), (.put, documents.put), (.patch, documents.patch),
                    (.delete, documents.delete),
                ]
            ),
            ("/v1/documents/{id}/rebuild", [(.post, documents.rebuild)]),
            ("/v1/documents/{id}/verify", [(.post, verify.one)]),
            ("/v1/verify", [(.post, verify.all)]),
            ("/v1/documents/{id}/retention", [(.get, documents.retention)]),
            ("/v1/documents/{id}/export", [(.get, transfer.export)]),
            ("/v1/documents/{id}/text", [(.get, documents.source)]),
            ("/v1/chat/completions", [(.post, completions.chat)]),
            ("/v1/completions", [(.post, completions.text)]),
            ("/v1/models", [(.get, models)]),
            ("/v1/models/{id}", [(.get, model)]),
            ("/v1/models/caked/{id}", [(.get, documentModel)]),
            ("/v1/status", [(.get, status)]),
            ("/healthz", [(.get, health)]),
            ("/metrics", [(.get, metricsText)]),
        ]
        for (path, handlers) in routes {
            let allowed = handlers.flatMap { $0.0 == .get ? ["GET", "HEAD"] : [$0.0.rawValue] }
                .joined(separator: ", ")
            for method in Self.methods {
                // HEAD is GET without the body, which `respond` leaves out.
                let handler = handlers.first { $0.0 == (method == .head ? .get : method) }?.1
                router.on(path, method: method) { request, context in
                    guard let handler else { throw APIError.methodNotAllowed(allowed) }
                    return try await handler(request, context)
                }
            }
        }
        return router.buildResponder()
    }

    /// Methods that are refused with 405 where a path does not take them; rarer ones find no route.
    private static let methods: [HTTPRequest.Method] = [
        .get, .head, .post, .put, .patch, .delete, .options, .trace, .connect,
    ]

    /// Runs a call that may wait for the disk on a thread that may wait.
    func blocking<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await NIOThreadPool.singleton.runIfActive(work)
    }

    private func models(_ request: Request, _ context: APIContext) async throws -> Response {
        let service = service
        // A page of documents, for clients that let a model be chosen and nothing else.
        let documents = try await blocking { try service.documents(owner: context.owner, ListQuery()) }
        return JSONText.response(
            ObjectList(data: [service.modelCard] + documents.data.map { service.modelCard.answering(about: $0) }))
    }

    private func documentModel(_ request: Request, _ context: APIContext) async throws -> Response {
        try await documentModel(context.documentName(), context)
    }

    private func documentModel(_ name: String, _ context: APIContext) async throws -> Response {
        let service = service
        let document = try await blocking { try service.document(name, owner: context.owner) }
        return JSONText.response(service.modelCard.answering(about: document))
    }

    private func model(_ request: Request, _ context: APIContext) async throws -> Response {
        let id = service.modelCard.id
        let named = context.parameters.get("id") ?? ""
        guard named == id else {
            // The slash may come as %2F.
            if let name = ModelName.document(of: named.replacing("%2F", with: "/").replacing("%2f", with: "/")) {
                return try await documentModel(DocumentName.checked(name, param: "id"), context)
            }
            throw APIError(.notFound, "model_not_found", "the loaded model is `\(id)`", param: "model")
        }
        return JSONText.response(service.modelCard)
    }

    private func status(_ request: Request, _ context: APIContext) async throws -> Response {
        let service = service
        let status = try await blocking { service.status() }
        return JSONText.response(status.daemon)
    }

    private func health(_ request: Request, _ context: APIContext) async throws -> Response {
        guard !draining.load(ordering: .relaxed) else { throw APIError.shuttingDown }
        return JSONText.response(["status": "ok"])
    }

    private func metricsText(_ request: Request, _ context: APIContext) async throws -> Response {
        let service = service
        let status = try await blocking { service.status() }
        let text = metrics.text(status: status)
        return Response(
            status: .ok, headers: [.contentType: "text/plain; version=0.0.4"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}

/// What answers a request once it is known who asks.
protocol APIResponder: HTTPResponder where Context == APIContext {}

extension RouterResponder: APIResponder where Context == APIContext {}
