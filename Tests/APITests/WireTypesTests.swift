// Answers and questions as JSON: what one side writes the other reads, and nothing is lost on the way.

import API
import Testing

@Suite("Wire types") struct WireTypesTests {
    private func isRead<Value: Codable & Equatable>(_ value: Value) throws -> Bool {
        try JSONText.decode(Value.self, from: JSONText.encode(value)) == value
    }

    @Test("a document is read as it was written, with every field and with those that are always there")
    func documents() throws {
        var document = Document(id: "a", model: "m")
        #expect(try isRead(document))
        document.setEntries(8, of: 80)
        document.state = .reading
        document.progress = PutProgress(phase: "prefill", layer: 1, layers: 2, fraction: 0.5)
        (document.problem, document.ttlSeconds, document.expires) = ("torn", 60, 1060)
        (document.shrunkFrom, document.shrunkAt, document.wasCreated) = (9, 1001, true)
        document.check = CheckFigures(budget: 4)
        document.promptChange = PromptChange(read: "a", now: "b")
        document.warnings = ["`a` is unknown and has no effect"]
        document.layers = [DocumentLayer(budget: 1.5, preference: 2, entries: [4, 4])]
        #expect(document.kept == 0.1)
        #expect(try isRead(document))
    }

    @Test(
        "of two prompts the lines that differ are said, and nothing of equal ones",
        arguments: [
            ("a\nToday: 27 Nov\nb\n", "a\nToday: 28 Nov\nb\n", ["Today: 27 Nov", "Today: 28 Nov"]),
            ("a\nb", "a\nx\nb", ["", "x"]), ("a", "b", ["a", "b"]), ("a\na", "a\na\na", ["", "a"]),
            ("a\nb", "a\nb", nil), ("", "", nil),
        ] as [(String, String, [String]?)])
    func promptChange(read: String, now: String, lines: [String]?) {
        #expect(PromptChange(read: read, now: now).map { [$0.read, $0.now] } == lines)
    }

    @Test("a usage that is null is not one that is absent", arguments: [Completion.UsageField.absent, .null])
    func usage(_ field: Completion.UsageField) throws {
        var completion = Completion(
            id: "c", object: "chat.completion", created: 1, model: "m",
            choices: [.init(delta: .init(content: "x"), finishReason: .length)], usage: field)
        #expect(try isRead(completion))
        #expect(completion.usage.value == nil)
        let usage = Usage(
            promptTokens: 9, cachedTokens: 5, completionTokens: 2, prefillSeconds: 0.5, decodeSeconds: 0.25)
        completion.usage = .value(usage)
        #expect(usage.totalTokens == 11)
        completion.warnings = ["`a` is unknown and has no effect"]
        #expect(try isRead(completion) && completion.usage.value == usage)
    }

    @Test("a question is read as it was written")
    func questions() throws {
        var body = CompletionBody(
            document: "a", messages: [ChatMessage(.system, "Be brief."), ChatMessage(.user, "Who?")])
        #expect(try isRead(body))
        (body.budget, body.maxTokens, body.temperature, body.topP, body.topK) = (40, 7, 0.7, 0.9, 40)
        (body.minP, body.repetitionPenalty, body.seed, body.stop, body.model) = (0.05, 1.1, -1, ["\n", "."], "m")
        (body.streams, body.includesUsage) = (true, true)
        #expect(try isRead(body))
    }

    @Test("the smaller objects are read as they were written")
    func others() throws {
        var status = DaemonStatus(model: "m", contextLength: 4096)
        #expect(try isRead(status))
        (status.quotaBytes, status.jobs.durable, status.reclaimed.shrunk.bytes) = (9, 2, 3)
        #expect(try isRead(status))
        #expect(try isRead(ModelCard(id: "m", created: 7, contextLength: 4096, parameters: 10)))
        let checked = CheckedDocument(
            document: VerifiedDocument(id: "a", bytes: 5, problem: nil), number: 1, total: 2)
        #expect(try isRead(checked))
        #expect(try isRead(DeletedDocument(id: "a")))
        #expect(try isRead(ErrorBody(error: .init(message: "m", type: "t", param: nil, code: "c"))))
    }

    @Test(
        "a document's name is 1 to 128 of the allowed characters and begins with no dot",
        arguments: [
            ("a", true), ("a.b-c_D9", true), ("", false), (".a", false), ("a/b", false), ("ü", false), ("a~", false),
        ])
    func names(_ name: String, _ isPossible: Bool) {
        #expect(DocumentName.isPossible(name) == isPossible)
        #expect(DocumentName.isPossible(String(repeating: "a", count: DocumentName.maximumBytes)))
        #expect(!DocumentName.isPossible(String(repeating: "a", count: DocumentName.maximumBytes + 1)))
    }
}
