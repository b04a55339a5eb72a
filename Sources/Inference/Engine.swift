// The engine: one loaded model, one store, and the threads between them.

import API
import CLinux
import CacheStore
import EngineInterface
import GGUF
import Glibc
import Logging
import Synchronization
import Tokenizers
import Transformer

/// Reads documents into the store and answers questions from it.
///
/// Five kinds of threads: callers only enqueue; the *desk* checks requests and tokenizes; the *engine* thread and its
/// workers compute; the *clerk* writes to the store, so that no disk makes a question wait; the *verifier* reads it
/// whole.
public final class Engine: DocumentService {
    let services: EngineServices
    let loop: EngineLoop<ModelWork>
    private let desk = SerialThread(name: "caked-desk")
    let verifier = SerialThread(name: "caked-verifier")
    private let documentAdmission: Admission
    private let questionAdmission: Admission
    // Each holds a layer of the document in memory.
    private let importAdmission = Admission(limit: 2)
    // One at a time reads the disk; the others wait.
    let verifyAdmission = Admission(limit: 4)
    let isShuttingDown = Atomic<Bool>(false)
    private let started = ContinuousClock().now

    var store: DocumentStore { services.store }
    var loaded: LoadedModel { services.loaded }
    var keeper: JobKeeper { services.keeper }

    /// Opens the store, maps the model and starts the threads; documents that an earlier daemon did not finish go on.
    ///
    /// Blocks while the model file is hashed, when it is not the one hashed last.
    ///
    /// Throws `EngineError`: code `unusable_model`, `unusable_store` or `store_in_use`, naming cause and mend.
    public init(_ configuration: EngineConfiguration, logger: Logger) throws(EngineError) {
        let store = try Self.openStore(configuration, logger: logger)
        let threads = configuration.threads > 0 ? configuration.threads : Int(caked_available_processors())
        let pool: WorkerPool
        do throws(ModelError) {
            try KernelSet.select(configuration.kernels)
            pool = try WorkerPool(threads: threads)
        } catch {
            throw .internalFailure(message: error.description)
        }
        let loaded = try LoadedModel(
            path: configuration.modelPath, templateName: configuration.template,
            templateArguments: configuration.templateArguments,
            cache: WeightsHashCache(stateDirectory: configuration.stateDirectory, logger: logger),
            repacking: configuration.repacking, pool: pool)
        logger.info("computing", metadata: ["kernels": "\(KernelSet.current)", "threads": "\(threads)"])
        let totals = EngineTotals()
        let keeper: JobKeeper
        do throws(FileFailure) {
            keeper = JobKeeper(
                directory: try JobDirectory(stateDirectory: configuration.stateDirectory, logger: logger),
                board: ReadingBoard(), everySeconds: configuration.checkpointSeconds, totals: totals, logger: logger)
        } catch {
            throw .invalid(code: "unusable_store", message: error.description, parameter: nil)
        }
        let services = EngineServices(
            configuration: configuration, loaded: loaded, store: store, pool: pool, keeper: keeper,
            surrogates: SurrogateKeeper(loaded, stateDirectory: configuration.stateDirectory, logger: logger),
            clerk: SerialThread(name: "caked-clerk"), totals: totals, logger: logger)
        self.services = services
        // One document is being read while the others wait.
        documentAdmission = Admission(limit: configuration.maxQueuedDocuments + 1)
        let available = AvailableMemory.bytes()
        let places = Self.questionPlaces(configuration, loaded, availableBytes: available)
        let tailBytes = configuration.tailBytes ?? TailMemory.bytes(availableBytes: available)
        logger.info("answering", metadata: ["questions_at_once": "\(places)", "tail_bytes": "\(tailBytes)"])
        totals.setTailLimit(bytes: tailBytes)
        questionAdmission = Admission(limit: configuration.maxQueuedQuestions + places)
        loop = try Self.startLoop(services, places: places, tailBytes: tailBytes)
        desk.enqueue { [self] in resumeUnfinished() }
    }

    private static func openStore(
        _ configuration: EngineConfiguration, logger: Logger
    ) throws(EngineError) -> DocumentStore {
        let store: DocumentStore
        do throws(StoreError) {
            let truncations = Truncations()
            store = try DocumentStore(
                directory: configuration.stateDirectory, mapBytes: configuration.storeMapBytes,
                limits: StoreLimits(configuration),
                truncate: { document, budget in truncations.truncation(of: document, budget: budget) })
        } catch {
            throw EngineError(opening: error)
        }
        let file = configuration.stateDirectory + "/data.mdb"
        if let identity = FileIdentity(path: file) { unsafe caked_watch_mapped_file(file, Int64(identity.bytes)) }
        if let compaction = store.compaction {
            logger.notice(
                "the store was compacted",
                metadata: ["bytes_before": "\(compaction.bytesBefore)", "bytes_after": "\(compaction.bytesAfter)"])
        }
        return store
    }

