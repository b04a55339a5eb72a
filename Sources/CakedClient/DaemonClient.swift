// The daemon's API, typed: one method for each route.
import API
import Locks
import NIOCore
import NIOHTTP1

/// A client of one daemon.
///
/// Every call has its own connection; cancelling the task closes it, which cancels the work. What is repeated, and for
/// how long, is said by ``Patience``; ``ClientError/isBusy`` says when trying again later makes sense.
public struct DaemonClient: Sendable {
    /// As long as OpenAI's clients wait by default; a document in a long queue is silent for minutes.
    public static let defaultIdleTimeoutSeconds = 600
    /// An answer that is one JSON object, retention apart.
    static let maximumObjectBytes = 16 << 20
    /// Positions of a large document: 80 layers, 8 heads, 10,000 entries, 7 characters each, some 45 MB.
    static let maximumRetentionBytes = 256 << 20
    /// All events of one stream together; an endless one is cut off.
    static let maximumStreamBytes = 256 << 20

    let transport: HTTPTransport

    /// A client of the daemon at `socketPath`, see ``SocketPath/resolve(explicit:environment:exists:)``.
    ///
    /// A request fails when neither side sends a byte for `idleTimeoutSeconds`.
    public init(
        socketPath: String, idleTimeoutSeconds: Int = Self.defaultIdleTimeoutSeconds, patience: Patience = .none
    ) {
        transport = HTTPTransport(
            socketPath: socketPath, idleTimeoutSeconds: idleTimeoutSeconds, patience: patience)
    }

    // MARK: Documents

    /// Caches `text` as `name`, replacing an older document of that name; `onProgress` hears of the work meanwhile.
    ///
    /// ``Document/wasCreated`` is false when the same text and options were there already.
    public func put(
        _ name: String, _ text: DocumentText, options: DocumentOptions = DocumentOptions(),
        onProgress: @escaping @Sendable (ReadingReport) -> Void = { _ in }
    ) async throws(ClientError) -> Document {
        var target = try Self.documentTarget(name)
        let query = options.query
        if !query.isEmpty { target += "?" + query }
        let headers = [("Content-Type", "text/plain; charset=utf-8"), ("Accept", "text/event-stream")]
        return try await reading(HTTPRequest(.PUT, target, headers: headers, body: text), onProgress)
    }

    /// Reads a document again from its stored text, with the options it has: the mend of a damaged one.
    public func rebuild(
        _ name: String, onProgress: @escaping @Sendable (ReadingReport) -> Void = { _ in }
    ) async throws(ClientError) -> Document {
        let target = try Self.documentTarget(name) + "/rebuild"
        return try await reading(HTTPRequest(.POST, target, headers: [("Accept", "text/event-stream")]), onProgress)
    }

    /// A request that is answered with a document when that has been read.
    private func reading(
        _ request: HTTPRequest, _ onProgress: @escaping @Sendable (ReadingReport) -> Void
    ) async throws(ClientError) -> Document {
        try await transport.exchange(request) { head, body in
            // The document may be there already and come at once, as plain JSON.
            guard try await isStream(head, &body) else {
                var document: Document = try decodeJSON(await body.collect(limitBytes: Self.maximumObjectBytes))
                if head.status != .accepted { document.wasCreated = document.wasCreated ?? (head.status == .created) }
                return document
            }
            var events = EventReader()
            while let event = try await events.next(&body) {
                let data = Array(event.data.utf8)
                switch EventName(rawValue: event.name) {
                case .queued:
                    let queued: QueuedDocument = try decodeJSON(data)
                    onProgress(.queued(ahead: queued.ahead))
                case .progress: onProgress(.working(try decodeJSON(data)))
                case .document: return try decodeJSON(data)
                default: continue  // events of a newer daemon
                }
            }
            throw ClientError.closedEarly("before the document was cached")
        }
    }

