// Places in the engine: bounded, and free again before the client hears that it is done.

import Inference
import Testing

@Suite struct AdmissionTests {
    @Test("there are as many places as the limit says, and each is free again once, however it is given up")
    func places() throws {
        let admission = Admission(limit: 2)
        var first = admission.ticket(user: 1)
        let second = try #require(admission.ticket(user: 1))
        #expect(first?.ahead == 0)
        #expect(second.ahead == 1)
        #expect(admission.ticket(user: 1) == nil)
        #expect(admission.count == 2)
        first?.giveUp()
        first?.giveUp()
        #expect(admission.count == 1)
        let third = try #require(admission.ticket(user: 1))
        first = nil  // has nothing left to give up
        #expect(admission.count == 2)
        withExtendedLifetime((second, third)) {}
    }

    @Test("a user alone may have every place; once there are others, three quarters of them")
    func shares() throws {
        let admission = Admission(limit: 8)
        var tickets = (0..<8).map { _ in admission.ticket(user: 1) }
        #expect(tickets.allSatisfy { $0 != nil })
        #expect(admission.ticket(user: 2) == nil)
        tickets = []
        tickets = (0..<8).map { _ in admission.ticket(user: 1) }
        #expect(tickets.count { $0 != nil } == 6)
        let others = (0..<3).map { _ in admission.ticket(user: 2) }
        #expect(others.count { $0 != nil } == 2)
        #expect(admission.count == 8)
        // What was promised before a restart is kept, whatever the bounds.
        let returned = admission.returningTicket(user: 1)
        #expect(admission.count == 9)
        withExtendedLifetime((tickets, others, returned)) {}
        #expect([0, 1, 2, 3, 8].map(Admission.share) == [0, 1, 1, 2, 6])
    }
}
