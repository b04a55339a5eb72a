// The typed API against a server that speaks real HTTP and follows a script.
import API
import CakedClient
import Foundation
import NIOHTTP1
import Synchronization
import Testing

// Minutes, because a test waits for threads that other suites hold.
@Suite("Daemon client", .timeLimit(.minutes(5))) struct DaemonClientTests {
    private func client(_ server: ScriptedServer, idleTimeoutSeconds: Int = 300) -> DaemonClient {
        DaemonClient(socketPath: server.socketPath, idleTimeoutSeconds: idleTimeoutSeconds)
    }

    @Test("puts a text with its options in the query and reports progress in order")
    func put() async throws {
        let server = try await ScriptedServer { _ in
            .events(
                "event: queued\ndata: {\"ahead\":2}\n\n: still there\n\n",
                "event: progress\ndata: {\"phase\":\"prefill\",\"layer\":1,\"layers\":6,\"fraction\":0.25}\n\n",
                "event: of a newer daemon\ndata: {}\n\nevent: document\ndata: "
                    + Sample.document.dropLast() + ",\"was_created\":true}\n\n")
        }
        let heard = Mutex<[ReadingReport]>([])
        let options = DocumentOptions(
            keep: .percent(10), method: "cake", effort: "fast", probes: ["Who?", "A & b"], rows: "q8_0",
            ttlSeconds: 60, pinned: true)
        let text = String(repeating: "Käse. ", count: 100_000)
        let document = try await client(server).put("manual", DocumentText(text), options: options) { progress in
            heard.withLock { $0.append(progress) }
        }
        #expect(document.tokens == 12480)
        #expect(document.wasCreated == true)
        #expect(document.layers?.first?.entries == [1200, 1296])
        #expect(
            heard.withLock { $0 } == [
                .queued(ahead: 2), .working(PutProgress(phase: "prefill", layer: 1, layers: 6, fraction: 0.25)),
            ])
        let request = try #require(server.requests.first)
        #expect(request.method == .PUT)
        let query = "keep=10%25&method=cake&effort=fast&probe=Who%3F&probe=A%20%26%20b&rows=q8_0&ttl=60&pin=true"
        #expect(request.target == "/v1/documents/manual?" + query)
        #expect(request.headers.first(name: "Accept") == "text/event-stream")
        #expect(request.text == text)
    }

    @Test("asks for a budget that the check finds, and hears what the check found")
    func putChecked() async throws {
        let check = #","check":{"budget":9,"places":8,"tokens":192,"known":40,"recall":0.925,"kl":0.5,"right_full":1}}"#
        let server = try await ScriptedServer { _ in .json(Sample.document.dropLast() + check) }
        let document = try await client(server).put(
            "manual", DocumentText("a"), options: DocumentOptions(keep: .auto, check: true))
        #expect(server.requests.first?.target == "/v1/documents/manual?keep=auto&check=true")
        #expect(document.check?.recall == 0.925 && document.check?.rightFull == 1 && document.check?.target == nil)
    }

    @Test("puts a file of many chunks byte for byte")
    func putFile() async throws {
        let server = try await ScriptedServer { _ in .json(Sample.document, status: "201 Created") }
        let folder = try TemporaryFolder()
        let bytes = (0..<700_000).map { UInt8(ascii: "a") + UInt8($0 % 23) }
        let path = try folder.file("text", bytes)
        let document = try await client(server).put(
            "manual", DocumentText(path: path), options: .init(keep: .budget(8)))
        #expect(document.wasCreated == true)
        #expect(server.requests.first?.target == "/v1/documents/manual?budget=8")
        #expect(server.requests.first?.body == bytes)
    }

    @Test("takes plain JSON for a document that is there already")
    func putAgain() async throws {
        let server = try await ScriptedServer { _ in .json(Sample.document) }
        #expect(try await client(server).put("manual", DocumentText("a")).wasCreated == false)
    }

    @Test("hears a refusal that comes while the text is still being sent")
    func earlyRefusal() async throws {
        let server = try await ScriptedServer(answersEarly: true) { _ in
            .error("body_too_large", "too large", status: "413 Payload Too Large")
        }
        let text = try DocumentText(Array(repeating: 0x61, count: 64 << 20))
        let error = await #expect(throws: ClientError.self) { try await client(server).put("manual", text) }
        #expect(
            error == .api(status: 413, code: "body_too_large", message: "too large", param: nil, retryAfterSeconds: nil)
        )
    }

    @Test("lists, shows, changes and removes documents")
    func documents() async throws {
        let server = try await ScriptedServer { request in
            switch (request.method, request.target) {
            case (.GET, "/v1/documents?limit=1000"):
                .json(#"{"object":"list","data":[\#(Sample.document)],"has_more":true,"last_id":"manual"}"#)
            case (.GET, "/v1/documents?after=manual&limit=1000"):
                .json(#"{"object":"list","data":[\#(Sample.document.replacing("manual", with: "novel"))]}"#)
            case (.DELETE, _): .json(#"{"id":"manual","object":"document.deleted","deleted":true}"#)
            case (.GET, "/v1/documents/manual/retention"):
                .json(#"{"tokens":9,"layers":[{"budget":2.5,"preference":1,"heads":[{"positions":[0,8]}]}]}"#)
            default: .json(Sample.document)
            }
        }
        let client = client(server)
        #expect(try await client.documents().map(\.id) == ["manual", "novel"])
        #expect(try await client.document("manual").prefixTokens == 5)
        #expect(try await client.retention("manual").layers[0].heads[0].positions == [0, 8])
        _ = try await client.update("manual", DocumentChange(ttlSeconds: .some(nil), pinned: true))
        _ = try await client.update("manual", DocumentChange(ttlSeconds: 60))
        try await client.delete("manual")
        #expect(server.requests[4].text == #"{"pin":true,"ttl_seconds":null}"#)
        #expect(server.requests[5].text == #"{"ttl_seconds":60}"#)
        #expect(server.requests[6].method == .DELETE)
    }

    @Test(
        "refuses names before they reach a route",
        arguments: [
            "", ".", "..", ".hidden", "a/b", "a?b", "a b", "a%2Fb", "a\0", "é", String(repeating: "a", count: 129),
        ])
    func names(_ name: String) async throws {
        let server = try await ScriptedServer { _ in .json("{}") }
        await #expect(throws: ClientError.invalidName(name)) { try await client(server).delete(name) }
        #expect(server.requests.isEmpty)
    }

    @Test("streams an answer as it comes, whole characters only, with what it cost")
    func stream() async throws {
        let bytes = Array(Sample.answer("K", "ä", "se 🎂").utf8)
        let cuts = Array(stride(from: 0, to: bytes.count, by: 37)) + [bytes.count]
        let server = try await ScriptedServer { _ in .events(zip(cuts, cuts.dropFirst()).map { Array(bytes[$0..<$1]) })
        }
        let heard = Mutex<[AnswerPiece]>([])
        var request = CompletionBody(document: "manual", question: "What?")
        (request.maxTokens, request.temperature, request.seed) = (7, 0.5, 3)
        let answer = try await client(server).stream(request) { piece in heard.withLock { $0.append(piece) } }
        #expect(heard.withLock { $0 } == [.text("K"), .text("ä"), .text("se 🎂")])
        #expect(answer.text == "Käse 🎂")
        #expect(answer.finishReason == .stop)
        #expect(answer.model == "needle")
        #expect(answer.usage?.promptTokensDetails.cachedTokens == 12480)
        #expect(
            server.requests.first?.text
                == #"{"document":"manual","max_tokens":7,"messages":[{"content":"What?","role":"user"}],"#
                + #""seed":3,"stream":true,"stream_options":{"include_usage":true},"temperature":0.5}"#)
    }

    @Test("asks for a whole answer")
    func complete() async throws {
        let server = try await ScriptedServer { _ in
            .json(
                #"{"id":"c","object":"chat.completion","created":1,"model":"needle","#
                    + #""choices":[{"message":{"role":"assistant","content":"7411"},"finish_reason":"length"}],"#
                    + #""usage":\#(Sample.usage)}"#)
        }
        let answer = try await client(server).complete(CompletionBody(question: "Port?"))
        #expect((answer.text, answer.finishReason) == ("7411", .length))
        #expect(answer.usage?.timings.decodeSeconds == 0.1)
        #expect(server.requests.first?.text == #"{"messages":[{"content":"Port?","role":"user"}],"stream":false}"#)
    }

    struct Refusal: Sendable, CustomTestStringConvertible {
        var steps: [Step]
        var error: ClientError
        var isBusy = false
        var isPermission = false
        var testDescription: String { error.description }
    }

    @Test(
        "turns every kind of refusal and nonsense into its error",
        arguments: [
            Refusal(
                steps: .error("busy", "full", status: "429 Too Many Requests", headers: "Retry-After: 7\r\n"),
                error: .api(status: 429, code: "busy", message: "full", param: nil, retryAfterSeconds: 7),
                isBusy: true),
            Refusal(
                steps: .error(
                    "shutting_down", "bye", status: "503 Service Unavailable", headers: "Retry-After: soon\r\n"),
                error: .api(status: 503, code: "shutting_down", message: "bye", param: nil, retryAfterSeconds: nil),
                isBusy: true),
            Refusal(
                steps: .error("forbidden", "no", status: "403 Forbidden"),
                error: .api(status: 403, code: "forbidden", message: "no", param: nil, retryAfterSeconds: nil),
                isPermission: true),
            Refusal(
                steps: .json(#"{"error":{"message":"bad","param":"keep","code":null}}"#, status: "400 Bad Request"),
                error: .api(status: 400, code: "unknown", message: "bad", param: "keep", retryAfterSeconds: nil)),
            Refusal(
                steps: .json("<html>", status: "502 Bad Gateway"),
                error: .protocolViolation("the daemon answered 502 without an error object")),
            Refusal(steps: .json("[1,"), error: .protocolViolation("the daemon's answer is not JSON")),
            Refusal(
                steps: .json(String(repeating: "[", count: 100_000)),
                error: .protocolViolation("the daemon's answer is not JSON")),
            Refusal(
                steps: .json(#"{"model":"m"}"#), error: .protocolViolation("the daemon's answer lacks \"version\"")),
            Refusal(
                steps: .json(#"{"version":"1","model":{}}"#),
                error: .protocolViolation("the daemon's answer has a wrong value at \"model\"")),
            Refusal(steps: [.close], error: .closedEarly("without an answer")),
            Refusal(
                steps: [.send(Array("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".utf8)), .close],
                error: .closedEarly("in the middle of its answer")),
            Refusal(
                steps: [.send(Array("HTTP/1.1 200 ".utf8) + Array(repeating: 0x61, count: 70_000)), .hold],
                error: .responseTooLarge(what: "the head of the daemon's answer", limitBytes: 65536)),
        ])
    func refusals(_ it: Refusal) async throws {
        let server = try await ScriptedServer { _ in it.steps }
        let error = await #expect(throws: ClientError.self) { try await client(server).status() }
        #expect(error == it.error)
        #expect(error?.isBusy == it.isBusy)
        #expect(error?.isPermission == it.isPermission)
    }

    @Test(
        "says that something else listens, when what comes is not HTTP",
        arguments: ["\0\u{1}junk\r\n\r\n", "HTTP/1.1 200 OK\r\n" + String(repeating: "X: aaaaaaaa\r\n", count: 20_000)])
    func junk(_ bytes: String) async throws {
        let server = try await ScriptedServer { _ in [.send(Array(bytes.utf8)), .hold] }
        let error = try #require(await #expect(throws: ClientError.self) { try await client(server).status() })
        guard case .protocolViolation(let what) = error else {
            Issue.record("\(error)")
            return
        }
        #expect(what.hasPrefix("the answer is not HTTP"))
        #expect(error.description.hasSuffix("is another program listening on this socket?"))
    }

    @Test(
        "stops reading an answer or an event without an end",
        arguments: ["application/json", "text/event-stream"])
    func endless(_ type: String) async throws {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: \(type)\r\n\r\ndata: "
        let server = try await ScriptedServer { _ in
            [.send(Array(head.utf8))] + Array(repeating: .send(Array(repeating: 0x20, count: 1 << 20)), count: 40)
        }
        let client = client(server)
        let error = await #expect(throws: ClientError.self) {
            if type == "application/json" {
                _ = try await client.status()
            } else {
                _ = try await client.put("a", .init("a"))
            }
        }
        let expected: ClientError =
            type == "application/json"
            ? .responseTooLarge(what: "the daemon's answer", limitBytes: 16 << 20)
            : .responseTooLarge(what: "an event of the daemon's answer", limitBytes: 4 << 20)
        #expect(error == expected)
    }

    @Test("tells an error inside a stream, and a stream that breaks off, from a finished one")
    func brokenStreams() async throws {
        let failing = try await ScriptedServer { _ in
            .events(
                Sample.answer("a", ends: false)
                    + "data: {\"error\":{\"message\":\"broke\",\"type\":\"server_error\",\"code\":\"internal\"}}\n\n")
        }
        let request = CompletionBody(question: "?")
        await #expect(
            throws: ClientError.api(status: 200, code: "internal", message: "broke", param: nil, retryAfterSeconds: nil)
        ) { try await client(failing).stream(request) { _ in } }

        let closing = try await ScriptedServer { _ in .events(Sample.answer("a", ends: false), breaksOff: true) }
        await #expect(throws: ClientError.closedEarly("in the middle of its answer")) {
            try await client(closing).stream(request) { _ in }
        }
        let ending = try await ScriptedServer { _ in .events(Sample.answer("a", ends: false)) }
        await #expect(throws: ClientError.closedEarly("before the answer was complete")) {
            try await client(ending).stream(request) { _ in }
        }
        let refusing = try await ScriptedServer { _ in
            .events(
                "event: queued\ndata: {\"ahead\":0}\n\n",
                "event: error\ndata: {\"error\":{\"message\":\"no\",\"code\":\"busy\"}}\n\n")
        }
        let error = await #expect(throws: ClientError.self) { try await client(refusing).put("a", .init("a")) }
        #expect(error?.isBusy == true)
    }

    @Test("gives up on a silent daemon")
    func silence() async throws {
        let server = try await ScriptedServer { _ in [.hold] }
        await #expect(throws: ClientError.timedOut(seconds: 1)) {
            try await client(server, idleTimeoutSeconds: 1).status()
        }
    }

    @Test("closes the connection when the task is cancelled in the middle of an answer")
    func cancellation() async throws {
        let server = try await ScriptedServer { _ in .events(Sample.answer("a", ends: false)).dropLast() + [.hold] }
        let client = client(server)
        let (begun, noteBegun) = AsyncStream<Void>.makeStream()
        let task = Task { try await client.stream(CompletionBody(question: "?")) { _ in noteBegun.yield() } }
        for await _ in begun { break }
        task.cancel()
        await #expect(throws: ClientError.cancelled) { try await task.value }
        for await _ in server.closed { break }
    }

    @Test("says why nothing answers: no socket, nobody behind it, a path that is too long")
    func unreachable() async throws {
        let folder = try TemporaryFolder()
        let missing = folder.path + "/missing.sock"
        let file = try folder.file("file", [])
        let long = folder.path + "/" + String(repeating: "a", count: 100)
        await #expect(throws: ClientError.unreachable(path: missing, reason: "there is no socket")) {
            try await DaemonClient(socketPath: missing).status()
        }
        await #expect(throws: ClientError.unreachable(path: file, reason: "nothing listens there")) {
            try await DaemonClient(socketPath: file).status()
        }
        await #expect(throws: ClientError.socketPathTooLong(path: long, bytes: long.utf8.count)) {
            try await DaemonClient(socketPath: long).status()
        }
    }
}
