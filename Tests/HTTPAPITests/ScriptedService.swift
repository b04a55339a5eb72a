// A `DocumentService` whose every event and error the tests decide.

import API
import EngineInterface
import Foundation
import Synchronization

final class ScriptedService: DocumentService {
    typealias Feed = EventFeed<CompletionEvent>

    struct State {
        var documents: [UInt32: [String: Document]] = [:]
        var puts: [PutRequest] = []
        var questions: [CompletionRequest] = []
        var putFeeds: [EventFeed<PutEvent>] = []
        var questionFeeds: [Feed] = []
        var updates: [DocumentChange] = []
        var rebuilt: [String] = []
        var verified: [String?] = []
        var failure: EngineError?
        var isShutDown = false
    }

    let state = Mutex(State())
    /// What happens when a question comes; the default answers it.
    let onQuestion: @Sendable (CompletionRequest, Feed) -> Void
    let onPut: @Sendable (ScriptedService, PutRequest, EventFeed<PutEvent>) -> Void

    init(
        onQuestion: @escaping @Sendable (CompletionRequest, Feed) -> Void = { _, feed in ScriptedService.answer(feed) },
        onPut: @escaping @Sendable (ScriptedService, PutRequest, EventFeed<PutEvent>) -> Void = {
            service, request, feed in
            feed.send(.finished(service.store(request), created: true))
            feed.finish()
        }
    ) {
        self.onQuestion = onQuestion
        self.onPut = onPut
    }

    static let usage = Usage(
        promptTokens: 120, cachedTokens: 100, completionTokens: 2, prefillSeconds: 0.5, decodeSeconds: 0.25)

    static func answer(_ feed: Feed) {
        feed.send(.started(promptTokens: 120, cachedTokens: 100))
        feed.send(.text("Grüße"))
        feed.send(.text("/\"x\"\n"))
        feed.send(.finished(reason: .stop, usage: usage))
        feed.finish()
    }

    static func document(_ name: String, bytes: Int = 5) -> Document {
        var document = Document(id: name, model: "tiny")
        (document.created, document.lastUsed, document.tokens, document.prefixTokens) = (1000, 1000, 10, 3)
        document.setEntries(8, of: 80)
        (document.budget, document.method, document.rows) = (1, "cake", "f16")
        (document.bytes, document.bytesFull, document.textBytes, document.prefillSeconds) = (64, 640, bytes, 0.5)
        document.layers = [DocumentLayer(budget: 1, preference: 2, entries: [4, 4])]
        return document
    }

    @discardableResult func store(_ request: PutRequest) -> Document {
        let document = Self.document(request.name, bytes: request.text.count)
        state.withLock { $0.documents[request.owner, default: [:]][request.name] = document }
        return document
    }

    let modelCard = ModelCard(id: "tiny", created: 7, contextLength: 4096, parameters: 1000)
    let heartbeat: UInt64 = 1

    func status() -> EngineStatus {
        var status = EngineStatus(modelCard)
        status.daemon.documents = 3
        status.daemon.queue.questions = 2
        status.daemon.running.documents = 1
        return status
    }

    func put(_ request: PutRequest) -> EventStream<PutEvent> {
        let (stream, feed) = EventStream<PutEvent>.make(wake: {})
        let isShutDown = state.withLock {
            $0.puts.append(request)
            $0.putFeeds.append(feed)
            return $0.isShutDown
        }
        if isShutDown { feed.finish(throwing: .shuttingDown) } else { onPut(self, request, feed) }
        return stream
    }

    private func found(_ name: String, _ owner: UInt32) throws(EngineError) -> Document {
        let (failure, document) = state.withLock { ($0.failure, $0.documents[owner]?[name]) }
        if let failure { throw failure }
        guard let document else { throw .notFound(code: "document_not_found", message: "no document `\(name)`") }
        return document
    }

    func documents(owner: UInt32, _ query: ListQuery) throws(EngineError) -> ObjectList<Document> {
        var all = state.withLock { ($0.documents[owner] ?? [:]).values.sorted { $0.id < $1.id } }
        all.removeAll { $0.id <= query.after ?? "" }
        for index in all.indices { all[index].layers = nil }
        return ObjectList(page: Array(all.prefix(query.limit)), hasMore: all.count > query.limit)
    }

