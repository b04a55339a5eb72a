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
///
/// Between two steps places change hands: a question whose reader fell behind has none until it has caught up, and
/// where all are taken a user with fewer gets one of the user with most, whose latest question pauses. What is begun
/// stays in memory, so that is bounded, too, and no user may have more than a share of it.
package struct Scheduler: Sendable {
    /// Question steps between two document tiles while questions run.
    ///
    /// A tile takes up to a tenth of a second, a step a hundredth: with four, an answer slows down a few times while a
    /// document is read, and reading goes on.
    package static let stepsBetweenTiles = 4

    /// Questions that may be begun and have no place: enough for slow readers, and few beside the store's 512 readers.
    package static let maxPausedQuestions = 64

    /// Questions answered at the same time.
    package let maxRunningQuestions: Int
    /// Questions in memory: those answered, and as many again that have lost their places for a while.
    package let maxBegunQuestions: Int

    private(set) package var waitingQuestions: [RequestID] = []
    /// Those that take part in the next step.
    private(set) package var runningQuestions: [RequestID] = []
    /// Those that are begun and wait for their readers.
    private(set) package var parkedQuestions: [RequestID] = []
    /// Those that are begun and wait for a place.
    private(set) package var pausedQuestions: [RequestID] = []
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
        maxBegunQuestions = maxRunningQuestions + min(maxRunningQuestions, Self.maxPausedQuestions)
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
        parkedQuestions.removeAll { $0 == id }
        pausedQuestions.removeAll { $0 == id }
        waitingDocuments.removeAll { $0 == id }
        users[id] = nil
        if runningDocument == id { runningDocument = nil }
        if pausedDocument == id { pausedDocument = nil }
        if writtenDocument == id { writtenDocument = nil }
        return admit()
    }

    /// The question's reader fell behind, or caught up again: others have its place meanwhile.
    package mutating func setParked(_ id: RequestID, _ parked: Bool) -> [SchedulerAction] {
        guard parkedQuestions.contains(id) != parked else { return [] }
        if parked {
            guard runningQuestions.contains(id) || pausedQuestions.contains(id) else { return [] }
            runningQuestions.removeAll { $0 == id }
            pausedQuestions.removeAll { $0 == id }
            parkedQuestions.append(id)
        } else {
            parkedQuestions.removeAll { $0 == id }
            pausedQuestions.append(id)
        }
        return admit()
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
        waitingQuestions.isEmpty && begunQuestions == 0 && waitingDocuments.isEmpty && runningDocument == nil
    }

    /// Questions in memory.
    package var begunQuestions: Int { runningQuestions.count + parkedQuestions.count + pausedQuestions.count }

    /// The next unit of work.
    package mutating func next() -> Work {
        let documentIsDue = runningQuestions.isEmpty || stepsSinceTile >= Self.stepsBetweenTiles
        if let document = runningDocument, writtenDocument == nil, pausedDocument == nil, documentIsDue {
            stepsSinceTile = 0
            return .document(document)
        }
        guard !runningQuestions.isEmpty else { return .idle }
        stepsSinceTile = min(stepsSinceTile + 1, Self.stepsBetweenTiles)
        return .questions(runningQuestions)
    }

    private mutating func admit() -> [SchedulerAction] {
        var actions: [SchedulerAction] = []
        while let id = nextQuestion() {
            // In order of arrival.
            runningQuestions.insert(id, at: runningQuestions.firstIndex { $0 > id } ?? runningQuestions.endIndex)
            if let paused = pausedQuestions.firstIndex(of: id) {
                pausedQuestions.remove(at: paused)
            } else {
                waitingQuestions.removeAll { $0 == id }
                actions.append(.start(id))
            }
        }
        if runningDocument == nil, let id = turns.next(of: waitingDocuments, users: users) {
            waitingDocuments.removeAll { $0 == id }
            runningDocument = id
            actions.append(.start(id))
        }
        return actions
    }

    /// The question that gets a place now, which is taken from another if need be.
    private mutating func nextQuestion() -> RequestID? {
        guard !pausedQuestions.isEmpty || !waitingQuestions.isEmpty else { return nil }
        let running = count(runningQuestions)
        let most = running.max { ($0.value, $1.key) < ($1.value, $0.key) }
        let isFull = runningQuestions.count >= maxRunningQuestions
        func mayRun(_ id: RequestID) -> Bool {
            // Only where the other still has no fewer: else the two would take it from each other for ever.
            !isFull || running[user(of: id), default: 0] + 2 <= most?.value ?? 0
        }
        let begun = count(runningQuestions + parkedQuestions + pausedQuestions)
        let share = Admission.share(of: maxBegunQuestions)
        func mayBegin(_ id: RequestID) -> Bool {
            begunQuestions < maxBegunQuestions && begun[user(of: id), default: 0] < share
        }
        let candidates =
            pausedQuestions.sorted().filter(mayRun) + waitingQuestions.filter { mayRun($0) && mayBegin($0) }
        guard let id = turns.next(of: candidates, users: users) else { return nil }
        if isFull, let last = runningQuestions.lastIndex(where: { user(of: $0) == most?.key }) {
            pausedQuestions.append(runningQuestions.remove(at: last))
        }
        return id
    }

    private func user(of id: RequestID) -> UInt32 { users[id] ?? 0 }

    private func count(_ ids: [RequestID]) -> [UInt32: Int] {
        ids.reduce(into: [:]) { $0[user(of: $1), default: 0] += 1 }
    }
}

/// Whose turn it is: the user with a waiting request who had a place the longest time ago, each user's requests in
/// order.
private struct Turns: Sendable {
    /// More users than this, and the oldest turns are forgotten.
    private static let rememberedUsers = 1024

    /// The latest last.
    private var users: [UInt32] = []

    /// The request whose turn it is; nil where there is none.
    mutating func next(of waiting: [RequestID], users owners: [RequestID: UInt32]) -> RequestID? {
        let users = users
        func turn(_ id: RequestID) -> Int { users.firstIndex(of: owners[id] ?? 0) ?? -1 }
        guard let index = waiting.indices.min(by: { (turn(waiting[$0]), $0) < (turn(waiting[$1]), $1) }) else {
            return nil
        }
        let user = owners[waiting[index]] ?? 0
        self.users = users.filter { $0 != user }.suffix(Self.rememberedUsers - 1) + [user]
        return waiting[index]
    }
}