    /// The caller's documents; with `everything` also unfinished, damaged and deleted ones.
    public func documents(everything: Bool = false) async throws(ClientError) -> [Document] {
        var documents: [Document] = []
        var query = ListQuery(everything: everything)
        while true {
            let page: ObjectList<Document> = try await object(HTTPRequest(.GET, "/v1/documents?" + query.query))
            documents += page.data
            // Names ascend, so that a daemon that repeats itself is not listened to for ever.
            guard page.hasMore == true, let last = page.data.last?.id, last > query.after ?? "" else {
                return documents
            }
            query.after = last
        }
    }

    /// One document, with its layers.
    public func document(_ name: String) async throws(ClientError) -> Document {
        try await object(HTTPRequest(.GET, Self.documentTarget(name)))
    }

    /// Removes a document.
    public func delete(_ name: String) async throws(ClientError) {
        var request = try HTTPRequest(.DELETE, Self.documentTarget(name))
        // A second time it would not be there.
        request.isRepeatable = { false }
        let _: DeletedDocument = try await object(request)
    }

    /// Changes how long a document is kept and how much of it, which only ever shrinks it.
    public func update(_ name: String, _ change: DocumentChange) async throws(ClientError) -> Document {
        if let other = change.name, !DocumentName.isPossible(other) { throw .invalidName(other) }
        let body = try DocumentText(encodeJSON(change))
        let headers = [("Content-Type", "application/json")]
        return try await object(HTTPRequest(.PATCH, Self.documentTarget(name), headers: headers, body: body))
    }

    /// Which positions a document's cache holds, per layer and KV head.
    public func retention(_ name: String) async throws(ClientError) -> DocumentRetention {
        try await object(
            HTTPRequest(.GET, Self.documentTarget(name) + "/retention"), limitBytes: Self.maximumRetentionBytes)
    }

    /// A document's text, and where its tokens stand in it.
    public func source(_ name: String) async throws(ClientError) -> DocumentSource {
        try await object(
            HTTPRequest(.GET, Self.documentTarget(name) + "/text"), limitBytes: Self.maximumRetentionBytes)
    }

    /// Compares everything that is stored of a document, or of all the caller's, with what was written.
    ///
    /// `onChecked` hears of each document.
    public func verify(
        _ name: String? = nil,
        onChecked: @escaping @Sendable (CheckedDocument) -> Void = { _ in }
    ) async throws(ClientError) -> Verification {
        var target = "/v1/verify"
        if let name { target = try Self.documentTarget(name) + "/verify" }
        let request = HTTPRequest(.POST, target, headers: [("Accept", "text/event-stream")])
        return try await transport.exchange(request) { head, body in
            guard try await isStream(head, &body) else {
                return try decodeJSON(await body.collect(limitBytes: Self.maximumObjectBytes))
            }
            var events = EventReader()
            while let event = try await events.next(&body) {
                let data = Array(event.data.utf8)
                switch EventName(rawValue: event.name) {
                case .checked: onChecked(try decodeJSON(data))
                case .verification: return try decodeJSON(data)
                default: continue  // events of a newer daemon
                }
            }
            throw ClientError.closedEarly("before everything was verified")
        }
    }

    // MARK: Moving

    /// Writes a document into a file that another daemon with the same model can import; returns its size.
    ///
    /// The file appears when all of it has come; one of that name is replaced.
    @discardableResult
    public func export(_ name: String, to path: String) async throws(ClientError) -> Int {
        let target = try Self.documentTarget(name) + "/export"
        return try await transport.exchange(HTTPRequest(.GET, target)) { head, body in
            try await refuse(head, &body)
            let file = try ExportedFile(creating: path)
            while let piece = try await body.next() { try file.append(Array(piece.readableBytesView)) }
            try file.finish()
            return file.byteCount
        }
    }

    /// Takes in an exported document, under its own name or another, replacing one of that name.
    public func importDocument(
        _ path: String, _ options: ImportOptions = ImportOptions()
    ) async throws(ClientError) -> Document {
        if let name = options.name { _ = try Self.documentTarget(name) }
        let query = options.query
        let target = "/v1/documents" + (query.isEmpty ? "" : "?" + query)
        let headers = [("Content-Type", ExportedDocument.mediaType)]
        return try await object(HTTPRequest(.POST, target, headers: headers, body: ExportedFile(path)))
    }

