// The engine's work with the model and the store: questions are stepped together, documents read tile by tile.

import API
import CacheStore
import EngineInterface
import Logging
import Transformer

/// What the loop does, on its thread; readings travel to the clerk and back.
final class ModelWork: EngineWork {
    /// A request that passed its checks.
    enum Request: Sendable {
        case question(PreparedQuestion)
        case document(DocumentJob)
    }

    /// What the clerk gives back.
    enum Returned: Sendable {
        /// A reading at its checkpoint, or one of which a checkpoint is written.
        case reading(Parcel<Reading>)
        /// There is no reading, and why.
        case failed(EngineError)
        /// The document is in the store, or never will be; its clients know.
        case written
    }

    typealias Event = EngineMachine.Event

    let services: EngineServices
    let decoder: Decoder
    /// Gives something back to the loop, from any thread.
    let giveBack: @Sendable (Returned, RequestID) -> Void

    /// Questions that have no place yet, and those that have.
    private var prepared: [RequestID: PreparedQuestion] = [:]
    private var running: [RequestID: RunningQuestion] = [:]
    private var rows = StepRows()
    /// What ended questions left behind, and how far the store's writes have been looked through for it.
    var tails: KeptTails<TailRows>
    var seenWrites: UInt64
    /// All documents that have not ended; the readings of those that are begun and not with the clerk.
    var documents: [RequestID: DocumentJob] = [:]
    var readings: [RequestID: Reading] = [:]
    /// Documents whose next border of two layers is a checkpoint.
    var hurried: Set<RequestID> = []

    init(
        _ services: EngineServices, decoder: Decoder, tailBytes: Int,
        giveBack: @escaping @Sendable (Returned, RequestID) -> Void
    ) {
        (self.services, self.decoder, self.giveBack) = (services, decoder, giveBack)
        tails = KeptTails(limitBytes: tailBytes)
        seenWrites = services.store.writes
    }

    func accept(_ request: Request, as id: RequestID) -> Event {
        switch request {
        case .question(let question):
            prepared[id] = question
            return .question(id, user: question.user)
        case .document(let job):
            documents[id] = job
            return .document(id, user: job.user)
        }
    }

    func perform(_ action: EngineMachine.Action) -> [Event] {
        switch action {
        case .begin(let id): return begin(id)
        case .open(let id): return open(id)
        case .restore(let id): restore(id)
        case .checkpoint(let id): return checkpoint(id)
        case .hurry(let id): hurried.insert(id)
        case .write(let id): return write(id)
        case .reject(let id): _ = fail(id, .shuttingDown)
        case .drop(let id): drop(id)
        }
        return []
    }

    func perform(_ work: EngineMachine.Work) -> [Event] {
        switch work {
        case .questions(let ids): step(ids)
        case .read(let id): read(id)
        case .check(let id): check(id)
        case .idle, .stop: []
        }
    }

    func look() -> [Event] {
        // What the clerk has comes back and is failed then; what he writes he compares himself.
        if services.loaded.watch.isChanged {
            dropAllTails()
            let left = Set(prepared.keys).union(running.keys).union(readings.keys)
            return left.sorted().flatMap { fail($0, .modelChanged) }
        }
        dropTails()
        let now = ContinuousClock().now
        let limit = services.configuration.maxAnswerSeconds
        var events: [Event] = []
        for (id, question) in running {
            if question.feed.isCancelled {
                events.append(.abandoned(id))
            } else if question.hasLasted(longerThanSeconds: limit, at: now) {
                services.logger.info("an answer was cut off after \(limit) s")
                events.append(end(id, question, .length))
            } else {
                events.append(.parked(id, question.feed.isFull))
            }
        }
        for (id, question) in prepared where question.feed.isCancelled { events.append(.abandoned(id)) }
        for (id, job) in documents where job.audience.isAbandoned { events.append(.abandoned(id)) }
        return events
    }