    private static func questionPlaces(
        _ configuration: EngineConfiguration, _ loaded: LoadedModel, availableBytes: Int
    ) -> Int {
        if configuration.maxRunningQuestions > 0 { return configuration.maxRunningQuestions }
        return QuestionPlaces.count(
            loaded.model.configuration, answerTokens: configuration.maxGeneratedTokens,
            availableBytes: availableBytes)
    }

    private static func startLoop(
        _ services: EngineServices, places: Int, tailBytes: Int
    ) throws(EngineError) -> EngineLoop<ModelWork> {
        let decoder: Parcel<Decoder>
        do throws(ModelError) {
            decoder = Parcel(
                try Decoder(
                    model: services.loaded.model, pool: services.pool,
                    maxRowsPerStep: StepRows.rowsPerStep + places))
        } catch {
            throw .internalFailure(message: error.description)
        }
        let loop = EngineLoop<ModelWork>()
        loop.start(maxRunningQuestions: places) {
            guard let decoder = decoder.take() else { preconditionFailure("a loop is started once") }
            return ModelWork(services, decoder: decoder, tailBytes: tailBytes) { [weak loop] returned, id in
                loop?.post(.returned(returned, id))
            }
        }
        return loop
    }

    /// The loaded model.
    public var modelCard: ModelCard { loaded.card }

    /// Grows while the engine's thread lives.
    public var heartbeat: UInt64 { loop.heartbeat }

    /// What has happened to the model's files since they were loaded, nil while they are as they were.
    ///
    /// From then on nothing is answered or stored; only a new engine mends it.
    public func modelProblem() -> String? {
        let problem = loaded.watch.problem()
        // What runs is failed now rather than when it has come to its end.
        if problem != nil { loop.wake() }
        return problem
    }

    /// Whether the model's files are all there and have been the same since this was asked last.
    public func modelIsSettled() -> Bool { loaded.watch.isSettled() }

    /// What the engine has and does.
    public func status() -> EngineStatus {
        var status = EngineStatus(loaded.card)
        if let statistics = try? store.statistics() {
            status.daemon.documents = statistics.documents
            status.daemon.storeBytes = statistics.storedBytes
            status.daemon.mapBytes = statistics.mapBytes
            status.daemon.fileBytes = statistics.fileBytes
            status.daemon.freeBytes = statistics.freeBytes
            status.daemon.quotaBytes = statistics.quotaBytes
            status.daemon.quarantinedDocuments = statistics.quarantinedDocuments
            status.daemon.openDocuments = statistics.openDocuments
            status.daemon.oldestReaderSeconds = statistics.oldestReaderSeconds
            status.daemon.clearedReaders = statistics.clearedReaders
        }
        services.totals.fill(&status)
        status.daemon.queue.documents = max(0, documentAdmission.count - status.daemon.running.documents)
        status.daemon.queue.questions = max(0, questionAdmission.count - status.daemon.running.questions)
        (status.daemon.jobs.durable, status.daemon.jobs.interrupted) = keeper.board.counts
        status.daemon.learning = services.surrogates.progress
        status.daemon.threads = services.pool.threads
        let kernels = KernelSet.current
        status.daemon.kernels.set = kernels.name
        status.daemon.kernels.multipliesBytes = kernels.multipliesBytes
        status.daemon.kernels.multipliesBfloats = kernels.multipliesBfloats
        status.daemon.uptimeSeconds = (ContinuousClock().now - started).seconds
        return status
    }

    /// Reads and caches a document.
    public func put(_ request: PutRequest) -> EventStream<PutEvent> {
        put(user: request.user) { () throws(EngineError) in request }
    }

    /// The same with a request that is made on the desk's thread, since that takes the disk.
    func put(
        user: UInt32, _ request: @escaping @Sendable () throws(EngineError) -> PutRequest
    ) -> EventStream<PutEvent> {
        guard let ticket = documentAdmission.ticket(user: user) else {
            return .failing(.busy(message: "too many documents wait to be read", retryAfterSeconds: 10))
        }
        let loop = loop
        let (stream, feed) = EventStream<PutEvent>.make(wake: { loop.wake() })
        enqueue(feed, for: user) { [self] in
            do throws(EngineError) {
                try loaded.watch.check()
                try accept(try job(for: request(), feed: feed, ticket: ticket), feed)
            } catch {
                ticket.giveUp()
                feed.finish(throwing: error)
            }
        }
        return stream
    }