    // MARK: Questions

    /// Asks, and waits for the whole answer.
    public func complete(_ request: CompletionBody) async throws(ClientError) -> Answer {
        let completion: Completion = try await object(Self.chatRequest(request, stream: false))
        guard let choice = completion.choices.first else {
            throw .protocolViolation("the daemon's answer has no choices")
        }
        return Answer(
            text: choice.message?.content ?? "", reasoning: choice.message?.reasoning ?? "",
            finishReason: choice.finishReason, model: completion.model, usage: completion.usage.value)
    }

    /// Asks, and hands over the answer as it is written.
    public func stream(
        _ request: CompletionBody, onPiece: @escaping @Sendable (AnswerPiece) -> Void
    ) async throws(ClientError) -> Answer {
        let hasPieces = Mutex(false)
        var http = try Self.chatRequest(request, stream: true)
        http.isRepeatable = { !hasPieces.withLock { $0 } }
        let onPiece: @Sendable (AnswerPiece) -> Void = { piece in
            hasPieces.withLock { $0 = true }
            onPiece(piece)
        }
        return try await transport.exchange(http) { head, body in
            guard try await isStream(head, &body) else {
                throw ClientError.protocolViolation("the daemon did not stream its answer")
            }
            var answer = Answer(text: "")
            var events = EventReader()
            while let event = try await events.next(&body) {
                if event.data == "[DONE]" { return answer }
                let chunk: Completion = try decodeJSON(Array(event.data.utf8))
                answer.model = chunk.model
                answer.usage = chunk.usage.value ?? answer.usage
                guard let choice = chunk.choices.first else { continue }
                answer.finishReason = choice.finishReason ?? answer.finishReason
                if let text = choice.delta?.reasoning, !text.isEmpty {
                    answer.reasoning += text
                    onPiece(.reasoning(text))
                }
                if let text = choice.delta?.content, !text.isEmpty {
                    answer.text += text
                    onPiece(.text(text))
                }
            }
            throw ClientError.closedEarly("before the answer was complete")
        }
    }

    private static func chatRequest(_ request: CompletionBody, stream: Bool) throws(ClientError) -> HTTPRequest {
        var request = request
        (request.streams, request.includesUsage) = (stream, stream)
        let body = try DocumentText(encodeJSON(request))
        let accept = stream ? "text/event-stream" : "application/json"
        let headers = [("Content-Type", "application/json"), ("Accept", accept)]
        return HTTPRequest(.POST, "/v1/chat/completions", headers: headers, body: body)
    }

    // MARK: The daemon

    /// The loaded models.
    public func models() async throws(ClientError) -> [ModelCard] {
        let list: ObjectList<ModelCard> = try await object(HTTPRequest(.GET, "/v1/models"))
        return list.data
    }

    /// What the daemon is doing, and with what.
    public func status() async throws(ClientError) -> DaemonStatus {
        try await object(HTTPRequest(.GET, "/v1/status"))
    }

    // MARK: Requests

    /// The target of a document's route; the name is checked here, since an empty one would name another route.
    private static func documentTarget(_ name: String) throws(ClientError) -> String {
        guard DocumentName.isPossible(name) else { throw .invalidName(name) }
        return "/v1/documents/" + name
    }

    /// A request answered by one JSON object.
    private func object<Value: Decodable & Sendable>(
        _ request: HTTPRequest, limitBytes: Int = Self.maximumObjectBytes
    ) async throws(ClientError) -> Value {
        try await transport.exchange(request) { head, body in
            try await refuse(head, &body)
            return try decodeJSON(await body.collect(limitBytes: limitBytes))
        }
    }
}

/// Whether the answer is a stream of events; throws the error it carries instead.
private func isStream(_ head: HTTPResponseHead, _ body: inout HTTPResponseBody) async throws -> Bool {
    try await refuse(head, &body)
    return head.headers.first(name: "Content-Type")?.lowercased().hasPrefix("text/event-stream") ?? false
}
