// Messages to the service manager, received by real sockets that stand for it.

import Foundation
import Systemd
import Testing

/// A bound datagram socket that receives as systemd's would.
final class NotifyListener {
    let descriptor: Int32

    /// Binds a path, or a name in the abstract namespace after "@".
    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
        }
        try #require(result == 0, "bind: \(errno)")
    }

    deinit { close(descriptor) }

    /// The next datagram, nil when none waits.
    func receive() -> String? {
        var buffer = [UInt8](repeating: 0, count: 8192)
        let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
    }
}

@Suite("A message to the service manager")
struct ServiceNotifierTests {
    private func environment(_ path: String) -> ServiceEnvironment {
        ServiceEnvironment(variables: ["NOTIFY_SOCKET": path], processID: getpid())
    }

    private func temporaryPath() -> String {
        FileManager.default.temporaryDirectory.appendingPathComponent("caked-\(UUID().uuidString).sock").path
    }

    @Test("reaches a socket at a path")
    func path() throws {
        let path = temporaryPath()
        defer { unsafe unlink(path) }
        let listener = try NotifyListener(path)
        let notifier = try #require(try ServiceNotifier(environment(path)))
        try notifier.send(.ready, .status("3 documents"))
        #expect(listener.receive() == "READY=1\nSTATUS=3 documents")
        #expect(listener.receive() == nil)
    }

    @Test("reaches an abstract socket")
    func abstract() throws {
        let name = "@caked-test-\(UUID().uuidString)"
        let listener = try NotifyListener(name)
        let notifier = try #require(try ServiceNotifier(environment(name)))
        try notifier.send(.stopping)
        #expect(listener.receive() == "STOPPING=1")
    }

    @Test(
        "is spelled as sd_notify(3) has it",
        arguments: [
            (ServiceState.ready, "READY=1"), (.stopping, "STOPPING=1"), (.watchdog, "WATCHDOG=1"),
            (.extendTimeout(microseconds: 15_000_000), "EXTEND_TIMEOUT_USEC=15000000"),
            (.status("mapping “tiny”"), "STATUS=mapping “tiny”"),
            (.status("two\nREADY=1\r\nlines"), "STATUS=two READY=1 lines"),
        ])
    func spelling(state: ServiceState, expected: String) throws {
        let name = "@caked-test-\(UUID().uuidString)"
        let listener = try NotifyListener(name)
        try #require(try ServiceNotifier(environment(name))).send(state)
        #expect(listener.receive() == expected)
    }

    @Test("is not sent when nobody wants it")
    func unset() throws {
        #expect(try ServiceNotifier(ServiceEnvironment(variables: [:], processID: 1)) == nil)
    }

    @Test(
        "needs an absolute path or an abstract name",
        arguments: [
            "", "@", "/", "relative.sock", "vsock:2:9999", "/" + String(repeating: "x", count: 107),
            "@" + String(repeating: "x", count: 108),
        ])
    func invalid(path: String) {
        let error = #expect(throws: SystemdError.self) { try ServiceNotifier(environment(path)) }
        guard case .invalidVariable("NOTIFY_SOCKET", path, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("to a manager that is not there is an error with the system's reason")
    func nobody() {
        let path = temporaryPath()
        #expect(throws: SystemdError.send(errno: ENOENT)) { try ServiceNotifier(environment(path)) }
    }

    @Test("to a manager that went away is an error, not a signal")
    func gone() throws {
        let name = "@caked-test-\(UUID().uuidString)"
        var listener: NotifyListener? = try NotifyListener(name)
        #expect(listener?.receive() == nil)
        let notifier = try #require(try ServiceNotifier(environment(name)))
        listener = nil
        #expect(throws: SystemdError.send(errno: ECONNREFUSED)) { try notifier.send(.watchdog) }
    }

    @Test("longer than systemd reads is refused whole")
    func tooLong() throws {
        let name = "@caked-test-\(UUID().uuidString)"
        let listener = try NotifyListener(name)
        let notifier = try #require(try ServiceNotifier(environment(name)))
        let longest = String(repeating: "x", count: 4096 - "STATUS=".utf8.count)
        try notifier.send(.status(longest))
        #expect(listener.receive() == "STATUS=" + longest)
        #expect(throws: SystemdError.messageTooLong(bytes: 4097, limitBytes: 4096)) {
            try notifier.send(.status(longest + "x"))
        }
        #expect(listener.receive() == nil)
    }
}
