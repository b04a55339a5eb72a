// Who gets a place where all are taken, and whose.

import HTTPAPI
import Testing

@Suite struct ConnectionTableTests {
    /// A connection of a user, and whether a request is on it.
    struct Held: Sendable {
        var user: UInt32
        var isBusy = false
    }

    static func idle(_ users: UInt32...) -> [Held] { users.map { Held(user: $0) } }
    static func busy(_ users: UInt32...) -> [Held] { users.map { Held(user: $0, isBusy: true) } }

    @Test(
        "a connection that comes while all places are taken gets the one that a user with more can miss best",
        arguments: [
            // Room for all.
            (idle(1, 1, 1), 1, .admitted),
            // The one of the greatest holder that has gone longest without a request, the newcomer's own if need be.
            (idle(1, 1, 1, 1), 1, .admittedInstead(of: 0)),
            (idle(1, 1, 1, 1), 2, .admittedInstead(of: 0)),
            (busy(1) + idle(1, 1, 1), 2, .admittedInstead(of: 1)),
            (idle(2) + idle(1, 1, 1), 2, .admittedInstead(of: 1)),
            (idle(2) + idle(1, 1, 1), 3, .admittedInstead(of: 1)),
            (busy(1, 1) + idle(2, 2), 3, .admittedInstead(of: 2)),
            // Nobody loses one to a user who has as many.
            (idle(1, 2, 3, 4), 1, .admittedInstead(of: 0)),
            (busy(1) + idle(2, 3, 4), 1, .refused),
            // Requests end for a user without connections where another has more than a fair share of them.
            (busy(1, 1, 1, 1), 2, .admittedInstead(of: 3)),
            (busy(1, 1, 1) + busy(2), 2, .admittedInstead(of: 2)),
            (busy(1, 1) + busy(2, 2), 2, .refused),
            (busy(1, 1) + busy(2, 2), 3, .admittedInstead(of: 1)),
            (busy(1, 1, 1, 1), 1, .refused),
            (busy(1, 2, 3, 4), 5, .refused),
        ] as [([Held], UInt32, ConnectionTable<Int>.Verdict)])
    func arrivals(held: [Held], newcomer: UInt32, verdict: ConnectionTable<Int>.Verdict) {
        var table = ConnectionTable<Int>(places: 4)
        for (id, connection) in held.enumerated() {
            #expect(table.arrive(id, user: connection.user) == .admitted)
            table.setBusy(id, connection.isBusy)
        }
        #expect(table.arrive(99, user: newcomer) == verdict)
        #expect(table.count == (verdict == .admitted ? held.count + 1 : held.count))
    }

    @Test("an answer's end makes a connection the one that has been used last, and its close frees its place")
    func order() {
        var table = ConnectionTable<Int>(places: 3)
        for id in 0..<3 { #expect(table.arrive(id, user: 1) == .admitted) }
        table.setBusy(0, true)
        table.setBusy(0, false)
        #expect(table.arrive(3, user: 2) == .admittedInstead(of: 1))
        table.leave(1)
        #expect(table.count == 3)
        table.leave(0)
        table.leave(0)
        #expect(table.count == 2)
        #expect(table.arrive(4, user: 3) == .admitted)
    }

    @Test("over random arrivals no user without a connection is ever refused while another holds two")
    func nobodyIsLockedOut() {
        var random = SystemRandomNumberGenerator()
        var table = ConnectionTable<Int>(places: 8)
        var held: [Int: UInt32] = [:]
        for id in 0..<20_000 {
            let user = UInt32.random(in: 0..<6, using: &random)
            let counts = Dictionary(grouping: held.values) { $0 }.mapValues(\.count)
            switch table.arrive(id, user: user) {
            case .admitted: held[id] = user
            case .admittedInstead(let other):
                #expect(held.removeValue(forKey: other) != nil)
                held[id] = user
            case .refused: #expect(counts[user] != nil || counts.values.allSatisfy { $0 == 1 })
            }
            #expect(table.count == held.count && held.count <= 8)
            for id in held.keys where Bool.random(using: &random) { table.setBusy(id, Bool.random(using: &random)) }
            if let gone = held.keys.randomElement(using: &random), Int.random(in: 0..<3, using: &random) == 0 {
                table.leave(gone)
                held[gone] = nil
            }
        }
    }
}
