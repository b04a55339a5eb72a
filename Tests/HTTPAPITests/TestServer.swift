// A real server on a real Unix socket, and a client that sends whatever bytes a test wants.

import Foundation
import HTTPAPI
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import Testing

/// Runs `body` against a server of `service`; the server is shut down afterwards, and must end.
func withServer(
    _ service: ScriptedService = ScriptedService(), limits: ServerLimits = ServerLimits(), access: Access = .user,
    peers: [UInt32] = [],
    _ body: @Sendable (TestServer) async throws -> Void
) async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString.prefix(8))")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: directory) }
    let path = directory.appending(path: "s").path
    var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    logger.logLevel = .critical
    let remaining = Mutex(peers)
    let api = HTTPAPI(
        service: service, access: access, daemonUser: 7777, limits: limits, logger: logger,
        identify: { _ in
            // Each new connection is the next of the given users; without any, everybody is user 1000.
            let user = remaining.withLock { $0.isEmpty ? 1000 : $0.removeFirst() }
            return PeerCredentials(process: 1, user: user, group: 1)
        })
    let (accepting, continuation) = AsyncStream<Void>.makeStream()
    let server = UnixServer(
        api: api, socket: try ListeningSocket(path: path), onAccepting: { continuation.finish() })
    let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: logger))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        for await _ in accepting {}
        do {
            try await body(TestServer(path: path, group: group))
        } catch {
            await group.triggerGracefulShutdown()
            throw error
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
    #expect(!FileManager.default.fileExists(atPath: path), "the socket file goes with the server")
}

struct TestServer: Sendable {
    let path: String
    let group: ServiceGroup

    /// Sends one request on a connection of its own and reads the answer to its end.
    func send(
        _ method: String, _ target: String, headers: [String: String] = [:], body: [UInt8]? = nil
    ) async throws -> Answer {
        try await offLoop {
            let connection = try Connection(path)
            connection.send(Self.request(method, target, headers: headers, body: body))
            return try connection.answer()
        }
    }

    func json(_ method: String, _ target: String, _ body: String) async throws -> Answer {
        try await send(method, target, headers: ["Content-Type": "application/json"], body: Array(body.utf8))
    }

    /// The metrics once `condition` holds of them, or as they are after many looks.
    func metrics(_ condition: (String) -> Bool) async throws -> String {
        var text = ""
        for _ in 0..<1000 {
            text = try await send("GET", "/metrics").text
            if condition(text) { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        return text
    }

    static func request(
        _ method: String, _ target: String, headers: [String: String] = [:], body: [UInt8]? = nil
    ) -> [UInt8] {
        var head = "\(method) \(target) HTTP/1.1\r\nHost: caked\r\n"
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) { head += "\(name): \(value)\r\n" }
        if let body { head += "Content-Length: \(body.count)\r\n" }
        return Array((head + "\r\n").utf8) + (body ?? [])
    }
}

/// Runs blocking socket calls on a thread that may block.
func offLoop<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
    }
}

/// Waits until `condition` holds; fails after ten seconds, far beyond what it takes on the slowest machine.
func eventually(_ what: Comment, _ condition: @Sendable () -> Bool) async throws {
    for _ in 0..<1000 {
        if condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record(what)
}

struct Answer: Sendable {
    var status: Int
    var headers: [String: String]
    var body: [UInt8]

    var text: String { String(decoding: body, as: UTF8.self) }
    var object: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(body)) as? [String: Any]) ?? [:] }
    var error: [String: Any] { object["error"] as? [String: Any] ?? [:] }
    var code: String? { error["code"] as? String }
    var param: String? { error["param"] as? String }
}

struct BrokenAnswer: Error { var bytes: String }

/// A blocking connection; closed when it goes.
final class Connection: @unchecked Sendable {
    // Unchecked: each test uses a connection from one thread at a time.
    private var descriptor: Int32
    private var buffer: [UInt8] = []

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        // What answers waits for its turn on the threads of 790 tests, many of which compute: two minutes were seen.
        var patience = timeval(tv_sec: 300, tv_usec: 0)
        _ = unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close() }

    func close() {
        if descriptor >= 0 { _ = Foundation.close(descriptor) }
        descriptor = -1
    }

    /// Sends all of it, or as much as a server that has had enough takes.
    @discardableResult func send(_ bytes: [UInt8]) -> Bool {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Foundation.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }

    /// More bytes of the server; false at the end.
    func receive(atMost limit: Int = 64 << 10) -> Bool {
        var chunk = [UInt8](repeating: 0, count: limit)
        let count = unsafe recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        buffer += chunk[..<count]
        return true
    }

    /// Reads until `text` has come.
    func waitFor(_ text: String) throws {
        while !String(decoding: buffer, as: UTF8.self).contains(text) {
            guard receive() else { throw BrokenAnswer(bytes: String(decoding: buffer, as: UTF8.self)) }
        }
    }

    /// Reads everything until the server closes.
    func rest() -> [UInt8] {
        while receive() {}
        defer { buffer = [] }
        return buffer
    }

    private func take(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { guard receive() else { throw BrokenAnswer(bytes: "\(buffer.count) of \(count)") } }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    private func line() throws -> String {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                defer { buffer.removeFirst(end + 1) }
                return String(decoding: buffer[..<end], as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
            }
            guard receive() else { throw BrokenAnswer(bytes: String(decoding: buffer, as: UTF8.self)) }
        }
    }

    /// Reads one whole answer.
    func answer() throws -> Answer {
        let start = try line().split(separator: " ")
        guard start.count >= 2, let status = Int(start[1]) else { throw BrokenAnswer(bytes: "\(start)") }
        var headers: [String: String] = [:]
        while case let field = try line(), !field.isEmpty {
            let parts = field.split(separator: ":", maxSplits: 1)
            headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces)
        }
        if (100..<200).contains(status) { return try answer() }
        var body: [UInt8] = []
        if headers["transfer-encoding"] == "chunked" {
            while let size = Int(try line(), radix: 16), size > 0 {
                body += try take(size)
                _ = try line()
            }
            _ = try line()
        } else {
            body = try take(Int(headers["content-length"] ?? "0") ?? 0)
        }
        return Answer(status: status, headers: headers, body: body)
    }
}
