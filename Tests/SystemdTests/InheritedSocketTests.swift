// Socket activation with real sockets at descriptors like systemd's, and the environment it comes by.

import Foundation
import Systemd
import Testing

/// Sockets at consecutive descriptors, far from those the test process uses.
final class PassedSockets {
    let first: Int32
    let count: Int32

    /// Places duplicates of `descriptors`, without close-on-exec, at `first` and on; closes the originals.
    init(_ descriptors: [Int32], from first: Int32) throws {
        self.first = first
        count = Int32(descriptors.count)
        for (index, descriptor) in descriptors.enumerated() {
            try #require(dup2(descriptor, first + Int32(index)) == first + Int32(index))
            close(descriptor)
        }
    }

    deinit { for descriptor in first..<first + count { close(descriptor) } }

    static func listening() throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        // An address of the family alone: the kernel picks an abstract name (autobind, unix(7)).
        let length = socklen_t(MemoryLayout<sa_family_t>.size)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
        }
        try #require(result == 0 && listen(descriptor, 1) == 0)
        return descriptor
    }
}

@Suite("Socket activation")
struct InheritedSocketTests {
    private func environment(_ variables: [String: String]) -> ServiceEnvironment {
        ServiceEnvironment(variables: variables, processID: 4711)
    }

    @Test("adopts the passed sockets by name and keeps them from children")
    func adopts() throws {
        let datagram = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        let passed = try PassedSockets([PassedSockets.listening(), datagram], from: 700)
        let sockets = try InheritedSocket.all(
            in: environment(["LISTEN_PID": "4711", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "api:log"]), from: passed.first)
        #expect(sockets.map(\.descriptor) == [700, 701])
        #expect(sockets.map(\.name) == ["api", "log"])
        #expect(sockets.map(\.isListeningUnixStream) == [true, false])
        for socket in sockets { #expect(fcntl(socket.descriptor, F_GETFD) & FD_CLOEXEC != 0) }
    }

    @Test("names sockets that came without names")
    func unnamed() throws {
        let passed = try PassedSockets([PassedSockets.listening()], from: 710)
        let sockets = try InheritedSocket.all(
            in: environment(["LISTEN_PID": "4711", "LISTEN_FDS": "1"]), from: passed.first)
        #expect(sockets.map(\.name) == ["unknown"])
    }

    @Test(
        "finds nothing that is not for this process",
        arguments: [
            [:], ["LISTEN_FDS": "1"], ["LISTEN_PID": "4711"], ["LISTEN_PID": "4712", "LISTEN_FDS": "1"],
            ["LISTEN_PID": "4711", "LISTEN_FDS": "0"],
        ])
    func nothing(variables: [String: String]) throws {
        #expect(try InheritedSocket.all(in: environment(variables)).isEmpty)
    }

    @Test(
        "refuses variables that make no sense",
        arguments: [
            ("LISTEN_PID", ["LISTEN_PID": "me", "LISTEN_FDS": "1"]),
            ("LISTEN_FDS", ["LISTEN_PID": "4711", "LISTEN_FDS": "-1"]),
            ("LISTEN_FDS", ["LISTEN_PID": "4711", "LISTEN_FDS": "+1"]),
            ("LISTEN_FDS", ["LISTEN_PID": "4711", "LISTEN_FDS": "65"]),
            ("LISTEN_FDNAMES", ["LISTEN_PID": "4711", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a:b"]),
        ])
    func refuses(name: String, variables: [String: String]) {
        let error = #expect(throws: SystemdError.self) { try InheritedSocket.all(in: environment(variables)) }
        guard case .invalidVariable(name, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("refuses a descriptor that is closed or no socket")
    func notASocket() throws {
        let variables = ["LISTEN_PID": "4711", "LISTEN_FDS": "1"]
        #expect(throws: SystemdError.notASocket(descriptor: 720)) {
            try InheritedSocket.all(in: environment(variables), from: 720)
        }
        let passed = try PassedSockets([unsafe open("/dev/null", O_RDONLY)], from: 721)
        #expect(throws: SystemdError.notASocket(descriptor: 721)) {
            try InheritedSocket.all(in: environment(variables), from: passed.first)
        }
    }
}

@Suite("The service environment")
struct ServiceEnvironmentTests {
    @Test("is taken from the process, which keeps none of it")
    func taken() async {
        // In a process of its own: the environment is the whole process's, and other tests run in this one.
        await #expect(processExitsWith: .success) {
            unsafe setenv("LISTEN_PID", "\(getpid())", 1)
            unsafe setenv("LISTEN_FDS", "0", 1)
            unsafe setenv("WATCHDOG_USEC", "30000000", 1)
            let environment = ServiceEnvironment.takeFromProcess()
            for name in ServiceEnvironment.names { #expect(unsafe getenv(name) == nil) }
            let sockets = try InheritedSocket.all(in: environment)
            #expect(sockets.isEmpty)
            let watchdog = try Watchdog(environment)
            #expect(watchdog?.timeoutMicroseconds == 30_000_000)
        }
    }
}
