import Foundation
import Glibc
import Testing

/// A Unix socket of a test's own.
struct UnixSocket {
    enum Kind { case listener, datagrams, client }

    let descriptor: Int32

    init(_ kind: Kind, _ path: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let type = kind == .datagrams ? SOCK_DGRAM : SOCK_STREAM
        let descriptor = socket(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                let length = socklen_t(MemoryLayout<sockaddr_un>.size)
                return kind == .client ? unsafe connect(descriptor, $0, length) : unsafe bind(descriptor, $0, length)
            }
        }
        try #require(result == 0)
        if kind == .listener { try #require(listen(descriptor, 16) == 0) }
        if kind == .client {
            var limit = timeval(tv_sec: 60, tv_usec: 0)
            let bytes = socklen_t(MemoryLayout<timeval>.size)
            try #require(unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, bytes) == 0)
        }
        self.descriptor = descriptor
    }

    /// What comes next; nil at the end, and where nothing waits.
    func receive(_ flags: Int32 = 0) -> String? {
        var bytes = [UInt8](repeating: 0, count: 8192)
        let count = unsafe recv(descriptor, &bytes, bytes.count, flags)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    /// Asks for the daemon's status.
    func ask() {
        let request = Array("GET /v1/status HTTP/1.1\r\nHost: caked\r\nConnection: close\r\n\r\n".utf8)
        #expect(unsafe send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
    }
}

/// A folder with what a service manager gives a daemon: a listening socket and one that hears reports.
final class ServiceManager {
    let folder = "/tmp/caked-\(UUID().uuidString.prefix(8))"
    let listener: UnixSocket
    let reports: UnixSocket
    var socketPath: String { folder + "/s" }

    init() throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        listener = try UnixSocket(.listener, folder + "/s")
        reports = try UnixSocket(.datagrams, folder + "/n")
    }

    deinit {
        close(listener.descriptor)
        close(reports.descriptor)
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// Starts the daemon with `passed` (the listener where nil) as descriptor 3.
    func start(
        model: String = ServiceTests.model, passing passed: UnixSocket? = nil, flags: [String] = []
    ) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        // The variables name the process, so the shell sets them and becomes the daemon.
        let script = #"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@" 3<&0 </dev/null"#
        process.arguments = ["-c", script, try CheckedConfiguration.program().path, "--model", model] + flags
        process.environment = [
            "PATH": "/usr/bin:/bin", "STATE_DIRECTORY": folder + "/state", "NOTIFY_SOCKET": folder + "/n",
            "WATCHDOG_USEC": "10000000", "JOURNAL_STREAM": "1:1",
        ]
        process.standardInput = FileHandle(fileDescriptor: (passed ?? listener).descriptor, closeOnDealloc: false)
        let log = folder + "/log"
        if !FileManager.default.fileExists(atPath: log) { try Data().write(to: URL(fileURLWithPath: log)) }
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        try handle.seekToEnd()
        process.standardError = handle
        try process.run()
        return process
    }

    /// How a daemon ended that was told to stop.
    func stop(_ process: Process) -> Int32 {
        process.terminate()
        process.waitUntilExit()
        return process.terminationStatus
    }

    /// The lines of every report so far.
    func heard() -> [String] {
        var lines: [String] = []
        while let report = reports.receive(Int32(MSG_DONTWAIT)) {
            lines += report.split(separator: "\n").map(String.init)
        }
        return lines
    }

    func log() throws -> [String] {
        try String(contentsOfFile: folder + "/log", encoding: .utf8).split(separator: "\n").map(String.init)
    }
}

/// The real daemon under a service manager.
@Suite struct ServiceTests {
    static let model = InstallTests.root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path

