// The watchdog: whose it is, how often it is asked, and that it stays silent when the engine stands still.

import Systemd
import Testing

@Suite("The watchdog")
struct WatchdogTests {
    @Test(
        "is this process's, or nobody's",
        arguments: [
            ([:], nil), (["WATCHDOG_USEC": "30000000"], 30_000_000),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "4711"], 30_000_000),
            (["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "4712"], nil), (["WATCHDOG_PID": "4711"], nil),
        ] as [([String: String], UInt64?)])
    func owner(variables: [String: String], timeoutMicroseconds: UInt64?) throws {
        let watchdog = try Watchdog(ServiceEnvironment(variables: variables, processID: 4711))
        #expect(watchdog?.timeoutMicroseconds == timeoutMicroseconds)
    }

    @Test("refuses a timeout that makes no sense", arguments: ["0", "-5", "30s", "", "1"])
    func invalid(value: String) {
        #expect(throws: SystemdError.self) {
            try Watchdog(ServiceEnvironment(variables: ["WATCHDOG_USEC": value], processID: 4711))
        }
    }

    @Test("pings twice in a timeout while the heartbeat moves, and not when it stands")
    func pings() throws {
        let environment = ServiceEnvironment(variables: ["WATCHDOG_USEC": "30000000"], processID: 4711)
        var watchdog = try #require(try Watchdog(environment))
        #expect(watchdog.intervalMicroseconds == 15_000_000)
        #expect(
            [0, 1, 1, 1, 7, 7].map { watchdog.shouldPing(heartbeat: $0) } == [true, true, false, false, true, false])
    }
}