    func note(runningQuestions: Int, runsDocument: Bool) {
        services.totals.setRunning(questions: runningQuestions, document: runsDocument)
    }

    func keepHouse() {
        let housekeeper = services.housekeeper
        services.clerk.enqueue { housekeeper.keepHouse() }
    }

    /// Tells a request's client why it ends, and forgets it.
    func fail(_ id: RequestID, _ error: EngineError) -> [Event] {
        // Its place is free before the client hears of it.
        (running[id]?.ticket ?? prepared[id]?.ticket)?.giveUp()
        (running[id]?.feed ?? prepared[id]?.feed)?.finish(throwing: error)
        if let job = documents[id] {
            let keeper = services.keeper
            services.clerk.enqueue { keeper.failed(job, error) }
            job.fail(error)
        }
        forget(id)
        return [.ended(id)]
    }

    /// Forgets a request that has ended.
    func forget(_ id: RequestID) {
        (prepared[id], running[id], documents[id], readings[id]) = (nil, nil, nil, nil)
        hurried.remove(id)
    }

    private func drop(_ id: RequestID) {
        if let job = documents[id] {
            let keeper = services.keeper
            services.clerk.enqueue { keeper.forget(job) }
        }
        if let question = running[id] { keepTail(of: question) }
        forget(id)
    }

    // MARK: Questions

    // Only now is the document opened: while a question waited it pinned no pages.
    private func begin(_ id: RequestID) -> [Event] {
        guard let question = prepared[id] else { return [] }
        do throws(EngineError) {
            running[id] = try RunningQuestion(question, services, tails: &tails)
            prepared[id] = nil
            noteTails()
            return []
        } catch {
            return fail(id, error)
        }
    }

    private func step(_ ids: [RequestID]) -> [Event] {
        var questions = ids.compactMap { id in running[id].map { (id, $0) } }
        var batch = questions.map { $0.1.nextPiece(atMost: StepRows.rowsPerUser) }
        let chosen = rows.choose(
            zip(questions, batch).map { question, piece in
                StepRows.Candidate(user: question.1.user, rows: piece.ids.count, isRead: question.1.isRead)
            })
        (questions, batch) = (chosen.map { questions[$0] }, chosen.map { batch[$0] })
        do throws(ModelError) {
            let logits = try decoder.step(batch)
            var events: [Event] = []
            for (index, (id, question)) in questions.enumerated() {
                events += advance(id, question, by: batch[index], logits: logits, row: index)
            }
            return events
        } catch {
            // A step fails as a whole only for reasons that no single question caused: say so to all of them.
            services.logger.error("a step failed", metadata: ["error": "\(error)"])
            return questions.flatMap { fail($0.0, Self.uncomputed(error)) }
        }
    }

    private func advance(
        _ id: RequestID, _ question: RunningQuestion, by piece: Decoder.Piece, logits: Logits, row: Int
    ) -> [Event] {
        do throws(ModelError) {
            let wasRead = question.isRead
            let reason = try question.advance(by: piece, logits: logits, row: row)
            // Who asks the same meanwhile need not read it, too.
            if wasRead, !question.isRead, reason == nil { keepTail(of: question) }
            return reason.map { [end(id, question, $0)] } ?? []
        } catch {
            services.logger.error("an answer failed", metadata: ["error": "\(error)"])
            return fail(id, Self.uncomputed(error))
        }
    }

    // All that is counted and kept is there before the client hears of the end.
    private func end(_ id: RequestID, _ question: RunningQuestion, _ reason: FinishReason) -> Event {
        services.totals.answered(read: question.progress.read, generated: question.progress.generated)
        keepTail(of: question)
        question.finish(reason)
        forget(id)
        return .ended(id)
    }

    private static func uncomputed(_ error: ModelError) -> EngineError {
        .internalFailure(message: "the answer could not be computed: \(error)")
    }
}
