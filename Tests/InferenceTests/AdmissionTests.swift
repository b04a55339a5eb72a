// Places in the engine: bounded, and free again before the client hears that it is done.

import Inference
import Testing

@Suite struct AdmissionTests {
    @Test("there are as many places as the limit says, and each is free again once, however it is given up")
    func places() throws {
        let admission = Admission(limit: 2)
        var first = admission.ticket()
        let second = try #require(admission.ticket())
        #expect(first?.ahead == 0)
        #expect(second.ahead == 1)
        #expect(admission.ticket() == nil)
        #expect(admission.count == 2)
        first?.giveUp()
        first?.giveUp()
        #expect(admission.count == 1)
        let third = try #require(admission.ticket())
        first = nil  // has nothing left to give up
        #expect(admission.count == 2)
        withExtendedLifetime((second, third)) {}
    }
}
