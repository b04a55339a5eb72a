// The whole engine on the bundled model: what it takes up at start, what it leaves at a stop, and deletes in between.

import API
import EngineInterface
import Foundation
import Inference
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct EngineTests {
    private let text: [UInt8]
    private let question: String
    private let value: String

    init() throws {
        let document = try HeldOutDocument.first()
        text = Array(document.text.utf8)
        (question, value) = (document.questions[0].question, document.questions[0].value)
    }

    private func engine(_ place: StatePlace, checkpointSeconds: Double = 30) throws -> Engine {
        try place.start { $0.checkpointSeconds = checkpointSeconds }
    }

    /// An engine from its start to its stop; the store is free again afterwards.
    private func run<Result>(
        _ place: StatePlace, checkpointSeconds: Double = 30, graceSeconds: Double = 5,
        _ body: (Engine) async throws -> Result
    ) async throws -> Result {
        let engine = try engine(place, checkpointSeconds: checkpointSeconds)
        let result = try await body(engine)
        await engine.shutdown(graceSeconds: graceSeconds)
        return result
    }

    /// The whole document, or the beginning of it where nothing is asked about it.
    private func request(
        _ name: String, more: [UInt8] = [], detached: Bool = false, isShort: Bool = false
    ) -> PutRequest {
        let text = isShort ? Array(text.prefix(1500)) : text
        return PutRequest(
            owner: 1, name: name, text: text + more,
            options: DocumentOptions(keep: .percent(100), method: "full", detached: detached))
    }

    /// The stored document, whether it was written for this request, or the error.
    private func put(_ request: PutRequest, _ engine: Engine) async -> Result<(id: String, created: Bool), EngineError>
    {
        do throws(EngineError) {
            for try await event in engine.put(request) {
                if case .finished(let document, let created) = event { return .success((document.id, created)) }
                if case .accepted(let document) = event { return .success((document.id, false)) }
            }
            return .failure(.cancelled)
        } catch {
            return .failure(error)
        }
    }

    private func answer(_ question: String, about document: String, _ engine: Engine) async throws -> String {
        let request = CompletionRequest(
            owner: 1, document: document, prompt: .messages([ChatMessage(.user, question)]))
        var text = ""
        for try await event in engine.complete(request) { if case .text(let piece) = event { text += piece } }
        return text
    }

    /// Waits until a document is stored.
    private func stored(_ name: String, _ engine: Engine) async throws {
        for _ in 0..<3000 {
            if let document = try? engine.document(name, owner: 1), document.state == .ready { return }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("\(name) was never stored")
    }

    @Test("a document is put once, answers, answers the same after a restart, and is put again for nothing")
    func wholePath() async throws {
        let place = StatePlace()
        let first = try await run(place) { engine async throws in
            #expect(try await put(request("a"), engine).get() == ("a", true))
            #expect(try await put(request("a"), engine).get() == ("a", false))
            return try await answer(question, about: "a", engine)
        }
        #expect(first.contains(value))
        try await run(place) { engine async throws in
            #expect(try await answer(question, about: "a", engine) == first)
            #expect(try await put(request("a"), engine).get() == ("a", false))
        }
    }

    @Test("a start takes up the jobs that a stop left behind, whichever was begun")
    func startsWithJobs() async throws {
        let place = StatePlace()
        try await run(place, checkpointSeconds: 0.001, graceSeconds: 0) { engine async throws in
            for name in ["a", "b", "c"] {
                #expect(
                    try await put(request(name, more: Array(name.utf8), detached: true, isShort: true), engine).get().id
                        == name)
            }
        }
        try await run(place, checkpointSeconds: 0.001) { engine async throws in
            for name in ["a", "b", "c"] { try await stored(name, engine) }
            #expect(try engine.documents(owner: 1, ListQuery(everything: true)).data.map(\.id) == ["a", "b", "c"])
        }
    }

    @Test("a stop with a reading and a question under way finishes both within its grace")
    func drains() async throws {
        let place = StatePlace()
        let engine = try engine(place)
        _ = try await put(request("a"), engine).get()
        async let asked = answer(question, about: "a", engine)
        async let written = put(request("b", more: Array(" More.".utf8)), engine)
        // Both have been taken.
        func isTaken(_ name: String) -> Bool {
            guard let document = try? engine.document(name, owner: 1) else { return false }
            return document.state == .ready || document.progress != nil
        }
        while !isTaken("b") || engine.status().daemon.running.questions + engine.status().answeredQuestions < 1 {
            try await Task.sleep(for: .milliseconds(1))
        }
        await engine.shutdown(graceSeconds: 60)
        #expect(try await asked.contains(value))
        #expect(try await written.get() == ("b", true))
        #expect(await put(request("c"), engine).error == .shuttingDown)
    }

    @Test("what is deleted while it is read, checkpointed or committed is gone, and stays gone after a restart")
    func deletes() async throws {
        let place = StatePlace()
        try await run(place, checkpointSeconds: 0.001) { engine async throws in
            for delay in [0, 2, 5, 10, 20, 40, 80, 160] {
                async let written = put(request("a", detached: delay.isMultiple(of: 4), isShort: true), engine)
                try await Task.sleep(for: .milliseconds(delay))
                while (try? engine.document("a", owner: 1)) == nil { try await Task.sleep(for: .milliseconds(1)) }
                try engine.delete("a", owner: 1)
                #expect((try? engine.document("a", owner: 1)) == nil)
                _ = await written
                #expect((try? engine.document("a", owner: 1)) == nil)
            }
        }
        try await run(place) { engine async throws in
            #expect(try engine.documents(owner: 1, ListQuery(everything: true)).data.isEmpty)
        }
    }
}

extension Result where Failure == EngineError {
    fileprivate var error: EngineError? { if case .failure(let error) = self { error } else { nil } }
}
