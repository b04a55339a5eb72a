// The engine: one loaded model, one store, and the threads between them.

import CLinux
import CacheStore
import Logging
import Synchronization
import Tokenizers
import Transformer

/// Reads documents into the store and answers questions from it.
///
/// Four kinds of threads: callers only enqueue; the *desk* checks requests and tokenizes; the *engine* thread and its
/// workers compute; the *clerk* writes to the store, so that no disk makes a question wait.
public final class Engine: DocumentService {
    private let configuration: EngineConfiguration
    private let loaded: LoadedModel
    private let store: DocumentStore
    private let loop: EngineLoop
    private let desk: SerialThread
    private let clerk: SerialThread
    private let documentAdmission: Admission
    private let questionAdmission: Admission
    private let totals: EngineTotals
    private let writer: DocumentWriter
    private let isShuttingDown = Atomic<Bool>(false)
    private let started = ContinuousClock().now
    private let threads: Int

    /// Maps the model, opens the store and starts the threads.
    ///
    /// Blocks while the model file is read once.
    ///
    /// Throws `EngineError`: code `unusable_model`, `unusable_store` or `store_in_use`, naming cause and mend.
    public init(_ configuration: EngineConfiguration, logger: Logger) throws(EngineError) {
        let threads = configuration.threads > 0 ? configuration.threads : Int(caked_available_processors())
        let pool: WorkerPool
        do throws(ModelError) {
            pool = try WorkerPool(threads: threads)
        } catch {
            throw .internalFailure(message: error.description)
        }
        let loaded = try LoadedModel(
            path: configuration.modelPath, templateName: configuration.template, repacking: configuration.repacking,
            pool: pool)
        let store: DocumentStore
        do throws(StoreError) {
            store = try DocumentStore(directory: configuration.stateDirectory, mapBytes: configuration.storeMapBytes)
        } catch {
            throw EngineError(opening: error)
        }
        let decoder: Decoder
        do throws(ModelError) {
            decoder = try Decoder(
                model: loaded.model, pool: pool,
                maxRowsPerStep: configuration.maxRunningQuestions * EngineLoop.questionRowsPerStep)
        } catch {
            throw .internalFailure(message: error.description)
        }
        let clerk = SerialThread(name: "caked-clerk")
        self.threads = threads
        self.configuration = configuration
        self.loaded = loaded
        self.store = store
        self.clerk = clerk
        desk = SerialThread(name: "caked-desk")
        // One document is being read while the others wait.
        documentAdmission = Admission(limit: configuration.maxQueuedDocuments + 1)
        questionAdmission = Admission(
            limit: configuration.maxQueuedQuestions + configuration.maxRunningQuestions)
        let totals = EngineTotals()
        let writer = DocumentWriter(store: store, loaded: loaded, totals: totals, logger: logger)
        self.totals = totals
        self.writer = writer
        loop = EngineLoop(
            decoder: decoder,
            maxRunningQuestions: configuration.maxRunningQuestions, totals: totals, logger: logger,
            makePrefill: { plan throws(ModelError) in
                try DocumentPrefill(
                    model: loaded.model, pool: pool, tokens: plan.tokens, templatePrefixTokens: plan.prefixTokens,
                    method: plan.method, budget: plan.budget, rows: KVRows(plan.rows),
                    instruction: loaded.reconstructionTokens)
            },
            exists: { job in writer.answerFromStore(job) },
            write: { job, cache, written in
                let isAccepted = clerk.enqueue {
                    writer.write(job, cache)
                    written()
                }
                if !isAccepted { job.feed.finish(throwing: .shuttingDown) }
            },
            maintain: { clerk.enqueue { writer.keepHouse() } })
        loop.start()
    }

    /// The loaded model.
    public var modelCard: ModelCard { loaded.card }

    /// Grows while the engine's thread lives.
    public var heartbeat: UInt64 { loop.heartbeat }

    /// What the engine has and does.
    public func status() -> EngineStatus {
        var status = EngineStatus()
        if let statistics = try? store.statistics() {
            status.documents = statistics.documents
            status.storeBytes = statistics.storedBytes
            status.mapBytes = statistics.mapBytes
            status.fileBytes = statistics.fileBytes
        }
        totals.fill(&status)
        status.queuedDocuments = max(0, documentAdmission.count - status.runningDocuments)
        status.queuedQuestions = max(0, questionAdmission.count - status.runningQuestions)
        status.threads = threads
        status.uptimeSeconds = (ContinuousClock().now - started).seconds
        return status
    }

