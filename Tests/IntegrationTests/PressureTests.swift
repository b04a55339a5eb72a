// Many clients, clients that vanish, signals and kills at any moment: right answers, clear refusals, nothing left over.

import API
import CakedClient
import Foundation
import Synchronization
import TestDaemon
import Testing

@Suite(.serialized) struct PressureTests {
    static let fact = "The access code for Lisbon is 58213. The locker number for Oslo is 4471."
    static let questions = {
        var questions = [
            CompletionBody(document: "facts", question: "What is the access code for Lisbon?"),
            CompletionBody(document: "facts", question: "What is the locker number for Oslo?"),
            CompletionBody(question: "What is the access code for Lisbon?"),
        ]
        // Without its document the model may ramble.
        for index in questions.indices { questions[index].maxTokens = 24 }
        return questions
    }()

    private func putFacts(_ client: DaemonClient) async throws {
        let text = try DocumentText(Array(Self.fact.utf8))
        _ = try await client.put("facts", text, options: DocumentOptions(keep: .percent(100)))
    }

    private func answersAlone(_ client: DaemonClient) async throws -> [String] {
        var answers: [String] = []
        for question in Self.questions { answers.append(try await client.complete(question).text) }
        return answers
    }

    // "answered", "refused" as busy or stopping, or what else happened.
    private static func outcome(of question: CompletionBody, _ answer: String, _ client: DaemonClient) async -> String {
        do {
            let text = try await client.complete(question).text
            return text == answer ? "answered" : "wrong: \(text)"
        } catch {
            return refusal(error)
        }
    }

    private static func refusal(_ error: any Error) -> String {
        (error as? ClientError)?.isBusy == true ? "refused" : "\(error)"
    }

    @Test("of a hundred questions at once each gets the answer it gets alone, or is told when to come back")
    func manyAtOnce() async throws {
        let daemon = try await Daemon()
        let client = daemon.client
        try await putFacts(client)
        let alone = try await answersAlone(client)
        let outcomes = await withTaskGroup(of: String.self) { group in
            for number in 0..<100 {
                let (question, answer) = (Self.questions[number % 3], alone[number % 3])
                group.addTask { await Self.outcome(of: question, answer, client) }
            }
            return await group.reduce(into: [String: Int]()) { $0[$1, default: 0] += 1 }
        }
        #expect(Set(outcomes.keys).isSubset(of: ["answered", "refused"]), "\(outcomes)")
        #expect(outcomes["answered"] ?? 0 >= 64)
        try await daemon.becomesIdle()
    }

    @Test("without any queue, one request after the other is never refused: a place is free before its answer is heard")
    func onePlace() async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString).yaml")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data("max_queued_documents: 0\nmax_queued_questions: 0\nmax_running_questions: 1\n".utf8).write(to: file)
        let daemon = try await Daemon(["--config", file.path])
        try await putFacts(daemon.client)
        for number in 0..<40 {
            _ = try await daemon.client.complete(Self.questions[number % 3])
            if number % 4 == 0 {
                _ = try await daemon.client.put("other", DocumentText(Array("Version \(number) of it.".utf8)))
            }
        }
    }

    @Test("a text that eight clients put at once is read once")
    func sameTextAtOnce() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let client = daemon.client
        let text = Array(heldOut.documents[0].text.utf8.prefix(2000))
        let created = try await withThrowingTaskGroup(of: Bool?.self) { group in
            for _ in 0..<8 { group.addTask { try await client.put("same", DocumentText(text)).wasCreated } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(created.filter { $0 == true }.count == 1)
        #expect(created.filter { $0 == false }.count == 7)
    }

    @Test("clients that vanish at any point of a request leave no work, no descriptor and no open document behind")
    func vanishingClients() async throws {
        let daemon = try await Daemon()
        let client = daemon.client
        try await putFacts(client)
        let alone = try await answersAlone(client)
        try await daemon.becomesIdle()
        let descriptors = try daemon.descriptors()
        let chat = #"{"document":"facts","stream":true,"messages":[{"role":"user","content":"Which code is it?"}]}"#
        let text = String(repeating: Self.fact, count: 20)
        let requests = [
            Self.request("POST", "/v1/chat/completions", chat),
            Self.request("POST", "/v1/chat/completions", chat.replacing("true", with: "false")),
            Self.request("PUT", "/v1/documents/gone", text), Self.request("GET", "/v1/documents/facts/retention", ""),
        ]
        var random = SystemRandomNumberGenerator()
        for number in 0..<160 {
            let request = requests[number % requests.count]
            let sent = Bool.random(using: &random) ? request.count : Int.random(in: 0..<request.count, using: &random)
            let connection = try RawConnection(daemon.socket)
            connection.send(request.prefix(sent))
            if number % 3 == 0 { try await Task.sleep(for: .milliseconds(Int.random(in: 0...20, using: &random))) }
        }
        try await daemon.becomesIdle()
        #expect(try await answersAlone(client) == alone)
        #expect(try daemon.descriptors() <= descriptors + 4, "connections of the clients that went are still open")
        let log = try String(contentsOf: daemon.folder.appending(path: "log"), encoding: .utf8)
        #expect(!log.contains("request failed"), "a client that goes is no failure: \(log.suffix(2000))")
    }

    @Test("told to stop amid answers and a document, the daemon finishes or refuses each request and exits with 0")
    func stopped() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let client = daemon.client
        try await putFacts(client)
        let alone = try await answersAlone(client)
        let document = Array(heldOut.documents[0].text.utf8.prefix(3000))
        let told = await withTaskGroup(of: String.self) { group in
            for number in 0..<20 {
                let (question, answer) = (Self.questions[number % 3], alone[number % 3])
                group.addTask { await Self.outcome(of: question, answer, client) }
            }
            group.addTask {
                do {
                    _ = try await client.put("last", DocumentText(document))
                    return "stored"
                } catch {
                    return Self.refusal(error)
                }
            }
            try? await Task.sleep(for: .milliseconds(30))
            let status = daemon.stop(SIGTERM)
            #expect(status == 0)
            return await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        // Who had not been accepted yet finds no daemon: none to connect to, or one that ended with the backlog unread.
        #expect(
            told.subtracting(["answered", "refused", "stored"]).allSatisfy {
                $0.contains("cannot reach") || $0.contains("closed the connection without an answer")
            }, "\(told)")
        try await daemon.start()
        #expect(
            try await daemon.client.documents().map(\.id) == (told.contains("stored") ? ["facts", "last"] : ["facts"]))
        #expect(try await answersAlone(daemon.client) == alone)
    }

    private static func request(_ method: String, _ path: String, _ body: String) -> [UInt8] {
        Array("\(method) \(path) HTTP/1.1\r\nHost: caked\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
    }
}

extension Daemon {
    /// Descriptors the process has open.
    func descriptors() throws -> Int {
        let folder = "/proc/\(process?.processIdentifier ?? 0)/fd"
        return try FileManager.default.contentsOfDirectory(atPath: folder).count
    }
}

/// A connection that sends whatever bytes a test wants and closes when it goes.
final class RawConnection {
    private let descriptor: Int32

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
    }

    deinit { close(descriptor) }

    func send(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        _ = unsafe Foundation.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}
