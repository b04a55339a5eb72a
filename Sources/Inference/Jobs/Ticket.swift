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

/// One request's place; giving it up is letting go of it.
package final class Ticket: Sendable {
    private let admission: Admission
    /// Requests that were inside before this one.
    package let ahead: Int

    fileprivate init(admission: Admission, ahead: Int) {
        self.admission = admission
        self.ahead = ahead
    }

    deinit { admission.leave() }
}
