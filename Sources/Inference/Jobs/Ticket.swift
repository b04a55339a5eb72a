// Counts the requests inside the engine, so that queues stay bounded and no user takes all of their places.

import Locks

import struct Synchronization.Atomic

/// How many requests of a kind may be inside at once, waiting ones included.
package final class Admission: Sendable {
    private struct State {
        /// Requests inside, by user.
        var inside: [UInt32: Int] = [:]
        /// Who came first, and whether anybody else ever did: alone, a user may have every place.
        var firstUser: UInt32?
        var isShared = false

        var count: Int { inside.values.reduce(0, +) }
    }

    /// The places one user may have where there are several: the rest are for whoever else comes.
    package static func share(of limit: Int) -> Int { limit <= 1 ? limit : min(limit - 1, (limit * 3 + 3) / 4) }

    private let limit: Int
    private let share: Int
    private let state = Mutex(State())

    package init(limit: Int) {
        self.limit = limit
        share = Self.share(of: limit)
    }

    /// Requests inside.
    package var count: Int { state.withLock(\.count) }

    /// A place, or nil when all are taken, or the user's share of them.
    package func ticket(user: UInt32) -> Ticket? {
        state.withLock { state in
            let first = state.firstUser ?? user
            state.firstUser = first
            if user != first { state.isShared = true }
            let ahead = state.count
            guard ahead < limit, state.inside[user, default: 0] < (state.isShared ? share : limit) else { return nil }
            state.inside[user, default: 0] += 1
            return Ticket(admission: self, user: user, ahead: ahead)
        }
    }

    /// A place beyond all bounds, for what was admitted before a restart.
    package func returningTicket(user: UInt32) -> Ticket {
        state.withLock { state in
            let ahead = state.count
            state.inside[user, default: 0] += 1
            return Ticket(admission: self, user: user, ahead: ahead)
        }
    }

    fileprivate func leave(_ user: UInt32) {
        state.withLock { state in
            let left = state.inside[user, default: 0] - 1
            state.inside[user] = left > 0 ? left : nil
        }
    }
}

/// One request's place; letting go of it gives it up at the latest.
package final class Ticket: Sendable {
    private let admission: Admission
    private let user: UInt32
    private let isHeld = Atomic<Bool>(true)
    /// Requests that were inside before this one.
    package let ahead: Int

    fileprivate init(admission: Admission, user: UInt32, ahead: Int) {
        self.admission = admission
        self.user = user
        self.ahead = ahead
    }

    /// Gives the place up before the client hears that it is done: it may come back at once.
    package func giveUp() {
        if isHeld.exchange(false, ordering: .relaxed) { admission.leave(user) }
    }

    deinit { giveUp() }
}
