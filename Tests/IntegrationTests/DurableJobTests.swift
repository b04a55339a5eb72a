// Readings that outlive the daemon, and documents that move: killed, stopped, joined, exported, with the real programs.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct DurableJobTests {
    static let chunk = 20_000

    /// A text of some thousand tokens, which takes seconds to read.
    static func text(bytes: Int = chunk) throws -> [UInt8] {
        Array(try HeldOut.load().documents.map(\.text).joined(separator: "\n\n").utf8.prefix(bytes))
    }

    /// A daemon that writes a checkpoint whenever one may be written.
    private func daemon(_ settings: String = "") async throws -> Daemon {
        let file = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString).yaml")
        try Data("checkpoint_seconds: 0.01\n\(settings)".utf8).write(to: file)
        return try await Daemon(["--config", file.path])
    }

    private func log(_ daemon: Daemon) throws -> String {
        try String(contentsOf: daemon.folder.appending(path: "log"), encoding: .utf8)
    }

    private func jobFiles(_ daemon: Daemon) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: daemon.state + "/jobs")) ?? []
    }

    private func metric(_ name: String, _ daemon: Daemon) throws -> Double {
        let text = try run(URL(filePath: "/usr/bin/curl"), ["-s", "--unix-socket", daemon.socket, "http://x/metrics"])
            .output
        let line = text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
        return Double(line?.split(separator: " ").last ?? "") ?? .nan
    }

    private func waitUntil(_ what: Comment, _ condition: () async throws -> Bool) async throws {
        for _ in 0..<3000 {
            if try await condition() { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw NeverHappened(what: "\(what)")
    }

    private struct NeverHappened: Error {
        let what: String
    }

    private func exported(_ name: String, _ daemon: Daemon) async throws -> Data {
        let file = daemon.folder.appending(path: "\(UUID().uuidString).caked")
        try await daemon.client.export(name, to: file.path)
        return try Data(contentsOf: file)
    }

    @Test("killed at random points ten times in a row, a reading ends with the same document, byte for byte")
    func tenKills() async throws {
        let text = try DocumentText(Self.text())
        let undisturbed = try await daemon()
        let begun = ContinuousClock.now
        _ = try await undisturbed.client.put("book", text)
        let milliseconds = Int((ContinuousClock.now - begun) / .milliseconds(1))
        let expected = try await exported("book", undisturbed)
        undisturbed.stop(SIGTERM)

        let daemon = try await daemon()
        var random = SystemRandomNumberGenerator()
        var kills = 0
        while kills < 10 {
            // Asked for again each time, as a script would: it joins what goes on by itself, or what was set aside.
            var accepted = try await daemon.client.put("book", text, options: DocumentOptions(detached: true))
            if accepted.state == .ready {
                // Read to its end between two kills: the rest of them hit another reading.
                #expect(try await exported("book", daemon) == expected)
                try await daemon.client.delete("book")
                accepted = try await daemon.client.put("book", text, options: DocumentOptions(detached: true))
            }
            // Some kills come before a checkpoint, some after one or two; the last one surely comes after one.
            if kills == 9 {
                try await waitUntil("no checkpoint was written") {
                    if try metric("caked_checkpoints_written_total", daemon) > 0 { return true }
                    if try await daemon.client.document("book").state == .ready {
                        try await daemon.client.delete("book")
                        _ = try await daemon.client.put("book", text, options: DocumentOptions(detached: true))
                    }
                    return false
                }
            } else {
                try await Task.sleep(for: .milliseconds(Int.random(in: 0...milliseconds / 3, using: &random)))
            }
            daemon.stop(SIGKILL)
            kills += 1
            try await daemon.start()
        }
        _ = try await daemon.client.put("book", text)
        #expect(try await exported("book", daemon) == expected)
        #expect(try log(daemon).contains("a reading goes on where it stopped"))
        try await waitUntil("the job's files are still there") { jobFiles(daemon).isEmpty }
    }

    @Test(
        "a reading whose daemon is told to stop goes on in the next one, whether or not it is asked for again"
    )
    func stopped() async throws {
        let daemon = try await daemon("drain_seconds: 0.5\n")
        let text = try DocumentText(Self.text(bytes: 2 * Self.chunk))
        let client = daemon.client
        let attached = Task { try await client.put("book", text) }
        try await waitUntil("no checkpoint was written") { try metric("caked_checkpoints_written_total", daemon) > 0 }
        #expect(try await client.document("book").state == .reading)
        #expect(try await client.document("book").progress?.phase == "prefill")
        #expect(try await client.documents().isEmpty)
        #expect(try await client.documents(everything: true).map(\.id) == ["book"])
        daemon.stop(SIGTERM)
        let outcome = await attached.result
        #expect(throws: ClientError.self) { try outcome.get() }
        try await daemon.start()
        // Right after a start the desk has not looked at the jobs yet, and the document is unknown.
        try await waitUntil("the reading did not go on") {
            (try? await daemon.client.document("book").state) == .ready
        }
        #expect(try metric("caked_documents_resumed_total", daemon) == 1)
        try await waitUntil("the job's files are still there") { jobFiles(daemon).isEmpty }
    }

    @Test("a document deleted while it is read is gone, and no restart brings it back")
    func deleted() async throws {
        let daemon = try await daemon()
        let text = try DocumentText(Self.text())
        for name in ["first", "second"] {
            let accepted = try await daemon.client.put(name, text, options: DocumentOptions(detached: true))
            #expect(accepted.state == .queued || accepted.state == .reading)
        }
        #expect(jobFiles(daemon).filter { $0.hasSuffix(".job") }.count == 2)
        try await daemon.client.delete("second")
        try await daemon.client.delete("first")
        await #expect(throws: ClientError.self) { try await daemon.client.document("first") }
        await #expect(throws: ClientError.self) { try await daemon.client.delete("first") }
        try await waitUntil("the jobs' files are still there") { jobFiles(daemon).isEmpty }
        daemon.stop(SIGKILL)
        try await daemon.start()
        try await daemon.becomesIdle()
        #expect(try await daemon.client.documents(everything: true).isEmpty)
    }

    @Test("the same request joins the reading that runs, which stops when the last who wants it has gone")
    func joined() async throws {
        let daemon = try await daemon()
        let text = try DocumentText(Self.text())
        let client = daemon.client
        let first = Task { try await client.put("book", text) }
        try await waitUntil("it is not read") { (try? await client.document("book").state) == .reading }
        let second = Task { try await client.put("book", text) }
        try await waitUntil("nobody joined") { try metric("caked_requests_joined_total", daemon) == 1 }
        first.cancel()
        let document = try await second.value
        #expect(document.tokens > 1000)
        #expect(try metric("caked_documents_written_total", daemon) == 1)

        let alone = Task { try await client.put("other", text) }
        try await waitUntil("it is not read") { (try? await client.document("other").state) == .reading }
        alone.cancel()
        try await daemon.becomesIdle()
        await #expect(throws: ClientError.self) { try await client.document("other") }
        #expect(jobFiles(daemon).isEmpty)
    }

    @Test("a document moves to another daemon and answers there as it did here; another template refuses it by name")
    func moved() async throws {
        let heldOut = try HeldOut.load().documents[0]
        let (here, there) = (try await daemon(), try await daemon())
        let put = try await here.client.put("book", DocumentText(Array(heldOut.text.utf8)))
        let file = here.folder.appending(path: "book.caked").path
        #expect(try here.cakectl(["export", "book", file]).status == 0)
        let imported = try there.cakectl(["import", file, "--name", "copy", "--pin", "--json"])
        #expect(imported.status == 0, "\(imported.errors)")
        #expect(imported.output.contains(#""id":"copy""#) && imported.output.contains(#""pinned":true"#))
        for question in heldOut.questions.prefix(4) {
            let asked = try await here.client.complete(CompletionBody(document: "book", question: question.question))
            let answered = try await there.client.complete(
                CompletionBody(document: "copy", question: question.question))
            #expect(answered.text == asked.text)
        }
        let copy = try await there.client.document("copy")
        #expect(copy.entries == put.entries && copy.layers == put.layers)
        // The same text with the same options is there already.
        let again = try await there.client.put("copy", DocumentText(Array(heldOut.text.utf8)))
        #expect(again.wasCreated == false)
        // Back under its own name it is the same file.
        #expect(try there.cakectl(["import", file]).status == 0)
        #expect(try await exported("book", there) == Data(contentsOf: URL(filePath: file)))

        let other = try await daemon("template: zephyr\n")
        let refused = try other.cakectl(["import", file])
        #expect(refused.status == 1 && refused.errors.contains("another template"), "\(refused.errors)")
        var damaged = try Data(contentsOf: URL(filePath: file))
        damaged[damaged.count / 2] ^= 1
        try damaged.write(to: URL(filePath: file))
        let refusal = try there.cakectl(["import", file, "--name", "bad"])
        #expect(refusal.status == 1 && refusal.errors.contains("damaged"), "\(refusal.errors)")
        #expect(try await there.client.documents().map(\.id) == ["book", "copy"])
    }

    @Test("the model is hashed once, and again when its file was touched")
    func hashedOnce() async throws {
        let model = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString).gguf")
        try FileManager.default.copyItem(atPath: Project.model, toPath: model.path)
        defer { try? FileManager.default.removeItem(at: model) }
        // A file changed a moment ago is not trusted.
        try await Task.sleep(for: .seconds(3))
        let daemon = try await Daemon(["--model", model.path])
        func hashes() throws -> Int { try log(daemon).components(separatedBy: "hashed the model").count - 1 }
        #expect(try hashes() == 1)
        _ = try await daemon.client.put("a", DocumentText(Array("The code is 7411.".utf8)))
        daemon.stop(SIGTERM)
        try await daemon.start()
        #expect(try hashes() == 1)
        _ = try await daemon.client.complete(CompletionBody(document: "a", question: "Which code?"))
        daemon.stop(SIGTERM)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSince1970: 1e9)], ofItemAtPath: model.path)
        try await daemon.start()
        #expect(try hashes() == 2)
        _ = try await daemon.client.complete(CompletionBody(document: "a", question: "Which code?"))
    }
}
