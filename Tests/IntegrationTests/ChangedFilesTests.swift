// Files changed under the running daemon by an administrator's mistake: said, survived, and nothing wrong acknowledged.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct ChangedFilesTests {
    /// A daemon with a model file of its own, which may be harmed.
    private func daemon(_ settings: String = "") async throws -> Daemon {
        let folder = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (model, file) = (folder.appending(path: "m.gguf").path, folder.appending(path: "c.yaml"))
        try FileManager.default.copyItem(atPath: Project.model, toPath: model)
        try Data("method: full\n\(settings)".utf8).write(to: file)
        return try await Daemon(["--config", file.path], model: model)
    }

    /// Status and code of what is refused.
    private func refusal(_ body: () async throws -> Void) async -> String {
        do {
            try await body()
            return "done"
        } catch {
            guard case .api(let status, let code, _, _, _)? = error as? ClientError else { return "\(error)" }
            return "\(status) \(code)"
        }
    }

    private func log(_ daemon: Daemon) throws -> [String] {
        try String(contentsOf: daemon.folder.appending(path: "log"), encoding: .utf8).split(separator: "\n")
            .map(String.init)
    }

    private func question(_ name: String) -> CompletionBody { CompletionBody(document: name, question: "Who?") }

    @Test("while a model file is away new work gets 503 model_changed; what comes in its place ends the daemon with 75")
    func changedModel() async throws {
        let daemon = try await daemon()
        let text = try DocumentText(Array(HeldOut.load().documents[0].text.utf8))
        _ = try await daemon.client.put("a", text)
        let before = try await daemon.client.complete(question("a")).text
        // Away, so that the daemon waits for a whole one for as long as this asks.
        try FileManager.default.moveItem(atPath: daemon.model, toPath: daemon.model + ".away")
        #expect(await refusal { _ = try await daemon.client.put("b", text) } == "503 model_changed")
        #expect(await refusal { _ = try await daemon.client.complete(question("a")) } == "503 model_changed")
        // What needs no model goes on until then.
        #expect(try await daemon.client.documents().map(\.id) == ["a"])
        try FileManager.default.copyItem(atPath: daemon.model + ".away", toPath: daemon.model)
        daemon.process?.waitUntilExit()
        #expect(daemon.process?.terminationStatus == 75)
        // Removed or replaced, as the daemon's look of every second found it.
        #expect(try log(daemon).contains { $0.contains("the model file \(daemon.model) was re") })
        try await daemon.start()
        #expect(try await daemon.client.complete(question("a")).text == before)
        #expect(try await daemon.client.documents().map(\.id) == ["a"])
    }

    @Test("a model file that was written to ends the daemon with 75, though its bytes are the same")
    func writtenModel() async throws {
        let daemon = try await daemon()
        // Only the time of the last change tells.
        let handle = try #require(FileHandle(forUpdatingAtPath: daemon.model))
        let last = try #require(try handle.readToEnd()?.last)
        try handle.seek(toOffset: try handle.offset() - 1)
        try handle.write(contentsOf: [last])
        daemon.process?.waitUntilExit()
        #expect(daemon.process?.terminationStatus == 75)
        #expect(try log(daemon).contains { $0.contains("\(daemon.model) was written to") })
    }

    @Test("a model file that is cut while a document is read ends the daemon with a line that names it")
    func truncatedModel() async throws {
        let daemon = try await daemon("repack: off\n")
        let text = try DocumentText(DurableJobTests.text(bytes: 50_000))
        _ = try await daemon.client.put("a", text, options: DocumentOptions(detached: true))
        for _ in 0..<2000 where try await daemon.client.status().running.documents == 0 {
            try await Task.sleep(for: .milliseconds(5))
        }
        let lines = try log(daemon).count
        #expect(unsafe truncate(daemon.model, 8192) == 0)
        daemon.process?.waitUntilExit()
        #expect(daemon.process?.terminationStatus == 75)
        // The first to meet the hole says it: the reading (SIGBUS, one line), or the look of every second (a stop).
        let said = try log(daemon).dropFirst(lines)
        #expect((1...3).contains(said.count), "\(said)")
        #expect(said.last?.hasPrefix("critical: ") == true, "\(said)")
        let wanted = said.count == 1 ? "\(daemon.model) was cut short" : "to 8192 bytes while it was loaded"
        #expect(said.last?.contains(wanted) == true, "\(said)")
    }

    @Test("a data.mdb that was removed or replaced is noticed by puts, asks and verify, and can still be saved")
    func removedStore() async throws {
        let daemon = try await daemon()
        let text = try DocumentText(Array(HeldOut.load().documents[0].text.utf8))
        _ = try await daemon.client.put("a", text)
        let before = try await daemon.client.complete(question("a")).text
        let file = daemon.state + "/data.mdb"
        try FileManager.default.removeItem(atPath: file)
        #expect(await refusal { _ = try await daemon.client.put("b", text) } == "503 store_lost")
        #expect(await refusal { _ = try await daemon.client.put("a", text) } == "503 store_lost")
        #expect(await refusal { _ = try await daemon.client.complete(question("a")) } == "503 store_lost")
        #expect(await refusal { _ = try await daemon.client.verify() } == "503 store_lost")
        let said = try daemon.cakectl(["verify"])
        #expect(said.status == 75, "\(said)")
        // The command that the message gives saves everything.
        let command = try #require(said.errors.split(separator: "`").dropFirst().first.map(String.init))
        #expect(try run(URL(filePath: "/bin/sh"), ["-c", command]).status == 0, "\(command)")
        daemon.stop(SIGTERM)
        try FileManager.default.moveItem(atPath: file + ".saved", toPath: file)
        try await daemon.start()
        #expect(try await daemon.client.complete(question("a")).text == before)

        #expect(unsafe truncate(file, 8192) == 0)
        #expect(await refusal { _ = try await daemon.client.put("b", text) } == "503 store_lost")
        #expect(await refusal { _ = try await daemon.client.complete(question("a")) } == "503 store_lost")
        #expect(await refusal { _ = try await daemon.client.verify() } == "503 store_lost")
    }
}
