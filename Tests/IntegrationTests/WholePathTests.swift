// The whole path with the real programs: cached once, asked many times, through restarts and kills.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct WholePathTests {
    private func answers(_ client: DaemonClient, _ heldOut: HeldOut) async throws -> [String] {
        var answers: [String] = []
        // Interleaved: every question changes the document.
        for number in 0..<8 {
            for name in 0..<2 {
                let question = heldOut.documents[name].questions[number].question
                let answer = try await client.complete(CompletionBody(document: "doc-\(name)", question: question))
                #expect(answer.usage?.promptTokensDetails.cachedTokens ?? 0 > 1900)
                answers.append(answer.text)
            }
        }
        return answers
    }

    @Test("two documents give the same sixteen answers, most of them right, before and after a kill and a restart")
    func sameAnswersAfterKill() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        for name in 0..<2 {
            let document = try await daemon.client.put(
                "doc-\(name)", DocumentText(Array(heldOut.documents[name].text.utf8)))
            #expect(document.wasCreated == true)
            // A tenth of the bytes in q8_0, in q4.
            #expect(abs(document.kept - 0.17) < 0.002)
        }
        let before = try await answers(daemon.client, heldOut)
        let right = (0..<16).filter { before[$0].contains(heldOut.documents[$0 % 2].questions[$0 / 2].value) }
        #expect(right.count >= 13, "only \(right.count) of 16 answers are right: \(before)")

        daemon.stop(SIGKILL)
        try await daemon.start()
        #expect(try await answers(daemon.client, heldOut) == before)

        #expect(daemon.stop(SIGTERM) == 0)
        try await daemon.start()
        #expect(try await answers(daemon.client, heldOut) == before)
        let again = try await daemon.client.put("doc-0", DocumentText(Array(heldOut.documents[0].text.utf8)))
        #expect(again.wasCreated == false, "the same text was read twice")
    }

    @Test(
        "a document is stored in the rows asked for, and answers the same after a kill",
        arguments: [("f16", 2.0, 0.2), ("q8_0", 1.0625, 0.2), ("q4", 0.66, 0.34)])
    func rowTypes(_ rows: String, _ bytesPerNumber: Double, _ kept: Double) async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let put = try daemon.cakectl(
            ["put", "doc", "-", "--rows", rows, "--keep", "20%"], input: heldOut.documents[0].text)
        #expect(put.status == 0, "\(put.errors)")
        #expect(try daemon.cakectl(["show", "doc"]).output.contains("\(rows) rows"))
        let document = try await daemon.client.document("doc")
        // A share is one of bytes: fewer bits, more entries.
        #expect(abs(document.kept - kept) < 0.005)
        #expect(document.bytesFull == document.entriesFull * 136)
        // Six layers of two heads of 64, keys and values; text, tokens and the ends of pages come on top.
        #expect(Double(document.bytes) < Double(document.entries) * (128 * bytesPerNumber + 8) * 1.1 + 120_000)
        func answers() async throws -> [String] {
            var answers: [String] = []
            for question in heldOut.documents[0].questions.prefix(8) {
                answers.append(
                    try await daemon.client.complete(CompletionBody(document: "doc", question: question.question)).text)
            }
            return answers
        }
        let before = try await answers()
        let right = zip(before, heldOut.documents[0].questions).filter { $0.contains($1.value) }
        #expect(right.count >= 6, "\(before)")
        daemon.stop(SIGKILL)
        try await daemon.start()
        #expect(try await answers() == before)
    }

    @Test("a daemon killed while it reads a document has no half of it afterwards, and keeps the others")
    func killedWhileReading() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let small = Array("The access code for Lisbon is 58213.".utf8)
        _ = try await daemon.client.put("small", DocumentText(small), options: DocumentOptions(keep: .percent(100)))
        let long = Array(heldOut.documents.prefix(6).map(\.text).joined(separator: "\n\n").utf8)
        let client = daemon.client
        let reading = Task { try await client.put("long", DocumentText(long)) }
        while (try await client.status()).running.documents != 1 { try await Task.sleep(for: .milliseconds(5)) }
        daemon.stop(SIGKILL)
        await #expect(throws: (any Error).self) { try await reading.value }
        try await daemon.start()
        #expect(try await daemon.client.documents().map(\.id) == ["small"])
        let answer = try await daemon.client.complete(
            CompletionBody(document: "small", question: "What is the access code for Lisbon?"))
        #expect(answer.text == "The access code for Lisbon is 58213.")
    }

    @Test("a question to one document is answered while another document is being read")
    func readingBlocksNobody() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        _ = try await daemon.client.put(
            "small", DocumentText(Array("The access code for Lisbon is 58213.".utf8)),
            options: DocumentOptions(keep: .percent(100)))
        let long = Array(heldOut.documents.prefix(6).map(\.text).joined(separator: "\n\n").utf8)
        let client = daemon.client
        let reading = Task { try await client.put("long", DocumentText(long)) }
        while (try await client.status()).running.documents != 1 { try await Task.sleep(for: .milliseconds(5)) }
        let answer = try await client.complete(
            CompletionBody(document: "small", question: "What is the access code for Lisbon?"))
        #expect(answer.text == "The access code for Lisbon is 58213.")
        #expect(
            try await client.status().running.documents == 1, "the document was read before the question was answered")
        #expect(try await reading.value.tokens > 10_000)
    }

    @Test("a client that goes away in the middle of a stream stops the work, and the daemon lives on")
    func disconnects() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let client = daemon.client
        let long = Array(heldOut.documents.prefix(6).map(\.text).joined(separator: "\n\n").utf8)
        let reading = Task { try await client.put("long", DocumentText(long)) }
        while (try await client.status()).running.documents != 1 { try await Task.sleep(for: .milliseconds(5)) }
        reading.cancel()
        await #expect(throws: (any Error).self) { try await reading.value }
        for _ in 0..<200 where (try await client.status()).running.documents != 0 {
            try await Task.sleep(for: .milliseconds(20))
        }
        #expect(try await client.status().running.documents == 0)
        #expect(try await client.documents().isEmpty)
        let answer = try await client.complete(CompletionBody(question: "What is the access code for Lisbon?"))
        #expect(!answer.text.isEmpty)
    }

    @Test("OpenAI's client library streams an answer about a cached document and sees its cached tokens")
    func openAI() async throws {
        let python = try #require(
            ProcessInfo.processInfo.environment["CAKED_TEST_PYTHON"],
            "set CAKED_TEST_PYTHON to a Python with the package openai, as `make test` does")
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let document = try await daemon.client.put("report", DocumentText(Array(heldOut.documents[0].text.utf8)))
        let question = heldOut.documents[0].questions[1]
        let outcome = try run(
            URL(filePath: python),
            [
                Project.root.appending(path: "Tests/IntegrationTests/Python/openai_stream.py").path, daemon.socket,
                "report", question.question,
            ])
        #expect(outcome.status == 0, "\(outcome.errors)")
        struct Result: Decodable {
            var named: String
            var names: [String]
            var shown: String
            var text: String
            var pieces: Int
            var cached_tokens: Int
            var model: String
            var missing_document_status: Int
            var missing_document_code: String
        }
        let result = try JSONDecoder().decode(Result.self, from: Data(outcome.output.utf8))
        #expect(result.text.contains(question.value))
        #expect(result.named == result.text)
        #expect(result.names == [result.model, "caked/report"] && result.shown == "caked/report")
        #expect(result.pieces > 1)
        #expect(result.cached_tokens == document.tokens)
        #expect(result.model == document.model)
        #expect(result.missing_document_status == 404)
        #expect(result.missing_document_code == "document_not_found")
    }
}
