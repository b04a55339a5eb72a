// The daemon's API, typed: one method for each route.
import FoundationEssentials
import NIOCore
import NIOHTTP1

/// A client of one daemon.
///
/// Every call has its own connection; cancelling the task closes it, which cancels the work. Nothing is retried:
/// ``ClientError/isBusy`` says when trying again makes sense.
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
    public init(socketPath: String, idleTimeoutSeconds: Int = Self.defaultIdleTimeoutSeconds) {
        transport = HTTPTransport(socketPath: socketPath, idleTimeoutSeconds: idleTimeoutSeconds)
    }

    // MARK: Documents

    /// Caches `text` as `name`, replacing an older document of that name; `onProgress` hears of the work meanwhile.
    ///
    /// ``Document/wasCreated`` is false when the same text and options were there already.
    public func put(
        _ name: String, _ text: DocumentText, options: PutOptions = PutOptions(),
        onProgress: @escaping @Sendable (PutProgress) -> Void = { _ in }
    ) async throws(ClientError) -> Document {
        var target = try Self.documentTarget(name)
        for (index, item) in options.queryItems.enumerated() {
            target += (index == 0 ? "?" : "&") + item.name + "=" + percentEncoded(item.value)
        }
        let headers = [("Content-Type", "text/plain; charset=utf-8"), ("Accept", "text/event-stream")]
        return try await reading(HTTPRequest(.PUT, target, headers: headers, body: text), onProgress)
    }

    /// Reads a document again from its stored text, with the options it has: the mend of a damaged one.
    public func rebuild(
        _ name: String, onProgress: @escaping @Sendable (PutProgress) -> Void = { _ in }
    ) async throws(ClientError) -> Document {
        let target = try Self.documentTarget(name) + "/rebuild"
        return try await reading(HTTPRequest(.POST, target, headers: [("Accept", "text/event-stream")]), onProgress)
    }

    /// A request that is answered with a document when that has been read.
    private func reading(
        _ request: HTTPRequest, _ onProgress: @escaping @Sendable (PutProgress) -> Void
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
                switch event.name {
                case "queued":
                    let queued: QueuedEvent = try decodeJSON(Array(event.data.utf8))
                    onProgress(.queued(ahead: queued.ahead))
                case "progress":
                    let it: ProgressEvent = try decodeJSON(Array(event.data.utf8))
                    onProgress(.working(phase: it.phase, layer: it.layer, layers: it.layers, fraction: it.fraction))
                case "document":
                    return try decodeJSON(Array(event.data.utf8))
                default:
                    continue  // events of a newer daemon
                }
            }
            throw ClientError.closedEarly("before the document was cached")
        }
    }

    /// The caller's documents; with `unfinished` also those that are not there yet, or not sound.
    public func documents(unfinished: Bool = false) async throws(ClientError) -> [Document] {
        let target = "/v1/documents" + (unfinished ? "?state=all" : "")
        let list: List<Document> = try await object(HTTPRequest(.GET, target))
        return list.data
    }

    /// One document, with its layers.
    public func document(_ name: String) async throws(ClientError) -> Document {
        try await object(HTTPRequest(.GET, Self.documentTarget(name)))
    }

    /// Removes a document.
    public func delete(_ name: String) async throws(ClientError) {
        let _: Deletion = try await object(HTTPRequest(.DELETE, Self.documentTarget(name)))
    }

    /// Changes how long a document is kept and how much of it: `ttlSeconds` nil leaves its time to live, `.some(nil)` removes
    /// it; `pinned` nil leaves the pin; `keep` only ever shrinks it.
    public func update(
        _ name: String, ttlSeconds: Int?? = nil, pinned: Bool? = nil, keep: PutOptions.Keep? = nil
    ) async throws(ClientError) -> Document {
        let body = try DocumentText(encodeJSON(Update(ttlSeconds: ttlSeconds, pin: pinned, keep: keep)))
        let headers = [("Content-Type", "application/json")]
        return try await object(HTTPRequest(.PATCH, Self.documentTarget(name), headers: headers, body: body))
    }

    /// Which positions a document's cache holds, per layer and KV head.
    public func retention(_ name: String) async throws(ClientError) -> Retention {
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
    /// `onChecked` hears of each document, and how many of how many that were.
    public func verify(
        _ name: String? = nil,
        onChecked: @escaping @Sendable (VerifiedDocument, _ number: Int, _ total: Int) -> Void = { _, _, _ in }
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
                switch event.name {
                case "checked":
                    let counted: CheckedEvent = try decodeJSON(data)
                    onChecked(try decodeJSON(data), counted.number, counted.total)
                case "verification": return try decodeJSON(data)
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
        _ path: String, name: String? = nil, ttlSeconds: Int? = nil, pinned: Bool = false
    ) async throws(ClientError) -> Document {
        var items: [String] = []
        if let name {
            _ = try Self.documentTarget(name)
            items.append("name=" + name)
        }
        if let ttlSeconds { items.append("ttl=\(ttlSeconds)") }
        if pinned { items.append("pin=true") }
        let target = "/v1/documents" + (items.isEmpty ? "" : "?" + items.joined(separator: "&"))
        let headers = [("Content-Type", "application/x-caked-document")]
        return try await object(HTTPRequest(.POST, target, headers: headers, body: ExportedFile(path)))
    }

    // MARK: Questions

    /// Asks, and waits for the whole answer.
    public func complete(_ request: ChatRequest) async throws(ClientError) -> Answer {
        let completion: ChatCompletion = try await object(Self.chatRequest(request, stream: false))
        guard let choice = completion.choices.first else {
            throw .protocolViolation("the daemon's answer has no choices")
        }
        return Answer(
            text: choice.message.content ?? "", finishReason: choice.finishReason, model: completion.model,
            usage: completion.usage)
    }

    /// Asks, and hands over the answer as it is written.
    public func stream(
        _ request: ChatRequest, onText: @escaping @Sendable (String) -> Void
    ) async throws(ClientError) -> Answer {
        try await transport.exchange(Self.chatRequest(request, stream: true)) { head, body in
            guard try await isStream(head, &body) else {
                throw ClientError.protocolViolation("the daemon did not stream its answer")
            }
            var answer = Answer(text: "")
            var events = EventReader()
            while let event = try await events.next(&body) {
                if event.data == "[DONE]" { return answer }
                let chunk: ChatCompletionChunk = try decodeJSON(Array(event.data.utf8))
                answer.model = chunk.model ?? answer.model
                answer.usage = chunk.usage ?? answer.usage
                guard let choice = chunk.choices.first else { continue }
                answer.finishReason = choice.finishReason ?? answer.finishReason
                if let text = choice.delta?.content, !text.isEmpty {
                    answer.text += text
                    onText(text)
                }
            }
            throw ClientError.closedEarly("before the answer was complete")
        }
    }

    private static func chatRequest(_ request: ChatRequest, stream: Bool) throws(ClientError) -> HTTPRequest {
        let body = try DocumentText(encodeJSON(ChatRequestBody(request: request, stream: stream)))
        let accept = stream ? "text/event-stream" : "application/json"
        let headers = [("Content-Type", "application/json"), ("Accept", accept)]
        return HTTPRequest(.POST, "/v1/chat/completions", headers: headers, body: body)
    }

    // MARK: The daemon

    /// The loaded models.
    public func models() async throws(ClientError) -> [ModelCard] {
        let list: List<ModelCard> = try await object(HTTPRequest(.GET, "/v1/models"))
        return list.data
    }

    /// What the daemon is doing, and with what.
    public func status() async throws(ClientError) -> DaemonStatus {
        try await object(HTTPRequest(.GET, "/v1/status"))
    }

    // MARK: Requests

    /// The target of a document's route; the name is checked here, since an empty one would name another route.
    private static func documentTarget(_ name: String) throws(ClientError) -> String {
        let allowed = name.utf8.allSatisfy { isUnreserved($0) && $0 != UInt8(ascii: "~") }
        guard (1...128).contains(name.utf8.count), allowed, !name.hasPrefix(".") else { throw .invalidName(name) }
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

private struct List<Element: Decodable & Sendable>: Decodable, Sendable { var data: [Element] }
private struct Deletion: Decodable, Sendable { var deleted: Bool }
private struct QueuedEvent: Decodable { var ahead: Int }
private struct CheckedEvent: Decodable {
    var number: Int
    var total: Int
}
private struct ProgressEvent: Decodable {
    var phase: String
    var layer: Int
    var layers: Int
    var fraction: Double
}

private struct Update: Encodable {
    enum CodingKeys: String, CodingKey { case ttlSeconds, pin, keep, budget }
    var ttlSeconds: Int??
    var pin: Bool?
    var keep: PutOptions.Keep?

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        if let ttlSeconds { try container.encode(ttlSeconds, forKey: .ttlSeconds) }
        try container.encodeIfPresent(pin, forKey: .pin)
        switch keep {
        case .percent(let percent): try container.encode("\(percent)%", forKey: .keep)
        case .budget(let entries): try container.encode(entries, forKey: .budget)
        case nil: break
        }
    }
}
