// Which socket a client opens.
import CakedClient
import Testing

@Suite("Socket path") struct SocketPathTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var explicit: String?
        var environment: [String: String] = [:]
        var present: Set<String> = []
        var path: String
        var testDescription: String { path }
    }

    @Test(
        "the flag, the environment, the user's own daemon and the system's come in this order",
        arguments: [
            Case(path: "/run/caked/caked.sock"),
            Case(explicit: "/a", environment: ["CAKED_SOCKET": "/b", "XDG_RUNTIME_DIR": "/c"], path: "/a"),
            Case(environment: ["CAKED_SOCKET": "/b", "XDG_RUNTIME_DIR": "/c"], present: ["/c/caked.sock"], path: "/b"),
            Case(environment: ["XDG_RUNTIME_DIR": "/c"], present: ["/c/caked.sock"], path: "/c/caked.sock"),
            Case(environment: ["XDG_RUNTIME_DIR": "/c/"], present: ["/c/caked.sock"], path: "/c/caked.sock"),
            Case(environment: ["XDG_RUNTIME_DIR": "/c"], path: "/run/caked/caked.sock"),
            Case(
                explicit: "", environment: ["CAKED_SOCKET": "", "XDG_RUNTIME_DIR": ""], path: "/run/caked/caked.sock"),
        ])
    func resolves(_ it: Case) throws {
        let path = try SocketPath.resolve(
            explicit: it.explicit, environment: { it.environment[$0] }, exists: { it.present.contains($0) })
        #expect(path == it.path)
    }

    @Test("a path of 107 bytes is the longest; a longer one is an error that says so")
    func limit() throws {
        let longest = "/" + String(repeating: "a", count: 106)
        #expect(try SocketPath.resolve(explicit: longest) == longest)
        let tooLong = longest + "é"
        let error = ClientError.socketPathTooLong(path: tooLong, bytes: 109)
        #expect(throws: error) { try SocketPath.resolve(explicit: tooLong) }
        #expect(throws: error) { try SocketPath.resolve(environment: { $0 == "CAKED_SOCKET" ? tooLong : nil }) }
    }
}

@Suite("Time to live") struct TimeToLiveTests {
    @Test(
        "is a whole number with a unit",
        arguments: [("90s", 90), ("30m", 1800), ("12h", 43200), ("7d", 604_800), ("3650d", 315_360_000), ("007s", 7)])
    func reads(_ text: String, _ seconds: Int) {
        #expect(TimeToLive(text)?.seconds == seconds)
    }

    @Test(
        "is refused without a unit, at zero, beyond ten years and in any other form",
        arguments: [
            "", "s", "90", "0s", "-5m", "+5m", "1.5h", "5 m", "5w", "m5", "3651d", "99999999999999999999s", "５m", "5mm",
        ])
    func refuses(_ text: String) {
        #expect(TimeToLive(text) == nil)
    }
}
