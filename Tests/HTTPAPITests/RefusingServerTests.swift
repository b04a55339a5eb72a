// What clients hear from a daemon that cannot start.

import Foundation
import HTTPAPI
import Testing

@Suite struct RefusingServerTests {
    static let requests: [(what: String, bytes: [UInt8])] = [
        ("a plain question", TestServer.request("GET", "/v1/status")),
        (
            "a large document",
            TestServer.request("PUT", "/v1/documents/a", body: Array(repeating: 0x61, count: 4 << 20))
        ),
        ("an older client", Array("GET /healthz HTTP/1.0\r\n\r\n".utf8)),
        ("no HTTP", Array("hello\r\n\r\n".utf8)),
        ("half a head", Array("GET /v1/status HTTP/1.1\r\nHost: ca".utf8)),
        ("nothing", []),
    ]

    /// Connects clients, then runs a server that refuses, and what the clients do beside it.
    func refusing(
        clients count: Int, sending first: [UInt8] = [], patience: Double = 0.2,
        _ body: @escaping @Sendable ([Connection]) throws -> Void
    ) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let path = directory.appending(path: "s").path
        let socket = try ListeningSocket(path: path)
        defer { Foundation.close(socket.descriptor) }
        let connections = try (0..<count).map { _ in try Connection(path) }
        for connection in connections { connection.send(first) }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await offLoop { try body(connections) } }
            group.addTask {
                try await offLoop {
                    var server = RefusingServer(socket: socket, message: "caked.yaml:3: keep is wrong")
                    server.run(seconds: 0.2, patienceSeconds: patience)
                }
            }
            try await group.waitForAll()
        }
    }

    // Who has connected is answered at the latest when the server ends, so that no test depends on the time.
    @Test("every client hears why, whatever it sends", arguments: requests)
    func refused(what: String, bytes: [UInt8]) async throws {
        try await refusing(clients: 1) { connections in
            connections[0].send(bytes)
            let answer = try connections[0].answer()
            #expect(answer.status == 503, "\(what)")
            #expect(answer.code == "cannot_start")
            #expect((answer.error["message"] as? String)?.contains("caked.yaml:3: keep is wrong") == true)
        }
    }

    @Test("HEAD is answered without a body, and clients that say nothing do not make others wait for ever")
    func manners() async throws {
        try await refusing(clients: 50) { connections in
            connections[0].send(TestServer.request("GET", "/healthz"))
            let answers = try connections.map { try $0.answer() }
            #expect(answers.allSatisfy { $0.status == 503 })
        }
        try await refusing(clients: 1, sending: TestServer.request("HEAD", "/healthz")) { connections in
            let bytes = connections[0].rest()
            #expect(bytes.starts(with: "HTTP/1.1 503 ".utf8) && bytes.suffix(4) == Array("\r\n\r\n".utf8))
        }
    }
}
