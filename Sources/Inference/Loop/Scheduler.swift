// Decides what the compute threads do next: a pure value, fed with events, asked for work.

/// Identifies one request from its arrival to its end.
package struct RequestID: Hashable, Comparable, Sendable {
    /// Counts up from the start of the process, so a smaller one came earlier.
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }

    package static func < (a: RequestID, b: RequestID) -> Bool { a.number < b.number }
}

/// One unit of work, short enough that nothing else waits long for it.
package enum Work: Equatable, Sendable {
    /// One batched step of these questions, in order of arrival: each reads a piece of its prompt or decodes a token.
    case questions([RequestID])
    /// One tile of this document's prefill.
    case document(RequestID)
    /// Nothing until the next event.
    case idle
}

/// What the owner of the requests has to do besides work.
package enum SchedulerAction: Equatable, Sendable {
    /// The request got a place: prepare its state.
    case start(RequestID)
    /// The request cannot be served any more: fail it with `shuttingDown`.
    case reject(RequestID)
}

/// Questions go first and share every step; a document gets a tile after a few steps, so neither starves the other.
package struct Scheduler: Sendable {
    /// Question steps between two document tiles while questions run.
    ///
    /// A tile takes up to a tenth of a second, a step a hundredth: with four, an answer slows down a few times while a
    /// document is read, and reading goes on.
    package static let stepsBetweenTiles = 4

    /// Questions answered at the same time.
    package let maxRunningQuestions: Int

    private(set) package var waitingQuestions: [RequestID] = []
    private(set) package var runningQuestions: [RequestID] = []
    private(set) package var parkedQuestions: Set<RequestID> = []
    private(set) package var waitingDocuments: [RequestID] = []
    private(set) package var runningDocument: RequestID?
    /// The running document once it is read: another thread writes it.
    private(set) package var writtenDocument: RequestID?
    /// The running document while another thread has it, to write a checkpoint or to go on from one.
    private(set) package var pausedDocument: RequestID?
    private(set) package var isDraining = false
    /// Whose request each waiting one is, and who had a place last: users take turns.
    private var users: [RequestID: UInt32] = [:]
    private var turns = Turns()
    private var stepsSinceTile = Scheduler.stepsBetweenTiles

    package init(maxRunningQuestions: Int) {
        precondition(maxRunningQuestions > 0)
        self.maxRunningQuestions = maxRunningQuestions
    }

    /// A question arrived, ready to be read.
    package mutating func addQuestion(_ id: RequestID, user: UInt32 = 0) -> [SchedulerAction] {
        guard !isDraining else { return [.reject(id)] }
        users[id] = user
        waitingQuestions.append(id)
        return admit()
    }

    /// A document arrived, ready to be read.
    package mutating func addDocument(_ id: RequestID, user: UInt32 = 0) -> [SchedulerAction] {
        guard !isDraining else { return [.reject(id)] }
        users[id] = user
        waitingDocuments.append(id)
        return admit()
    }

    /// The request ended, in whatever way; its place goes to the next.
    package mutating func remove(_ id: RequestID) -> [SchedulerAction] {
        waitingQuestions.removeAll { $0 == id }
        runningQuestions.removeAll { $0 == id }
        parkedQuestions.remove(id)
        waitingDocuments.removeAll { $0 == id }
        users[id] = nil
        if runningDocument == id { runningDocument = nil }
        if pausedDocument == id { pausedDocument = nil }
        if writtenDocument == id { writtenDocument = nil }
        return admit()
    }

    /// The question's reader fell behind, or caught up again.
    package mutating func setParked(_ id: RequestID, _ parked: Bool) {
        guard runningQuestions.contains(id) else { return }
        if parked { parkedQuestions.insert(id) } else { parkedQuestions.remove(id) }
    }

    /// The document is read and on its way into the store.
    ///
    /// It keeps its place until it is there: memory holds one finished cache at a time, and whoever sends the same text
    /// meanwhile finds it stored.
    package mutating func setWritten(_ id: RequestID) {
        if runningDocument == id { writtenDocument = id }
    }

    /// Another thread has the running document, or gave it back.
    package mutating func setPaused(_ id: RequestID, _ paused: Bool) {
        guard runningDocument == id else { return }
        pausedDocument = paused ? id : nil
    }

    /// From now on only what already runs is finished.
    package mutating func drain() -> [SchedulerAction] {
        isDraining = true
        let rejected = waitingQuestions + waitingDocuments
        waitingQuestions = []
        waitingDocuments = []
        return rejected.sorted().map { .reject($0) }
    }

    /// Whether no request is left.
    package var isEmpty: Bool {
        waitingQuestions.isEmpty && runningQuestions.isEmpty && waitingDocuments.isEmpty && runningDocument == nil
    }

    /// The next unit of work.
    package mutating func next() -> Work {
        let ready = runningQuestions.filter { !parkedQuestions.contains($0) }
        let documentIsDue = ready.isEmpty || stepsSinceTile >= Self.stepsBetweenTiles
        if let document = runningDocument, writtenDocument == nil, pausedDocument == nil, documentIsDue {
            stepsSinceTile = 0
            return .document(document)
        }
        guard !ready.isEmpty else { return .idle }
        stepsSinceTile = min(stepsSinceTile + 1, Self.stepsBetweenTiles)
        return .questions(ready)
    }

    private mutating func admit() -> [SchedulerAction] {
        var actions: [SchedulerAction] = []
        while runningQuestions.count < maxRunningQuestions, !waitingQuestions.isEmpty {
            let id = turns.next(of: &waitingQuestions, users: users)
            runningQuestions.append(id)
            actions.append(.start(id))
        }
        if runningDocument == nil, !waitingDocuments.isEmpty {
            let id = turns.next(of: &waitingDocuments, users: users)
            runningDocument = id
            actions.append(.start(id))
        }
        return actions
    }
}

/// Whose turn it is: the user with a waiting request who had a place the longest time ago, each user's requests in
/// order.
private struct Turns: Sendable {
    /// More users than this, and the oldest turns are forgotten.
    private static let rememberedUsers = 1024

    /// The latest last.
    private var users: [UInt32] = []

    mutating func next(of waiting: inout [RequestID], users owners: [RequestID: UInt32]) -> RequestID {
        let users = users
        func turn(_ id: RequestID) -> Int { users.firstIndex(of: owners[id] ?? 0) ?? -1 }
        let index = waiting.indices.min { (turn(waiting[$0]), $0) < (turn(waiting[$1]), $1) } ?? 0
        let id = waiting.remove(at: index)
        let user = owners[id] ?? 0
        self.users = users.filter { $0 != user }.suffix(Self.rememberedUsers - 1) + [user]
        return id
    }
}