    /// Reads and caches a document.
    public func put(_ request: PutRequest) -> EventStream<PutEvent> {
        guard let ticket = documentAdmission.ticket() else {
            return .failing(.busy(message: "too many documents wait to be read", retryAfterSeconds: 10))
        }
        let loop = loop
        let (stream, feed) = EventStream<PutEvent>.make(wake: { loop.wake() })
        enqueue(feed) { [self] in
            do throws(EngineError) {
                let key = try DocumentKey(checking: request.name, owner: request.owner)
                let plan = try ReadingPlan(request, loaded: loaded, configuration: configuration)
                if ticket.ahead > 0 { feed.send(.queued(ahead: ticket.ahead)) }
                let job = DocumentJob(key: key, feed: feed, ticket: ticket, plan: plan)
                if writer.answerFromStore(job) { return }
                if !loop.post(.document(job)) { feed.finish(throwing: .shuttingDown) }
            } catch {
                ticket.giveUp()
                feed.finish(throwing: error)
            }
        }
        return stream
    }

    /// Answers a question.
    public func complete(_ request: CompletionRequest) -> EventStream<CompletionEvent> {
        guard let ticket = questionAdmission.ticket() else {
            return .failing(.busy(message: "too many questions wait", retryAfterSeconds: 2))
        }
        let loop = loop
        let (stream, feed) = EventStream<CompletionEvent>.make(wake: { loop.wake() })
        enqueue(feed) { [self] in
            do throws(EngineError) {
                let job = try QuestionJob(
                    request, feed: feed, ticket: ticket, loaded: loaded, store: store, configuration: configuration)
                if !loop.post(.question(job)) { feed.finish(throwing: .shuttingDown) }
            } catch {
                ticket.giveUp()
                feed.finish(throwing: error)
            }
        }
        return stream
    }

    private func enqueue<Event>(_ feed: EventFeed<Event>, _ block: @escaping @Sendable () -> Void) {
        let accepted = !isShuttingDown.load(ordering: .relaxed) && desk.enqueue(block)
        if !accepted { feed.finish(throwing: .shuttingDown) }
    }

    /// The caller's documents.
    public func documents(owner: UInt32) throws(EngineError) -> [Document] {
        try fromStore { () throws(StoreError) in try store.manifests(owner: owner) }
            .map { Document($0, model: loaded.card.id, withLayers: false) }
    }

    /// One document.
    public func document(_ name: String, owner: UInt32) throws(EngineError) -> Document {
        Document(try manifest(name, owner: owner), model: loaded.card.id, withLayers: true)
    }

    /// Forgets a document.
    public func delete(_ name: String, owner: UInt32) throws(EngineError) {
        let key = try DocumentKey(checking: name, owner: owner)
        guard try fromStore({ () throws(StoreError) in try store.delete(key) }) else { throw .noDocument(name) }
    }

    /// Changes the time to live and the pin.
    public func update(
        _ name: String, owner: UInt32, ttlSeconds: Int??, pinned: Bool?
    ) throws(EngineError) -> Document {
        let old = try manifest(name, owner: owner)
        let key = try DocumentKey(checking: name, owner: owner)
        let new = try fromStore { () throws(StoreError) in
            try store.update(key, ttlSeconds: ttlSeconds ?? old.ttlSeconds, pinned: pinned ?? old.pinned)
        }
        return Document(new, model: loaded.card.id, withLayers: true)
    }

    /// Which positions were kept.
    public func retention(_ name: String, owner: UInt32) throws(EngineError) -> DocumentRetention {
        let key = try DocumentKey(checking: name, owner: owner)
        // What was kept can be looked at whatever model is loaded now.
        let fingerprint = try manifest(name, owner: owner).fingerprint
        return try fromStore { () throws(StoreError) in
            try DocumentRetention(store.open(key, fingerprint: fingerprint))
        }
    }

    private func manifest(_ name: String, owner: UInt32) throws(EngineError) -> Manifest {
        let key = try DocumentKey(checking: name, owner: owner)
        guard let manifest = try fromStore({ () throws(StoreError) in try store.manifest(key) }) else {
            throw .noDocument(name)
        }
        return manifest
    }

    private func fromStore<Result>(_ body: () throws(StoreError) -> Result) throws(EngineError) -> Result {
        do throws(StoreError) {
            return try body()
        } catch {
            throw EngineError(error)
        }
    }

    /// Finishes what can be finished within the grace, fails the rest, and ends the threads.
    public func shutdown(graceSeconds: Double) async {
        guard isShuttingDown.compareExchange(expected: false, desired: true, ordering: .relaxed).exchanged else {
            return
        }
        let deadline = SerialThread(name: "caked-grace")
        let finished = WakeSignal()
        let loop = loop
        loop.post(.drain)
        deadline.enqueue {
            finished.wait(milliseconds: Int(graceSeconds * 1000))
            loop.post(.abort)
        }
        await withCheckedContinuation { continuation in
            startThread(name: "caked-shutdown") { [self] in
                desk.stop()
                loop.join()
                finished.raise()
                deadline.stop()
                clerk.stop()
                writer.keepHouse()
                continuation.resume()
            }
        }
    }
}
