// How long a body is waited for.

import HTTPAPI
import NIOCore
import Testing

@Suite struct BodyPaceTests {
    func time(_ second: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(second) }

    @Test("a stalled body is waited for as long as the grace, a steady one for ever, and a dripping one hardly longer")
    func patience() {
        var pace = BodyPace(graceSeconds: 10, bytesPerSecond: 100)
        #expect(pace.deadline == nil)
        pace.wait(now: time(0))
        #expect(pace.deadline == time(10))
        // Fast bytes earn no more than the grace.
        pace.take(bytes: 1_000_000, now: time(1))
        #expect(pace.deadline == time(11))
        for second in Int64(2)...100 {
            pace.take(bytes: 100, now: time(second))
            #expect(pace.deadline == time(second + 10))
        }
        for second in Int64(101)...109 { pace.take(bytes: 1, now: time(second)) }
        #expect(pace.deadline.map { $0 > time(110) && $0 < time(111) } == true)
    }

    @Test("what the server takes itself costs the client nothing")
    func rest() {
        var pace = BodyPace(graceSeconds: 10, bytesPerSecond: 100)
        pace.wait(now: time(0))
        pace.take(bytes: 100, now: time(4))
        pace.rest(now: time(4))
        #expect(pace.deadline == nil)
        pace.wait(now: time(1000))
        #expect(pace.deadline == time(1007))
        pace.wait(now: time(1001))
        #expect(pace.deadline == time(1007), "waiting goes on")
    }
}
