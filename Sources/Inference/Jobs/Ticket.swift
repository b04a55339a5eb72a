// Counts the requests inside the engine, so that queues stay bounded.

import Synchronization

/// How many requests of a kind may be inside at once, waiting ones included.
package final class Admission: Sendable {
    private let limit: Int
    private let inside = Atomic<Int>(0)

    package init(limit: Int) { self.limit = limit }

    /// Requests inside.
    package var count: Int { inside.load(ordering: .relaxed) }

    /// A place, or nil when all are taken.
    package func ticket() -> Ticket? {
        let before = inside.add(1, ordering: .relaxed).oldValue
        guard before < limit else {
            inside.subtract(1, ordering: .relaxed)
            return nil
        }
        return Ticket(admission: self, ahead: before)
    }

    fileprivate func leave() { inside.subtract(1, ordering: .relaxed) }
}

/// One request's place; letting go of it gives it up at the latest.
package final class Ticket: Sendable {
    private let admission: Admission
    private let isHeld = Atomic<Bool>(true)
    /// Requests that were inside before this one.
    package let ahead: Int

    fileprivate init(admission: Admission, ahead: Int) {
        self.admission = admission
        self.ahead = ahead
    }

    /// Gives the place up before the client hears that it is done: it may come back at once.
    package func giveUp() {
        if isHeld.exchange(false, ordering: .relaxed) { admission.leave() }
    }

    deinit { giveUp() }
}
