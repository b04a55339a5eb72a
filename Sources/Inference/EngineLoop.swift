// The engine's thread: takes requests from its mailbox, asks the scheduler for work, and does it.

import Logging
import Synchronization
import Transformer

/// What other threads tell the loop.
enum EngineCommand: Sendable {
    case question(QuestionJob)
    case document(DocumentJob)
    /// The document is in the store, or never will be.
    case written(RequestID)
    /// Its checkpoint is written, or its prefill taken to one: the reading may go on.
    case ready(RequestID, Result<Void, ModelError>)
    /// Take nothing new, finish what runs.
    case drain
    /// Fail everything that is left, now.
    case abort
}

/// Owns every running request.
///
/// All its state belongs to its one thread; the mailbox is the only way in.
final class EngineLoop: @unchecked Sendable {
    /// Rows of a question read in one step: enough to keep the products busy, short enough for other answers to go on.
    static let questionRowsPerStep = 64
    /// How long the thread sleeps at most when nothing happens, so that the watchdog sees it alive.
    static let idleMilliseconds = 1000
    /// How often usage is written, and what has expired or exceeds the quota is reclaimed.
    static let maintenanceInterval = Duration.seconds(60)

    private struct Mailbox {
        var commands: [EngineCommand] = []
        var isClosed = false
    }

    private let mailbox = Mutex(Mailbox())
    private let signal = WakeSignal()
    private let ended = WakeSignal()
    private let beats = Atomic<UInt64>(0)
    private let totals: EngineTotals
    private let logger: Logger
    private let decoder: Decoder
    private let write: @Sendable (DocumentJob, CompactCache, _ written: @escaping @Sendable () -> Void) -> Void
    private let exists: @Sendable (DocumentJob) throws(EngineError) -> Bool
    private let makePrefill: @Sendable (ReadingPlan) throws(ModelError) -> DocumentPrefill
    private let startQuestion: @Sendable (QuestionJob) throws(EngineError) -> Void
    private let keeper: JobKeeper
    private let clerk: SerialThread
    private let maxAnswerSeconds: Double
    private let maintain: @Sendable () -> Void
    private var lastMaintenance = ContinuousClock().now

    private var scheduler: Scheduler
    private var questions: [RequestID: QuestionJob] = [:]
    private var documents: [RequestID: DocumentJob] = [:]
    private var lastID: UInt64 = 0
    private var isDraining = false

    /// - Parameters:
    ///   - startQuestion: opens the question's document and gives it a sequence.
    ///   - exists: whether the document is in the store already, exactly as asked for, and then answers the request itself;
    ///     throws when it is not and the store cannot take it.
    ///   - write: takes a finished cache to the store, on another thread, and calls back when it is there.
    ///   - maintain: starts the store's housekeeping, on another thread.
    init(
        decoder: Decoder, maxRunningQuestions: Int, maxAnswerSeconds: Double, totals: EngineTotals,
        keeper: JobKeeper, clerk: SerialThread, logger: Logger,
        startQuestion: @escaping @Sendable (QuestionJob) throws(EngineError) -> Void,
        makePrefill: @escaping @Sendable (ReadingPlan) throws(ModelError) -> DocumentPrefill,
        exists: @escaping @Sendable (DocumentJob) throws(EngineError) -> Bool,
        write: @escaping @Sendable (DocumentJob, CompactCache, _ written: @escaping @Sendable () -> Void) -> Void,
        maintain: @escaping @Sendable () -> Void
    ) {
        self.decoder = decoder
        self.totals = totals
        self.logger = logger
        self.keeper = keeper
        self.clerk = clerk
        self.maxAnswerSeconds = maxAnswerSeconds
        self.startQuestion = startQuestion
        self.makePrefill = makePrefill
        self.exists = exists
        self.write = write
        self.maintain = maintain
        scheduler = Scheduler(maxRunningQuestions: maxRunningQuestions)
    }

    func start() { startThread(name: "caked-engine") { [self] in run() } }

    /// Hands the loop a command; false when it has ended.
    @discardableResult
    func post(_ command: EngineCommand) -> Bool {
        let accepted = mailbox.withLock { box in
            guard !box.isClosed else { return false }
            box.commands.append(command)
            return true
        }
        signal.raise()
        return accepted
    }

    /// Lets the loop look again at readers that went away or caught up.
    func wake() { signal.raise() }

    /// Grows while the thread lives.
    var heartbeat: UInt64 { beats.load(ordering: .relaxed) }