    @Test("it reports itself, leaves the manager's socket alone, and the next one answers who asked in between")
    func life() throws {
        let manager = try ServiceManager()
        let first = try manager.start()
        let client = try UnixSocket(.client, manager.socketPath)
        client.ask()
        #expect(client.receive()?.hasPrefix("HTTP/1.1 200 OK") == true)
        #expect(manager.stop(first) == 0)
        #expect(FileManager.default.fileExists(atPath: manager.socketPath))
        let heard = manager.heard()
        let milestones = heard.filter { ["READY=1", "STOPPING=1"].contains($0) }
        #expect(milestones == ["READY=1", "STOPPING=1"])
        #expect(heard.first?.hasPrefix("STATUS=loading ") == true)
        #expect(heard.contains("WATCHDOG=1"))

        let waiting = try UnixSocket(.client, manager.socketPath)
        waiting.ask()
        let second = try manager.start()
        #expect(waiting.receive()?.hasPrefix("HTTP/1.1 200 OK") == true)
        #expect(manager.stop(second) == 0)
        let log = try manager.log()
        #expect(log.contains("<6>stopped"))
        #expect(log.allSatisfy { $0.hasPrefix("<") })
    }

    @Test("how it ends says what is wrong: 65 the model, 75 another daemon on the store, 78 the socket")
    func exitCodes() throws {
        let manager = try ServiceManager()
        let file = manager.folder + "/damaged.gguf"
        try Data("GGUF".utf8 + Array(repeating: 255, count: 4000)).write(to: URL(fileURLWithPath: file))
        let damaged = try manager.start(model: file)
        damaged.waitUntilExit()
        #expect(damaged.terminationStatus == 65)
        let foreign = try manager.start(passing: manager.reports)
        foreign.waitUntilExit()
        #expect(foreign.terminationStatus == 78)
        #expect(manager.heard().contains("READY=1") == false)

        let first = try manager.start()
        let client = try UnixSocket(.client, manager.socketPath)
        client.ask()
        #expect(client.receive() != nil)
        let second = try manager.start()
        second.waitUntilExit()
        #expect(second.terminationStatus == 75)
        #expect(manager.stop(first) == 0)
    }

    static let failures: [(what: String, flags: [String], configuration: String, status: Int32, said: String)] = [
        ("a wrong value", ["--config", "FILE"], "# one\nkeep: 200%\n", 78, "FILE:2: keep is `200%`, but wanted is "),
        ("an unknown key", ["--config", "FILE"], "kep: 20%\n", 78, "FILE:1: is `kep`, but wanted is a known key"),
        (
            "no file", ["--config", "/nowhere.yaml"], "", 78,
            "--config: is `/nowhere.yaml`, but wanted is a file that exists"
        ),
        (
            "no model", ["--model", "/nowhere.gguf"], "", 78,
            "--model: model is `/nowhere.gguf`, but wanted is a GGUF file"
        ),
        ("a wrong model", ["--model", "FILE"], "no GGUF", 65, "unusable_model: "),
        ("a wrong store", ["--state", "FILE"], "a file", 65, "unusable_store: "),
        ("a wrong flag", ["--modle", "FILE"], "", 64, "Unknown option '--modle'"),
    ]

    @Test(
        "a start that nothing but its administrator mends says why to all who may ask, and the next one serves",
        arguments: failures)
    func failedStart(
        what: String, flags: [String], configuration: String, status: Int32, said: String
    ) throws {
        let manager = try ServiceManager()
        let file = manager.folder + "/c.yaml"
        try Data(configuration.utf8).write(to: URL(filePath: file))
        let said = said.replacing("FILE", with: file)
        let waiting = try UnixSocket(.client, manager.socketPath)
        waiting.ask()
        let failed = try manager.start(flags: flags.map { $0.replacing("FILE", with: file) })
        let answer = waiting.receive()
        #expect(answer?.hasPrefix("HTTP/1.1 503 ") == true)
        // The body is JSON, which escapes some of what was said.
        #expect(answer?.contains(#""code":"cannot_start""#) == true)
        failed.waitUntilExit()
        #expect(failed.terminationStatus == status, "\(what)")
        let heard = manager.heard()
        #expect(heard.contains { $0.hasPrefix("STATUS=cannot start: \(said)") }, "\(heard)")
        #expect(!heard.contains("READY=1"))
        let log = try manager.log()
        #expect(log.contains { $0.hasPrefix("<3>\(said)") }, "\(log)")

        let next = try UnixSocket(.client, manager.socketPath)
        next.ask()
        let mended = try manager.start()
        #expect(next.receive()?.hasPrefix("HTTP/1.1 200 OK") == true)
        #expect(manager.stop(mended) == 0)
    }
}
