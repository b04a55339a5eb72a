// The memory that bodies may take together: each is bounded, but hundreds of clients may each send one.

import Synchronization

/// Bytes of request bodies held in memory at once.
final class BodyBudget: Sendable {
    private let limitBytes: Int
    private let heldBytes = Atomic<Int>(0)

    init(limitBytes: Int) { self.limitBytes = limitBytes }

    /// What one body takes of it, given back when the lease goes.
    func lease() -> Lease { Lease(budget: self) }

    /// One body's share.
    final class Lease: Sendable {
        private let budget: BodyBudget
        private let bytes = Atomic<Int>(0)

        fileprivate init(budget: BodyBudget) { self.budget = budget }

        /// Makes room for more of the body, or refuses it with `busy`: the others will be gone in a moment.
        func grow(byBytes count: Int) throws(APIError) {
            bytes.add(count, ordering: .relaxed)
            let held = budget.heldBytes.add(count, ordering: .relaxed).newValue
            guard held <= budget.limitBytes else {
                throw .busy("too many large requests arrive at once; try again shortly", retryAfterSeconds: 5)
            }
        }

        deinit { budget.heldBytes.subtract(bytes.load(ordering: .relaxed), ordering: .relaxed) }
    }
}