    /// Returns when the thread has ended.
    func join() { ended.wait() }

    private func run() {
        while true {
            beats.add(1, ordering: .relaxed)
            let commands = mailbox.withLock { box in
                defer { box.commands = [] }
                return box.commands
            }
            for command in commands { take(command) }
            dropCancelled()
            totals.setRunning(questions: scheduler.runningQuestions.count, document: scheduler.runningDocument != nil)
            switch scheduler.next() {
            case .questions(let ids): stepQuestions(ids)
            case .document(let id): stepDocument(id)
            case .idle:
                if isDraining, scheduler.isEmpty, close() { return ended.raise() }
                signal.wait(milliseconds: Self.idleMilliseconds)
            }
            if ContinuousClock().now - lastMaintenance > Self.maintenanceInterval {
                lastMaintenance = ContinuousClock().now
                maintain()
            }
        }
    }

    // Closes the mailbox unless something came in meanwhile, so that no request is ever left unanswered.
    private func close() -> Bool {
        mailbox.withLock { box in
            guard box.commands.isEmpty else { return false }
            box.isClosed = true
            return true
        }
    }

    private func take(_ command: EngineCommand) {
        switch command {
        case .question(let job):
            let id = newID()
            questions[id] = job
            apply(scheduler.addQuestion(id, user: job.user))
        case .document(let job):
            let id = newID()
            documents[id] = job
            apply(scheduler.addDocument(id, user: job.user))
        case .written(let id):
            end(id)
        case .ready(let id, let result):
            scheduler.setPaused(id, false)
            if case .failure(let error) = result {
                fail(id, .internalFailure(message: "the document cannot be read: \(error)"))
            }
        case .drain:
            isDraining = true
            if let id = scheduler.runningDocument { documents[id]?.checkpoints.isUrgent = true }
            apply(scheduler.drain())
        case .abort:
            isDraining = true
            apply(scheduler.drain())
            // A document that is being written is told by the clerk how that ended.
            for id in (Array(questions.keys) + Array(documents.keys)).sorted() where id != scheduler.writtenDocument {
                fail(id, .shuttingDown)
            }
        }
    }

    private func newID() -> RequestID {
        lastID += 1
        return RequestID(lastID)
    }

    private func apply(_ actions: [SchedulerAction]) {
        for action in actions {
            switch action {
            case .start(let id):
                if let job = questions[id] { start(id, job) }
                if let job = documents[id] { startDocument(id, job) }
            case .reject(let id):
                fail(id, .shuttingDown)
            }
        }
    }

    // Only now is the document opened: while a question waited it pinned no pages.
    private func start(_ id: RequestID, _ job: QuestionJob) {
        do throws(EngineError) {
            try startQuestion(job)
        } catch {
            fail(id, error)
        }
    }

    // The document may have been written since it was asked for, by the same request sent twice.
    private func startDocument(_ id: RequestID, _ job: DocumentJob) {
        do throws(EngineError) {
            if try exists(job) { return end(id) }
        } catch {
            return fail(id, error)
        }
        guard !keeper.directory.hasCheckpoint(job.fileName) else { return restore(id, job) }
        do throws(ModelError) {
            job.prefill = try makePrefill(job.plan)
        } catch {
            fail(id, .internalFailure(message: "the document cannot be read: \(error)"))
        }
    }

    // A checkpoint may be large: the clerk reads it, and this thread goes on with questions.
    private func restore(_ id: RequestID, _ job: DocumentJob) {
        scheduler.setPaused(id, true)
        let (keeper, makePrefill) = (keeper, makePrefill)
        clerk.enqueue { [self] in
            let result: Result<Void, ModelError>
            do throws(ModelError) {
                job.prefill = try keeper.restore(job) { () throws(ModelError) in try makePrefill(job.plan) }
                result = .success(())
            } catch {
                result = .failure(error)
            }
            post(.ready(id, result))
        }
    }

    // The reading waits so that nothing has to be copied; questions do not.
    private func checkpoint(_ id: RequestID, _ job: DocumentJob, _ prefill: DocumentPrefill) {
        guard prefill.checkpointLayer != nil,
            job.checkpoints.isDue(
                atSeconds: job.prefillSeconds, bytes: prefill.checkpointBytes, everySeconds: keeper.everySeconds)
        else { return }
        scheduler.setPaused(id, true)
        let keeper = keeper
        clerk.enqueue { [self] in
            keeper.save(job)
            post(.ready(id, .success(())))
        }
    }

