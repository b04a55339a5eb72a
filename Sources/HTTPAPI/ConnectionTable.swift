// Whose connections there are, and which of them has to go where all places are taken: a pure value.

/// Shares the places among users: whoever has none gets one.
///
/// A connection that comes while all places are taken gets the place of another. That is the one that has gone longest
/// without a request, of the user who has the most; where those who have more than the newcomer have none without a
/// request, it is the newest of the user who has the most, if that is more than a fair share. Otherwise the newcomer
/// has most themselves, and is refused.
package struct ConnectionTable<ID: Hashable & Sendable>: Sendable {
    /// What becomes of a connection that arrives.
    package enum Verdict: Equatable, Sendable {
        case admitted
        /// It is served, and the other is to be closed.
        case admittedInstead(of: ID)
        case refused
    }

    private struct Connection {
        var user: UInt32
        var arrived: UInt64
        /// When its last request ended, or it arrived; nil while it has one.
        var idleSince: UInt64?
    }

    private let places: Int
    private var connections: [ID: Connection] = [:]
    private var held: [UInt32: Int] = [:]
    /// Counts what happens, which is all that the order needs.
    private var time: UInt64 = 0

    /// No connections, and room for so many.
    package init(places: Int) { self.places = places }

    /// Connections that have a place.
    package var count: Int { connections.count }

    /// A connection arrives, without a request.
    package mutating func arrive(_ id: ID, user: UInt32) -> Verdict {
        var verdict = Verdict.admitted
        if connections.count >= places {
            guard let other = replaced(by: user) else { return .refused }
            leave(other)
            verdict = .admittedInstead(of: other)
        }
        time += 1
        connections[id] = Connection(user: user, arrived: time, idleSince: time)
        held[user, default: 0] += 1
        return verdict
    }

    /// A request begins on a connection, or its answer has been written.
    package mutating func setBusy(_ id: ID, _ isBusy: Bool) {
        time += 1
        connections[id]?.idleSince = isBusy ? nil : time
    }

    /// A connection has ended; it may have lost its place before.
    package mutating func leave(_ id: ID) {
        guard let user = connections.removeValue(forKey: id)?.user, let count = held[user] else { return }
        held[user] = count > 1 ? count - 1 : nil
    }

    /// The connection whose place one more of `user` gets.
    private func replaced(by user: UInt32) -> ID? {
        let own = held[user] ?? 0
        let holders = held.filter { $0.key == user || $0.value > own }
            .sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        for holder in holders {
            let idle = connections.filter { $0.value.user == holder.key && $0.value.idleSince != nil }
            if let oldest = idle.min(by: { ($0.value.idleSince ?? 0) < ($1.value.idleSince ?? 0) }) {
                return oldest.key
            }
        }
        let users = held.count + (own == 0 ? 1 : 0)
        let share = max(1, places / users)
        guard let greatest = holders.first, greatest.key != user, greatest.value > share, own < share else {
            return nil
        }
        return connections.filter { $0.value.user == greatest.key }
            .max { $0.value.arrived < $1.value.arrived }?.key
    }
}