    private func job(
        for request: PutRequest, feed: EventFeed<PutEvent>?, ticket: Ticket
    ) throws(EngineError) -> DocumentJob {
        let configuration = services.configuration
        let plan = try ReadingPlan(
            request, loaded: loaded, configuration: configuration, surrogate: services.surrogates.surrogate)
        // What is configured now holds for this request, also after a restart with another configuration.
        var request = request
        request.options.keep = request.options.keep ?? configuration.defaultKeep
        request.options.method = request.options.method ?? configuration.defaultMethod
        request.options.rows = plan.rows.rawValue
        return DocumentJob(
            key: try DocumentKey(checking: request.name, owner: request.owner), request: request, plan: plan,
            feed: feed, ticket: ticket)
    }

    // What is stored is not read again, what is being read is joined, and everything else waits for its turn.
    private func accept(_ job: DocumentJob, _ feed: EventFeed<PutEvent>) throws(EngineError) {
        if let manifest = services.lookup.storedDocument(for: job) {
            return services.finish(job, manifest, created: false)
        }
        try services.lookup.checkRoom(for: job)
        let running = keeper.board.join(feed, orAdd: job)
        if running != nil {
            services.totals.joinedRequest()
            job.ticket.giveUp()
        } else if job.ticket.ahead > 0 {
            feed.send(.queued(ahead: job.ticket.ahead))
        }
        if job.request.options.detached {
            do throws(FileFailure) { try keeper.keep(running ?? job) } catch {
                if running == nil { keeper.board.remove(job) }
                throw error.isFull
                    ? .insufficientStorage(message: "the request cannot be written down: \(error)")
                    : .internalFailure(message: "the request cannot be written down: \(error)")
            }
            feed.send(.accepted((running ?? job).document()))
            feed.finish()
        }
        guard running == nil, !loop.post(.request(.document(job))) else { return }
        keeper.board.remove(job)
        job.fail(.shuttingDown)
    }

    // Those who asked for them are gone, so they go on by themselves.
    private func resumeUnfinished() {
        let logger = services.logger
        for found in keeper.directory.unfinished() {
            var request = found.request
            request.options.detached = true
            do throws(EngineError) {
                let job = try job(
                    for: request, feed: nil, ticket: documentAdmission.returningTicket(user: request.user))
                keeper.board.add(job)
                // Another model or other options now: what was read is of no use, the request still is.
                if job.fileName == found.fileName {
                    job.isKept = true
                } else {
                    try? keeper.keep(job)
                    keeper.directory.remove(found.fileName)
                }
                guard found.tries <= JobDirectory.maximumTries else {
                    keeper.board.setAside(
                        job, problem: "interrupted \(found.tries) times in a row; put it again to go on")
                    continue
                }
                logger.info("taking up an unfinished document", metadata: ["document": "\(request.name)"])
                if let manifest = services.lookup.storedDocument(for: job) {
                    services.finish(job, manifest, created: false)
                } else if !loop.post(.request(.document(job))) {
                    keeper.board.remove(job)
                }
            } catch {
                logger.warning(
                    "an unfinished document can no longer be read",
                    metadata: ["document": "\(request.name)", "error": "\(error)"])
                keeper.directory.remove(found.fileName)
            }
        }
    }

    /// Answers a question.
    public func complete(_ request: CompletionRequest) -> EventStream<CompletionEvent> {
        guard let ticket = questionAdmission.ticket(user: request.user) else {
            return .failing(.busy(message: "too many questions wait", retryAfterSeconds: 2))
        }
        let loop = loop
        let (stream, feed) = EventStream<CompletionEvent>.make(wake: { loop.wake() })
        enqueue(feed, for: request.user) { [self] in
            do throws(EngineError) {
                try loaded.watch.check()
                let question = try PreparedQuestion(
                    request, feed: feed, ticket: ticket, loaded: loaded, store: store,
                    configuration: services.configuration)
                if !loop.post(.request(.question(question))) { feed.finish(throwing: .shuttingDown) }
            } catch {
                ticket.giveUp()
                feed.finish(throwing: error)
            }
        }
        return stream
    }