    func document(_ name: String, owner: UInt32) throws(EngineError) -> Document { try found(name, owner) }

    func delete(_ name: String, owner: UInt32) throws(EngineError) {
        _ = try found(name, owner)
        state.withLock { $0.documents[owner]?[name] = nil }
    }

    func update(_ name: String, owner: UInt32, _ change: DocumentChange) throws(EngineError) -> Document {
        state.withLock { $0.updates.append(change) }
        var document = try found(name, owner)
        if let ttlSeconds = change.ttlSeconds { document.ttlSeconds = ttlSeconds }
        if let pinned = change.pinned { document.pinned = pinned }
        if case .budget(let budget) = change.keep {
            (document.shrunkFrom, document.budget) = (document.budget, budget)
        }
        return document
    }

    func rebuild(_ name: String, owner: UInt32, user: UInt32) -> EventStream<PutEvent> {
        state.withLock { $0.rebuilt.append(name) }
        return put(PutRequest(owner: owner, name: name, text: Array("stored".utf8), user: user))
    }

    func verify(_ name: String?, owner: UInt32, user: UInt32) -> EventStream<VerifyEvent> {
        state.withLock { $0.verified.append(name) }
        let (stream, feed) = EventStream<VerifyEvent>.make(wake: {})
        var verification = Verification()
        let names = state.withLock { ($0.documents[owner] ?? [:]).keys.sorted() }
        for (index, name) in names.enumerated() {
            let document = VerifiedDocument(id: name, bytes: 64, problem: name == "bad" ? "a checksum" : nil)
            verification.add(document)
            feed.send(.checked(CheckedDocument(document: document, number: index + 1, total: names.count)))
        }
        feed.send(.finished(verification))
        feed.finish()
        return stream
    }

    func retention(_ name: String, owner: UInt32) throws(EngineError) -> DocumentRetention {
        _ = try found(name, owner)
        return DocumentRetention(
            tokens: 10, layers: [.init(budget: 1, preference: 2, heads: [.init(positions: [0, 4])])])
    }

    func export(_ name: String, owner: UInt32) throws(EngineError) -> DocumentExport {
        _ = try found(name, owner)
        let whole = Array("exported \(name)".utf8)
        let left = Received()
        left.bytes.withLock { $0 = whole }
        return DocumentExport(byteCount: whole.count) { () throws(EngineError) in
            left.bytes.withLock { bytes in
                guard !bytes.isEmpty else { return nil }
                defer { bytes = [] }
                return bytes
            }
        }
    }

    func importing(_ options: ImportOptions, owner: UInt32, user: UInt32) throws(EngineError) -> DocumentImport {
        let received = Received()
        return DocumentImport(
            append: { bytes throws(EngineError) in
                if bytes.contains(0) { throw .invalid(code: "damaged_export", message: "m", parameter: nil) }
                received.bytes.withLock { $0 += bytes }
            },
            finish: { [self] () throws(EngineError) in
                let text = received.bytes.withLock { $0 }
                return store(PutRequest(owner: owner, name: options.name ?? "imported", text: text))
            })
    }

    private final class Received: Sendable {
        let bytes = Mutex<[UInt8]>([])
    }

    func source(_ name: String, owner: UInt32) throws(EngineError) -> DocumentSource {
        _ = try found(name, owner)
        return DocumentSource(tokens: 2, text: "Grüße", offsets: [0, 0, 7])
    }

    func complete(_ request: CompletionRequest) -> EventStream<CompletionEvent> {
        let (stream, feed) = EventStream<CompletionEvent>.make(wake: {})
        state.withLock {
            $0.questions.append(request)
            $0.questionFeeds.append(feed)
        }
        onQuestion(request, feed)
        return stream
    }

    func shutdown(graceSeconds: Double) async {
        let (feeds, putFeeds) = state.withLock { state in
            state.isShutDown = true
            return (state.questionFeeds, state.putFeeds)
        }
        for feed in feeds { feed.finish(throwing: .shuttingDown) }
        for feed in putFeeds { feed.finish(throwing: .shuttingDown) }
    }
}
