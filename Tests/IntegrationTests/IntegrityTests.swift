// Damage on the disk, with the real programs: found, told, kept to one document, mended; and documents of another
// model.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct IntegrityTests {
    private struct NotThere: Error {}

    /// Kinds of records in a store's file, as their headers have them.
    private enum Kind: UInt8 { case segment, text, tokens }

    /// Flips a bit in the payload of a record of the document that was written as the `generation`th.
    private func damage(_ daemon: Daemon, generation: UInt64, _ kind: Kind) throws {
        let file = URL(filePath: daemon.state + "/data.mdb")
        var data = try Data(contentsOf: file)
        // Magic, version, kind, …, generation at 16: see RecordHeader.
        var start = data.startIndex
        while let found = data.range(of: Self.magic, in: start..<data.endIndex) {
            let header = data[found.lowerBound..<min(found.lowerBound + 64, data.endIndex)]
            let bytes = Array(header)
            if bytes.count == 64, bytes[6] == kind.rawValue,
                bytes[16..<24].reversed().reduce(0, { $0 << 8 | UInt64($1) }) == generation
            {
                data[found.lowerBound + 150] ^= 4
                return try data.write(to: file)
            }
            start = found.upperBound
        }
        throw NotThere()
    }

    private static let magic = Data("CKRG".utf8)

    private func failure(_ body: () async throws -> Void) async -> (status: Int, code: String, message: String) {
        do {
            try await body()
            return (200, "", "")
        } catch {
            guard case .api(let status, let code, let message, _, _)? = error as? ClientError else {
                return (0, "\(error)", "")
            }
            return (status, code, message)
        }
    }

    private func ask(_ name: String, _ document: HeldOut.Document, _ daemon: Daemon) async throws -> String {
        try await daemon.client.complete(CompletionBody(document: name, question: document.questions[0].question)).text
    }

    @Test("a flipped bit is found by verify and by a question, harms no other document, and is mended by rebuild")
    func damaged() async throws {
        let documents = try HeldOut.load().documents
        let daemon = try await Daemon()
        let options = DocumentOptions(keep: .budget(90), method: "cake", rows: "q8_0", ttlSeconds: 9000, pinned: true)
        var expected: [String] = []
        for (number, name) in ["a", "b", "c"].enumerated() {
            _ = try await daemon.client.put(
                name, DocumentText(Array(documents[number].text.utf8)), options: options)
            expected.append(try await ask(name, documents[number], daemon))
        }
        let before = try await daemon.client.document("a")
        #expect(try daemon.cakectl(["verify"]).status == 0)
        daemon.stop(SIGTERM)
        try damage(daemon, generation: 1, .segment)
        try damage(daemon, generation: 3, .text)
        try await daemon.start()

        let asked = await failure { _ = try await ask("a", documents[0], daemon) }
        #expect((asked.status, asked.code) == (410, "document_damaged"))
        #expect(asked.message.contains("\"a\"") && asked.message.contains("cakectl rebuild a"))
        // Of this one the text is what is damaged: rebuilding it is not advised.
        let textless = await failure { _ = try await ask("c", documents[2], daemon) }
        #expect((textless.status, textless.code) == (410, "document_damaged"))
        #expect(textless.message.contains("cakectl rm c") && !textless.message.contains("rebuild"), "\(textless)")
        #expect(try await ask("b", documents[1], daemon) == expected[1])
        let verified = try daemon.cakectl(["verify"])
        #expect(verified.status == 1, "\(verified)")
        #expect(verified.output.contains("a: damaged, ") && verified.output.contains("3 documents, "), "\(verified)")
        #expect(try daemon.cakectl(["verify", "b"]).status == 0)
        #expect(try daemon.cakectl(["verify", "c"]).status == 1)
        #expect(try daemon.cakectl(["verify", "d"]).errors.contains("no document"))

        #expect(try await daemon.client.documents().map(\.id) == ["b"])
        let all = try await daemon.client.documents(everything: true)
        #expect(all.map(\.state) == [.damaged, .ready, .damaged])
        #expect(all[0].problem?.contains("checksum") == true && all[0].tokens == before.tokens)
        #expect(try daemon.cakectl(["ls"]).output.contains("damaged"))
        #expect(try daemon.cakectl(["show", "a"]).output.contains("cakectl rebuild a"))
        let shown = try daemon.cakectl(["show", "c"]).output
        #expect(shown.contains("cakectl rm c") && !shown.contains("rebuild"), "\(shown)")
        #expect(try await daemon.client.document("a").canRebuild == true)
        #expect(try await daemon.client.document("b").canRebuild == nil)
        #expect(try await daemon.client.status().quarantinedDocuments == 2)
        for what in ["retention", "text", "export"] {
            let status = try run(
                URL(filePath: "/usr/bin/curl"),
                [
                    "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", daemon.socket,
                    "http://x/v1/documents/a/" + what,
                ])
            #expect(status.output == "410", "\(what)")
        }

        let rebuilt = try daemon.cakectl(["rebuild", "a"])
        #expect(rebuilt.status == 0, "\(rebuilt)")
        let after = try await daemon.client.document("a")
        #expect(after.state == .ready && after.pinned && after.ttlSeconds == 9000)
        #expect(after.budget == 90 && after.method == "cake" && after.rows == "q8_0" && after.layers == before.layers)
        #expect(try await ask("a", documents[0], daemon) == expected[0])
        let lost = try daemon.cakectl(["rebuild", "c"])
        #expect(lost.status == 1 && lost.errors.contains("put it again"), "\(lost)")
        try await daemon.client.delete("c")
        #expect(try daemon.cakectl(["verify"]).status == 0)
        #expect(try await daemon.client.status().quarantinedDocuments == 0)
    }

    @Test("questions are answered while everything is verified, and each user's documents are their own affair")
    func verifyBlocksNobody() async throws {
        let documents = try HeldOut.load().documents
        let daemon = try await Daemon()
        for number in 0..<4 {
            _ = try await daemon.client.put(
                "d\(number)", DocumentText(Array(documents[number].text.utf8)), options: DocumentOptions(method: "cake")
            )
        }
        let expected = try await ask("d0", documents[0], daemon)
        let client = daemon.client
        let verifying = Task {
            var checked = 0
            for _ in 0..<20 { checked += try await client.verify().documents }
            return checked
        }
        for _ in 0..<5 { #expect(try await ask("d0", documents[0], daemon) == expected) }
        #expect(try await verifying.value == 80)
    }

    @Test("a document of another template is refused by the field that differs, and rebuild reads it for this one")
    func mismatch() async throws {
        let document = try HeldOut.load().documents[0]
        let file = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString).yaml")
        try Data("method: cake\n".utf8).write(to: file)
        let daemon = try await Daemon(["--config", file.path])
        _ = try await daemon.client.put("a", DocumentText(Array(document.text.utf8)))
        daemon.stop(SIGTERM)
        try Data("method: cake\ntemplate: zephyr\n".utf8).write(to: file)
        try await daemon.start()
        let refused = await failure { _ = try await ask("a", document, daemon) }
        #expect((refused.status, refused.code) == (409, "fingerprint_mismatch"))
        #expect(
            refused.message.contains("another template") && refused.message.contains("now zephyr")
                && refused.message.contains("rebuild"), "\(refused.message)")
        #expect(try daemon.cakectl(["rebuild", "a"]).status == 0)
        #expect(!(try await ask("a", document, daemon)).isEmpty)
    }
}