    // Users take turns at the desk: long questions of one are not tokenized before a short one of another.
    private func enqueue<Event>(
        _ feed: EventFeed<Event>, for user: UInt32, _ block: @escaping @Sendable () -> Void
    ) {
        let accepted = !isShuttingDown.load(ordering: .relaxed) && desk.enqueue(for: user, block)
        if !accepted { feed.finish(throwing: .shuttingDown) }
    }

    /// Forgets a document, and stops reading it.
    public func delete(_ name: String, owner: UInt32) throws(EngineError) {
        let key = try DocumentKey(checking: name, owner: owner)
        var stopped = keeper.forgetSetAside(key)
        for job in keeper.board.jobs(key) {
            let error = EngineError.conflict(
                code: "document_deleted", message: "the document was deleted while it was being read")
            // One that is being committed is the clerk's for a moment more; then it is stored, and deleted below.
            if case .committing = job.audience.cancel(error) { services.clerk.waitForBlocks() }
            // From here on a restart would not bring it back.
            keeper.forget(job)
            stopped = true
        }
        let deleted = try fromStore(of: owner) { () throws(StoreError) in try store.delete(key) }
        // What it keeps of conversations about the document goes, too.
        loop.wake()
        guard deleted || stopped else { throw .noDocument(name) }
    }

    /// Which positions were kept.
    public func retention(_ name: String, owner: UInt32) throws(EngineError) -> DocumentRetention {
        let key = try DocumentKey(checking: name, owner: owner)
        // What was kept can be looked at whatever model is loaded now.
        let fingerprint = try manifest(name, owner: owner).fingerprint
        return try fromStore(of: owner) { () throws(StoreError) in
            try DocumentRetention(store.open(key, fingerprint: fingerprint))
        }
    }

    /// Writes a document as a file that another caked with the same model can read.
    public func export(_ name: String, owner: UInt32) throws(EngineError) -> DocumentExport {
        let key = try DocumentKey(checking: name, owner: owner)
        // Whatever model is loaded now: it is the importing one that counts.
        let fingerprint = try manifest(name, owner: owner).fingerprint
        let document = try fromStore(of: owner) { () throws(StoreError) in try store.open(key, fingerprint: fingerprint)
        }
        let writer = try ExportWriter(document)
        return DocumentExport(byteCount: writer.byteCount) { () throws(EngineError) in writer.next() }
    }

    /// Begins to read such a file.
    public func importing(
        _ options: ImportOptions, owner: UInt32, user: UInt32
    ) throws(EngineError) -> DocumentImport {
        if let name = options.name { _ = try DocumentKey(checking: name, owner: owner) }
        try loaded.watch.check()
        guard let ticket = importAdmission.ticket(user: user) else {
            throw .busy(message: "too many documents are imported at once", retryAfterSeconds: 5)
        }
        let importer = Importer(
            store: store, loaded: loaded, owner: owner, options: options, ticket: ticket,
            noteReclaimed: { [housekeeper = services.housekeeper] acts in housekeeper.note(acts) })
        return DocumentImport(
            append: { bytes throws(EngineError) in try importer.append(bytes) },
            finish: { () throws(EngineError) in try importer.finish() })
    }

    /// The document's text and where its tokens stand in it.
    public func source(_ name: String, owner: UInt32) throws(EngineError) -> DocumentSource {
        let key = try DocumentKey(checking: name, owner: owner)
        let fingerprint = try manifest(name, owner: owner).fingerprint
        return try fromStore(of: owner) { () throws(StoreError) in
            try DocumentSource(store.open(key, fingerprint: fingerprint), loaded: loaded)
        }
    }

    func manifest(_ name: String, owner: UInt32) throws(EngineError) -> Manifest {
        let key = try DocumentKey(checking: name, owner: owner)
        guard let manifest = try fromStore(of: owner, { () throws(StoreError) in try store.manifest(key) }) else {
            throw try missing(key)
        }
        return manifest
    }

    /// Runs what reads or changes a user's documents in the store.
    func fromStore<Result>(
        of owner: UInt32, _ body: () throws(StoreError) -> Result
    ) throws(EngineError) -> Result {
        do throws(StoreError) {
            return try body()
        } catch {
            throw EngineError(error, owner: owner, in: store)
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
                verifier.stop()
                loop.join()
                finished.raise()
                deadline.stop()
                services.clerk.stop()
                services.housekeeper.keepHouse()
                continuation.resume()
            }
        }
    }
}
