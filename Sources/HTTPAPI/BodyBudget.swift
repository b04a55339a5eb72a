// The memory that bodies may take together: each is bounded, but hundreds of clients may each send one.

import Locks

/// Bytes of request bodies held in memory at once, and each user's share of them.
final class BodyBudget: Sendable {
    private struct State {
        var heldBytes = 0
        var heldBytesByUser: [UInt32: Int] = [:]
    }

    private let limitBytes: Int
    private let shareBytes: Int
    private let state = Mutex(State())

    /// A budget with room for at least one body of the largest size; one user may have half of it, or one such body.
    init(limitBytes: Int, largestBodyBytes: Int) {
        self.limitBytes = max(limitBytes, largestBodyBytes)
        shareBytes = max(limitBytes / 2, largestBodyBytes)
    }

    /// What one body of a user takes of it, given back when the lease goes.
    func lease(user: UInt32) -> Lease { Lease(budget: self, user: user) }

    private func take(_ count: Int, _ user: UInt32) throws(APIError) {
        let isOver = state.withLock { state in
            let own = state.heldBytesByUser[user, default: 0] + count
            guard state.heldBytes + count <= limitBytes, own <= shareBytes else { return true }
            state.heldBytes += count
            state.heldBytesByUser[user] = own
            return false
        }
        if isOver { throw .busy("too many large requests arrive at once; try again shortly", retryAfterSeconds: 5) }
    }

    private func giveBack(_ count: Int, _ user: UInt32) {
        state.withLock { state in
            state.heldBytes -= count
            let left = state.heldBytesByUser[user, default: 0] - count
            state.heldBytesByUser[user] = left > 0 ? left : nil
        }
    }

    /// One body's share.
    final class Lease: Sendable {
        private let budget: BodyBudget
        private let user: UInt32
        private let bytes = Mutex(0)

        fileprivate init(budget: BodyBudget, user: UInt32) { (self.budget, self.user) = (budget, user) }

        /// Makes room for more of the body, or refuses it with `busy`: the others will be gone in a moment.
        func grow(byBytes count: Int) throws(APIError) {
            try budget.take(count, user)
            bytes.withLock { $0 += count }
        }

        deinit { budget.giveBack(bytes.withLock { $0 }, user) }
    }
}
