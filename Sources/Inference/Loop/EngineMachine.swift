// The life of every request from its arrival to its end: a pure value, told what happened, that says what to do.

/// What a request is before it has a place, while it has one, and on whose thread.
///
/// Questions are begun when they get a place and stepped until they end. A document is opened, read, checked where that
/// was asked for, and written; now and then it is in the clerk's hands, to be taken to its checkpoint or to write one.
/// Whose turn it is, `Scheduler` knows.
package struct EngineMachine: Sendable {
    /// What the store knows of a document whose turn has come.
    package enum Opening: Equatable, Sendable {
        /// It has to be read from its beginning.
        case fresh
        /// An earlier daemon left a checkpoint.
        case checkpointed
    }

    /// What happened.
    package enum Event: Equatable, Sendable {
        /// A question arrived, ready to be read.
        case question(RequestID, user: UInt32)
        /// A document arrived, ready to be read.
        case document(RequestID, user: UInt32)
        /// The document is not stored yet, and there is room for it.
        case opened(RequestID, Opening)
        /// A checkpoint of the document's reading is due.
        case checkpointDue(RequestID)
        /// The clerk gave the reading back: it is at its checkpoint, or has written one.
        case returned(RequestID)
        /// The last tile of the document is read; whether its cache is to be checked.
        case read(RequestID, isChecked: Bool)
        /// The check has come to its end.
        case checked(RequestID)
        /// The question's reader fell behind, or caught up again.
        case parked(RequestID, Bool)
        /// Nobody waits for the request any more.
        case abandoned(RequestID)
        /// The request ended, in whatever way, and its clients have been told.
        case ended(RequestID)
        /// Take nothing new, finish what runs.
        case drain
        /// Fail everything that is left, now.
        case abort
    }

    /// What is to be done, in order, before any work.
    package enum Action: Equatable, Sendable {
        /// The question has a place: open its document and give it a sequence.
        case begin(RequestID)
        /// The document has a place: look whether it is stored by now, or begun.
        case open(RequestID)
        /// Hand the reading to the clerk, who takes it to its checkpoint.
        case restore(RequestID)
        /// Hand the reading to the clerk, who writes a checkpoint of it.
        case checkpoint(RequestID)
        /// Write a checkpoint at the next border of two layers: the daemon is about to stop.
        case hurry(RequestID)
        /// Hand the cache to the clerk, who writes it to the store.
        case write(RequestID)
        /// Fail the request with `shuttingDown`.
        case reject(RequestID)
        /// Let go of a request that nobody waits for.
        case drop(RequestID)
    }

    /// The next unit of work.
    package enum Work: Equatable, Sendable {
        /// One batched step of these questions.
        case questions([RequestID])
        /// One tile of this document's prefill.
        case read(RequestID)
        /// One piece of the check of this document's cache.
        case check(RequestID)
        /// Nothing until the next event.
        case idle
        /// Nothing ever again: everything has ended, and nothing new is taken.
        case stop
    }

    private enum Phase { case waiting, opening, restoring, reading, checkpointing, checking, writing }

    private var scheduler: Scheduler
    /// Where each document is; no other request is in it.
    private var documents: [RequestID: Phase] = [:]
    private var questions: Set<RequestID> = []
    private var isDraining = false

    package init(maxRunningQuestions: Int) { scheduler = Scheduler(maxRunningQuestions: maxRunningQuestions) }

    /// Questions that are begun, and whether a document is.
    package var running: (questions: Int, document: Bool) {
        (scheduler.begunQuestions, scheduler.runningDocument != nil)
    }

    /// Takes an event; of requests that have ended it takes none.
    package mutating func handle(_ event: Event) -> [Action] {
        switch event {
        case .question(let id, let user):
            questions.insert(id)
            return actions(scheduler.addQuestion(id, user: user))
        case .document(let id, let user):
            documents[id] = .waiting
            return actions(scheduler.addDocument(id, user: user))
        case .opened(let id, let opening): return opened(id, opening)
        case .checkpointDue(let id):
            guard move(id, from: .reading, to: .checkpointing) else { return [] }
            return [.checkpoint(id)]
        case .returned(let id):
            guard move(id, from: .restoring, to: .reading) || move(id, from: .checkpointing, to: .reading) else {
                return []
            }
            return []
        case .read(let id, let isChecked):
            guard isChecked else { return write(id, from: .reading) }
            _ = move(id, from: .reading, to: .checking)
            return []
        case .checked(let id): return write(id, from: .checking)
        case .parked(let id, let isParked): return actions(scheduler.setParked(id, isParked))
        case .abandoned(let id):
            // One that is being written is the clerk's, who notices by himself.
            guard knows(id), documents[id] != .writing else { return [] }
            return [.drop(id)] + end(id)
        case .ended(let id): return end(id)
        case .drain: return drain()
        case .abort: return abort()
        }
    }

    /// The next unit of work.
    package mutating func next() -> Work {
        switch scheduler.next() {
        case .questions(let ids): .questions(ids)
        case .document(let id) where documents[id] == .reading: .read(id)
        case .document(let id) where documents[id] == .checking: .check(id)
        // One that is only being opened: what the store says of it comes first.
        case .document: .idle
        case .idle: isDraining && scheduler.isEmpty ? .stop : .idle
        }
    }

    private func knows(_ id: RequestID) -> Bool { questions.contains(id) || documents[id] != nil }

    private mutating func opened(_ id: RequestID, _ opening: Opening) -> [Action] {
        guard documents[id] == .opening else { return [] }
        documents[id] = opening == .fresh ? .reading : .restoring
        scheduler.setPaused(id, opening == .checkpointed)
        return (isDraining ? [.hurry(id)] : []) + (opening == .checkpointed ? [.restore(id)] : [])
    }

    /// Takes a document from one phase to the next; false, and nothing changes, when it was in another.
    private mutating func move(_ id: RequestID, from: Phase, to: Phase) -> Bool {
        guard documents[id] == from else { return false }
        documents[id] = to
        scheduler.setPaused(id, to == .checkpointing)
        return true
    }

    private mutating func write(_ id: RequestID, from phase: Phase) -> [Action] {
        guard move(id, from: phase, to: .writing) else { return [] }
        scheduler.setWritten(id)
        return [.write(id)]
    }

    private mutating func drain() -> [Action] {
        isDraining = true
        // What is being read cannot be finished in time, perhaps; what was read is kept.
        let hurried = documents.filter { [.restoring, .reading, .checkpointing].contains($0.value) }.keys.sorted()
        return hurried.map { .hurry($0) } + actions(scheduler.drain())
    }

    private mutating func abort() -> [Action] {
        var actions = drain().filter { if case .hurry = $0 { false } else { true } }
        // A document that is being written is told by the clerk how that ended.
        let left = (Array(questions) + documents.filter { $0.value != .writing }.map(\.key)).sorted()
        for id in left where knows(id) { actions += [.reject(id)] + end(id) }
        return actions
    }

    /// Forgets a request, and gives its place to the next.
    private mutating func end(_ id: RequestID) -> [Action] {
        guard knows(id) else { return [] }
        questions.remove(id)
        documents[id] = nil
        return actions(scheduler.remove(id))
    }

    private mutating func actions(_ scheduled: [SchedulerAction]) -> [Action] {
        var actions: [Action] = []
        for action in scheduled {
            switch action {
            case .start(let id) where documents[id] == nil: actions.append(.begin(id))
            case .start(let id):
                documents[id] = .opening
                actions.append(.open(id))
            case .reject(let id):
                questions.remove(id)
                documents[id] = nil
                actions.append(.reject(id))
            }
        }
        return actions
    }
}