    private func dropCancelled() {
        let now = ContinuousClock().now
        for (id, job) in questions {
            if job.feed.isCancelled {
                end(id)
            } else if job.hasLasted(longerThanSeconds: maxAnswerSeconds, at: now) {
                logger.info("an answer was cut off after \(maxAnswerSeconds) s")
                job.cutOff()
                totals.answered(read: job.progress.read, generated: job.progress.generated)
                end(id)
            } else {
                scheduler.setParked(id, job.feed.isFull)
            }
        }
        // One that is being written belongs to the clerk, who notices by himself.
        for (id, job) in documents where id != scheduler.writtenDocument && job.audience.isAbandoned {
            release { $0.forget(job) }
            end(id)
        }
    }

    private func release(_ act: @escaping @Sendable (JobKeeper) -> Void) {
        clerk.enqueue { [keeper] in act(keeper) }
    }

    private func stepQuestions(_ ids: [RequestID]) {
        let jobs = ids.compactMap { id in questions[id].map { (id, $0) } }
        let batch = jobs.map { $0.1.nextPiece(atMost: Self.questionRowsPerStep) }
        do throws(ModelError) {
            let logits = try decoder.step(batch)
            for (index, (id, job)) in jobs.enumerated() {
                advance(id, job, by: batch[index], logits: logits, row: index)
            }
        } catch {
            // A step fails as a whole only for reasons that no single question caused: say so to all of them.
            logger.error("a step failed", metadata: ["error": "\(error)"])
            for (id, _) in jobs { fail(id, .internalFailure(message: "the answer could not be computed: \(error)")) }
        }
    }

    private func advance(_ id: RequestID, _ job: QuestionJob, by piece: Decoder.Piece, logits: Logits, row: Int) {
        do throws(ModelError) {
            if try job.advance(by: piece, logits: logits, row: row) {
                totals.answered(read: job.progress.read, generated: job.progress.generated)
                end(id)
            }
        } catch {
            logger.error("an answer failed", metadata: ["error": "\(error)"])
            fail(id, .internalFailure(message: "the answer could not be computed: \(error)"))
        }
    }

    private func stepDocument(_ id: RequestID) {
        guard let job = documents[id] else { return }
        if let trial = job.trial { return step(trial, of: job, id) }
        guard let prefill = job.prefill else {
            return fail(id, .internalFailure(message: "the document was lost before it was read"))
        }
        let clock = ContinuousClock()
        let begun = clock.now
        do throws(ModelError) {
            let progress = try prefill.step()
            job.prefillSeconds += (clock.now - begun).seconds
            job.report(
                phase: "prefill", layer: progress.layer + 1, layers: progress.layers, fraction: progress.fraction)
            guard progress.isDone else { return checkpoint(id, job, prefill) }
            let cache = try prefill.finish()
            job.prefill = nil
            totals.prefilled(job.plan.tokens.count)
            if let terms = job.plan.terms {
                job.trial = CacheTrial(
                    job.plan, terms: terms, cache: cache, full: try prefill.checkedRows(), decoder: decoder)
            } else {
                finish(id, job, cache)
            }
        } catch {
            logger.error("a document failed", metadata: ["error": "\(error)"])
            fail(id, .internalFailure(message: "the document could not be read: \(error)"))
        }
    }

    private func finish(_ id: RequestID, _ job: DocumentJob, _ cache: CompactCache) {
        scheduler.setWritten(id)
        write(job, cache) { [self] in post(.written(id)) }
    }

    private func step(_ trial: CacheTrial, of job: DocumentJob, _ id: RequestID) {
        do throws(ModelError) {
            guard let outcome = try trial.step() else {
                return job.report(phase: "check", layer: trial.trials, layers: trial.trials, fraction: 1)
            }
            job.trial = nil
            job.outcome = outcome
            if let refusal = job.plan.terms?.refusal(of: outcome, plan: job.plan) { return fail(id, refusal) }
            finish(id, job, outcome.cache)
        } catch {
            logger.error("a document could not be checked", metadata: ["error": "\(error)"])
            fail(id, .internalFailure(message: "the document could not be checked: \(error)"))
        }
    }

    private func fail(_ id: RequestID, _ error: EngineError) {
        questions[id]?.fail(error)
        if let job = documents[id] {
            release { $0.failed(job, error) }
            job.fail(error)
        }
        end(id)
    }

    private func end(_ id: RequestID) {
        questions[id] = nil
        documents[id] = nil
        apply(scheduler.remove(id))
    }
}
