import API
import EngineInterface
import Foundation
import HTTPAPI
import ServiceLifecycle
import Synchronization
import Testing

@Suite struct UnixServerTests {
    static let streaming = Array(
        #"{"stream":true,"messages":[{"role":"user","content":"q"}]}"#.utf8)
    static let whole = Array(#"{"messages":[{"role":"user","content":"q"}]}"#.utf8)

    @Test("when a client goes away its question is cancelled, streamed or not", arguments: [streaming, whole])
    func disconnect(body: [UInt8]) async throws {
        let service = ScriptedService(onQuestion: { _, feed in feed.send(.started(promptTokens: 1, cachedTokens: 0)) })
        try await withServer(service) { server async throws in
            let connection = try Connection(server.path)
            connection.send(TestServer.request("POST", "/v1/chat/completions", body: body))
            try await eventually("the question arrives") { service.state.withLock { !$0.questionFeeds.isEmpty } }
            let feed = try #require(service.state.withLock { $0.questionFeeds.first })
            #expect(!feed.isCancelled)
            connection.close()
            try await eventually("the feed is cancelled") { feed.isCancelled }
        }
    }

    @Test("when a client goes away its document is no longer read", arguments: ["text/event-stream", "*/*"])
    func disconnectPut(accept: String) async throws {
        let service = ScriptedService(onPut: { _, _, feed in feed.send(.queued(ahead: 0)) })
        try await withServer(service) { server async throws in
            let connection = try Connection(server.path)
            connection.send(TestServer.request("PUT", "/v1/documents/a", headers: ["Accept": accept], body: [65]))
            try await eventually("the document arrives") { service.state.withLock { !$0.putFeeds.isEmpty } }
            let feed = try #require(service.state.withLock { $0.putFeeds.first })
            connection.close()
            try await eventually("the feed is cancelled") { feed.isCancelled }
        }
    }

    @Test("a client that goes away is no failure of the server's: in its request, before its answer or in a stream")
    func disconnectIsNoFailure() async throws {
        let service = ScriptedService(onQuestion: { _, feed in feed.send(.started(promptTokens: 1, cachedTokens: 0)) })
        try await withServer(service) { server async throws in
            let put = TestServer.request("PUT", "/v1/documents/a", body: Array(repeating: 65, count: 1000))
            let chat = "/v1/chat/completions"
            // What is sent, what is there before the client goes, and what is counted then.
            let requests: [(bytes: ArraySlice<UInt8>, questions: Int, answer: String?, metric: String)] = [
                (put.dropLast(500), 0, nil, #"{route="PUT /v1/documents/{id}",code="499"} 1"#),
                (
                    TestServer.request("POST", chat, body: Self.whole)[...], 1, nil,
                    #"{route="POST /v1/chat/completions",code="499"} 1"#
                ),
                (
                    TestServer.request("POST", chat, body: Self.streaming)[...], 2, "data: {",
                    #"caked_stream_failures_total{code="cancelled"} 1"#
                ),
            ]
            for request in requests {
                let connection = try Connection(server.path)
                connection.send(Array(request.bytes))
                try await eventually("the question arrives") {
                    service.state.withLock { $0.questionFeeds.count } >= request.questions
                }
                if let answer = request.answer { try await offLoop { try connection.waitFor(answer) } }
                connection.close()
                let text = try await server.metrics { $0.contains(request.metric) }
                #expect(text.contains(request.metric), "\(text)")
                #expect(!text.contains(#"code="500""#))
                #expect(!text.contains(#"code="internal""#))
            }
        }
    }

    @Test("clients that go away at the moment their streams begin leave no question behind, and each is counted once")
    func disconnectAsTheStreamBegins() async throws {
        let service = ScriptedService(onQuestion: { _, feed in feed.send(.started(promptTokens: 1, cachedTokens: 0)) })
        try await withServer(service) { server async throws in
            let rounds = 40
            for round in 1...rounds {
                let connection = try Connection(server.path)
                connection.send(TestServer.request("POST", "/v1/chat/completions", body: Self.streaming))
                try await eventually("the question arrives") {
                    service.state.withLock { $0.questionFeeds.count } == round
                }
                connection.close()
            }
            try await eventually("every question is cancelled") {
                service.state.withLock { $0.questionFeeds.allSatisfy(\.isCancelled) }
            }
            // Before the head of its answer, or behind it.
            func count(_ text: String) -> Int {
                [
                    #"{route="POST /v1/chat/completions",code="499"} "#,
                    #"caked_stream_failures_total{code="cancelled"} "#,
                ]
                .reduce(0) { sum, metric in
                    let line = text.split(separator: "\n").first { $0.contains(metric) }
                    return sum + (line?.split(separator: " ").last.flatMap { Int($0) } ?? 0)
                }
            }
            let text = try await server.metrics { count($0) >= rounds }
            #expect(count(text) == rounds, "\(text)")
            #expect(!text.contains(#"code="500""#) && !text.contains(#"code="internal""#))
        }
    }

    @Test("a client that does not read is cut off at the write deadline, others are not")
    func slowReader() async throws {
        var limits = ServerLimits()
        limits.writeDeadlineSeconds = 0.2
        // Talks for ever, but never further ahead of its reader than the engine would be.
        let service = ScriptedService(onQuestion: { _, feed in
            feed.send(.started(promptTokens: 1, cachedTokens: 0))
            Thread.detachNewThread {
                let text = String(repeating: "x", count: 10_000)
                while !feed.isCancelled {
                    if feed.isFull { usleep(1000) } else { feed.send(.text(text)) }
                }
            }
        })
        try await withServer(service, limits: limits) { server async throws in
            let connection = try Connection(server.path)
            connection.send(TestServer.request("POST", "/v1/chat/completions", body: Self.streaming))
            try await eventually("the question arrives") { service.state.withLock { !$0.questionFeeds.isEmpty } }
            let feed = try #require(service.state.withLock { $0.questionFeeds.first })
            try await eventually("the feed is cancelled") { feed.isCancelled }
            #expect(try await server.send("GET", "/healthz").status == 200)
            #expect(try await server.send("GET", "/metrics").text.contains(#"{code="write_deadline"} 1"#))
            connection.close()
        }
    }

    @Test("a client that reads slowly but steadily for longer than the write deadline gets everything")
    func steadyReader() async throws {
        var limits = ServerLimits()
        limits.writeDeadlineSeconds = 2
        // One piece, so that the connection stays unwritable from its first byte to its last.
        let text = String(repeating: "x", count: 4 << 20)
        let service = ScriptedService(onQuestion: { _, feed in
            feed.send(.started(promptTokens: 1, cachedTokens: 0))
            feed.send(.text(text))
            feed.send(.finished(reason: .stop, usage: ScriptedService.usage))
            feed.finish()
        })
        try await withServer(service, limits: limits) { server async throws in
            let connection = try Connection(server.path)
            connection.send(TestServer.request("POST", "/v1/chat/completions", body: Self.streaming))
            let answer = try await offLoop {
                // Twice the deadline in all, a fortieth of it between two pieces.
                for _ in 0..<80 {
                    usleep(50_000)
                    guard connection.receive(atMost: 40_000) else { break }
                }
                return try connection.answer()
            }
            #expect(answer.text.contains(text))
            #expect(answer.text.hasSuffix("data: [DONE]\n\n"))
        }
    }

    @Test("shutdown lets requests finish that can, fails the rest with an error event, and refuses new ones")
    func shutdown() async throws {
        let service = ScriptedService(onQuestion: { _, feed in
            feed.send(.started(promptTokens: 1, cachedTokens: 0))
            feed.send(.text("half"))
        })
        try await withServer(service) { server async throws in
            let connection = try Connection(server.path)
            let idle = try Connection(server.path)
            connection.send(TestServer.request("POST", "/v1/chat/completions", body: Self.streaming))
            try await offLoop { try connection.waitFor("half") }
            await server.group.triggerGracefulShutdown()
            let answer = try await offLoop { try connection.answer() }
            #expect(
                answer.text.hasSuffix(
                    "data: {\"error\":{\"code\":\"shutting_down\",\"message\":\""
                        + "caked is shutting down; ask again when it is back\",\"param\":null,"
                        + "\"type\":\"server_error\"}}\n\n"))
            let (rest, idleRest) = try await offLoop { (connection.rest(), idle.rest()) }
            #expect(rest.isEmpty)
            #expect(idleRest.isEmpty)
        }
    }

    @Test("a user whose connections idle in all places keeps nobody out: the longest idle one is closed")
    func idleConnectionsGiveWay() async throws {
        var limits = ServerLimits()
        limits.connections = 3
        try await withServer(limits: limits, peers: [1, 1, 1, 2, 1]) { server async throws in
            var held: [Connection] = []
            for _ in 0..<3 {
                let connection = try Connection(server.path)
                connection.send(TestServer.request("GET", "/healthz"))
                #expect(try await offLoop { try connection.answer() }.status == 200)
                held.append(connection)
            }
            #expect(try await server.send("GET", "/healthz").status == 200)
            let first = held[0]
            #expect(try await offLoop { first.rest() }.isEmpty)
            for connection in held[1...] {
                connection.send(TestServer.request("GET", "/healthz"))
                #expect(try await offLoop { try connection.answer() }.status == 200)
            }
        }
    }

    @Test("of a user who asks on every connection one more is told to come back, and another user's is served")
    func busyConnectionsGiveWay() async throws {
        var limits = ServerLimits()
        limits.connections = 2
        let service = ScriptedService(onQuestion: { _, feed in feed.send(.started(promptTokens: 1, cachedTokens: 0)) })
        try await withServer(service, limits: limits, peers: [1, 1, 1, 2]) { server async throws in
            var held: [Connection] = []
            for _ in 0..<2 {
                let connection = try Connection(server.path)
                connection.send(TestServer.request("POST", "/v1/chat/completions", body: Self.streaming))
                try await offLoop { try connection.waitFor("data: {") }
                held.append(connection)
            }
            let refused = try await server.send("GET", "/healthz")
            #expect(refused.status == 503)
            #expect(refused.headers["retry-after"] == "1")
            #expect(refused.headers["connection"] == "close")
            #expect(refused.code == "busy")
            #expect(try await server.send("GET", "/healthz").status == 200)
            try await eventually("the newest question is cancelled") {
                service.state.withLock { $0.questionFeeds.map(\.isCancelled) } == [false, true]
            }
            for connection in held { connection.close() }
        }
    }

    @Test("models, status and health are told")
    func facts() async throws {
        try await withServer { server async throws in
            #expect(
                try await server.send("GET", "/v1/models").text
                    == #"{"data":[{"context_length":4096,"created":7,"id":"tiny","object":"model","#
                    + #""owned_by":"caked","parameters":1000}],"object":"list"}"#)
            let status = try await server.send("GET", "/v1/status").object
            #expect(status["model"] as? String == "tiny")
            #expect(status["documents"] as? Int == 3)
            #expect((status["queue"] as? [String: Int]) == ["documents": 0, "questions": 2])
            #expect((status["running"] as? [String: Int]) == ["documents": 1, "questions": 0])
            #expect(status["version"] as? String == CakedVersion.current)
        }
    }

    @Test("the metrics are in Prometheus' text format and name no document")
    func metrics() async throws {
        try await withServer { server async throws in
            _ = try await server.send("PUT", "/v1/documents/secret", body: [65])
            _ = try await server.json(
                "POST", "/v1/chat/completions", #"{"messages":[{"role":"user","content":"q"}]}"#)
            _ = try await server.send("GET", "/nowhere")
            let answer = try await server.send("GET", "/metrics")
            #expect(answer.headers["content-type"] == "text/plain; version=0.0.4")
            let text = answer.text
            #expect(text.hasSuffix("\n"))
            let sample = try Regex(#"[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? (\d+(\.\d+)?(e-?\d+)?)"#)
            let comment = try Regex(#"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))"#)
            for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
                let wellFormed = try (line.hasPrefix("#") ? comment : sample).wholeMatch(in: line) != nil
                #expect(wellFormed, "\(line)")
            }
            for line in [
                #"caked_requests_total{route="PUT /v1/documents/{id}",code="201"} 1"#,
                #"caked_requests_total{route="none",code="404"} 1"#, "caked_documents 3",
                #"caked_queue_depth{kind="question"} 2"#, "caked_cached_tokens_total 100",
                #"caked_prefill_seconds_bucket{le="0.3"} 0"#, #"caked_prefill_seconds_bucket{le="1"} 1"#,
                #"caked_prefill_seconds_bucket{le="+Inf"} 1"#, "caked_prefill_seconds_sum 0.5",
                "caked_time_to_first_token_seconds_count 1", "caked_inter_token_seconds_count 1",
            ] { #expect(text.contains(line + "\n"), "\(line)") }
            #expect(!text.contains("secret"))
        }
    }
}

@Suite struct ListeningSocketTests {
    /// A path in a directory of its own.
    func withPath(_ body: (String) throws -> Void) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        try body(directory.appending(path: "s").path)
    }

    @Test("the socket's mode is 0660, whatever the umask")
    func mode() throws {
        try withPath { path in
            let socket = try ListeningSocket(path: path)
            defer { close(socket.descriptor) }
            #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o660)
        }
    }

    @Test("a socket nobody answers on is replaced, a live one is not")
    func stale() throws {
        try withPath { path in
            let first = try ListeningSocket(path: path)
            #expect(throws: ListeningSocketError.inUse(path: path)) { try ListeningSocket(path: path) }
            close(first.descriptor)
            let second = try ListeningSocket(path: path)
            defer { close(second.descriptor) }
            first.removeFile()
            #expect(FileManager.default.fileExists(atPath: path), "another daemon's file stays")
            second.removeFile()
            #expect(!FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("a file in the way is left alone")
    func file() throws {
        try withPath { path in
            try "precious".write(toFile: path, atomically: false, encoding: .utf8)
            #expect(throws: ListeningSocketError.notASocket(path: path)) { try ListeningSocket(path: path) }
            #expect(try String(contentsOfFile: path, encoding: .utf8) == "precious")
        }
    }

    @Test("a path the kernel cannot take is refused, one that just fits is not")
    func length() throws {
        let path = "/tmp/" + String(repeating: "a", count: 103)
        #expect(throws: ListeningSocketError.pathTooLong(path: path, maxBytes: 107)) { try ListeningSocket(path: path) }
        let fits = "/tmp/" + UUID().uuidString.padding(toLength: 102, withPad: "b", startingAt: 0)
        let socket = try ListeningSocket(path: fits)
        close(socket.descriptor)
        socket.removeFile()
        #expect(!FileManager.default.fileExists(atPath: fits))
    }

    @Test("the lock of the directory is waited for, said to be, and given up with the directory's name")
    func lockedDirectory() throws {
        try withPath { path in
            let directory = String(path.dropLast(2))
            let holder = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            try #require(holder >= 0 && flock(holder, LOCK_EX) == 0)
            var waited: [String] = []
            let error = ListeningSocketError.directoryLocked(path: directory, seconds: 0.1)
            #expect(throws: error) { try ListeningSocket(path: path, lockSeconds: 0.1) { waited.append($0) } }
            #expect(waited == [directory])
            #expect(error.description.contains(directory) && error.description.contains("--socket"))
            #expect(!FileManager.default.fileExists(atPath: path))

            // Released while it is waited for: the start goes on.
            let socket = try ListeningSocket(path: path, lockSeconds: 600) { _ in close(holder) }
            #expect(FileManager.default.fileExists(atPath: path))
            close(socket.descriptor)
        }
    }

    @Test("a missing directory is a clear error")
    func missingDirectory() {
        #expect(throws: ListeningSocketError.system(call: "open", path: "/nonexistent", errno: ENOENT)) {
            try ListeningSocket(path: "/nonexistent/s")
        }
    }
}
