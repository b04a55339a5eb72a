// Conversations on the whole engine: a turn reads what is new, whose tails they are, and when they go.

import API
import EngineInterface
import Foundation
import Inference
import Testing

@Suite(.serialized, .timeLimit(.minutes(10))) struct ConversationTests {
    private struct Answer: Equatable {
        var text = ""
        var promptTokens = 0
        var cachedTokens = 0
        var generatedTokens = 0
        var reason = FinishReason.stop

        /// Those that went through the model: all but the last one, which ends the turn or is cut off.
        var knownTokens: Int { promptTokens + generatedTokens - (reason == .length ? 1 : 0) }
        var readTokens: Int { promptTokens - cachedTokens }
    }

    private let document: HeldOutDocument

    init() throws { document = try HeldOutDocument.first() }

    private var questions: [String] { document.questions.map(\.question) }

    private func put(
        method: String = "full", keep: Keep = .percent(100), rows: StoredRows? = nil,
        more: String = "", _ engine: Engine
    ) async throws -> Int {
        var tokens = 0
        let options = DocumentOptions(keep: keep, method: method, rows: rows?.rawValue)
        for try await event in engine.put(
            PutRequest(owner: 1, name: "d", text: Array((document.text + more).utf8), options: options))
        {
            if case .finished(let document, _) = event { tokens = document.tokens }
        }
        return tokens
    }

    private func ask(
        _ messages: [ChatMessage], about document: String? = "d", user: UInt32 = 1, budget: Int? = nil,
        _ engine: Engine
    ) async throws -> Answer {
        var answer = Answer()
        let request = CompletionRequest(
            owner: 1, document: document, prompt: .messages(messages), budget: budget, maxTokens: 40, user: user)
        for try await event in engine.complete(request) {
            if case .text(let piece) = event { answer.text += piece }
            if case .finished(let reason, let usage) = event {
                answer.reason = reason
                answer.promptTokens = usage.promptTokens
                answer.cachedTokens = usage.promptTokensDetails.cachedTokens
                answer.generatedTokens = usage.completionTokens
            }
        }
        return answer
    }

    /// Asks one question after the other, each with all that was said before.
    private func converse(
        _ questions: some Swift.Sequence<String>, about document: String? = "d", _ engine: Engine
    ) async throws -> [Answer] {
        var (messages, answers): ([ChatMessage], [Answer]) = ([], [])
        for question in questions {
            messages.append(ChatMessage(.user, question))
            let answer = try await ask(messages, about: document, engine)
            messages.append(ChatMessage(.assistant, answer.text))
            answers.append(answer)
        }
        return answers
    }

    /// Runs a body on an engine, and stops it.
    private func run<Result>(
        _ place: StatePlace, tailBytes: Int? = nil, _ body: (Engine) async throws -> Result
    ) async throws -> Result {
        let engine = try place.start { $0.tailBytes = tailBytes }
        let result = try await body(engine)
        await engine.shutdown(graceSeconds: 5)
        return result
    }

    private func tails(_ engine: Engine) -> DaemonStatus.Tails { engine.status().daemon.tails }

    /// Waits until the engine keeps so many tails.
    private func waitForTails(_ count: Int, _ engine: Engine) async throws {
        while tails(engine).count != count { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test("a turn reads only what is new, about a document and without one", arguments: ["d", nil])
    func turns(_ name: String?) async throws {
        let place = StatePlace()
        try await run(place) { engine async throws in
            let base = name == nil ? 0 : try await put(engine)
            let answers = try await converse(questions.prefix(4), about: name, engine)
            #expect(answers[0].cachedTokens == base)
            for (last, next) in zip(answers, answers.dropFirst()) { #expect(next.cachedTokens == last.knownTokens) }
            // What the engine says it has read is what the answers say.
            #expect(engine.status().questionTokens == answers.reduce(0) { $0 + $1.readTokens })
            #expect(answers[3].readTokens < answers[0].readTokens + 20)
            let kept = tails(engine)
            #expect(kept.count == 1 && kept.hits == 3 && kept.bytes > 0 && kept.bytes <= kept.limitBytes)
            #expect(kept.savedTokens == answers.reduce(0) { $0 + $1.cachedTokens - base })
        }
    }

    @Test(
        "the answers are those of conversations whose every turn is read whole",
        arguments: [StoredRows.f16, .q8_0, .q4])
    func sameAnswers(_ rows: StoredRows) async throws {
        let place = StatePlace()
        func answers(_ tailBytes: Int?) async throws -> [Answer] {
            try await run(place, tailBytes: tailBytes) { engine async throws in
                _ = try await put(method: "cake-global:fast", keep: .percent(50), rows: rows, engine)
                var answers: [Answer] = []
                for first in stride(from: 0, to: 12, by: 4) {
                    answers += try await converse(questions[first..<first + 4], engine)
                }
                return answers
            }
        }
        let (kept, whole) = (try await answers(nil), try await answers(0))
        #expect(kept.map(\.text) == whole.map(\.text))
        #expect(kept.reduce(0) { $0 + $1.readTokens } < whole.reduce(0) { $0 + $1.readTokens } / 2)
        #expect(Set(whole.map(\.cachedTokens)).count == 1, "nothing is kept where that is switched off")
    }

    @Test("another end of a conversation takes what both have, and neither spoils the other")
    func forks() async throws {
        let place = StatePlace()
        try await run(place) { engine async throws in
            _ = try await put(engine)
            let first = ChatMessage(.user, questions[0])
            let answer = try await ask([first], engine)
            let said = [first, ChatMessage(.assistant, answer.text)]
            func askNext(_ number: Int) async throws -> Answer {
                try await ask(said + [ChatMessage(.user, questions[number])], engine)
            }
            // At the same time, and once more one after the other.
            async let one = askNext(1)
            async let two = askNext(2)
            let together = [try await one, try await two]
            #expect(together.map(\.cachedTokens) == [answer.knownTokens, answer.knownTokens])
            for (number, before) in zip([1, 2], together) {
                let again = try await askNext(number)
                #expect(again.text == before.text && again.cachedTokens >= before.cachedTokens)
            }
            #expect(together[0].text.contains(document.questions[1].value))
            #expect(together[1].text.contains(document.questions[2].value))
        }
    }

    @Test("a user gets nothing of what another said about the same document, nor does another budget")
    func origins() async throws {
        let place = StatePlace()
        try await run(place) { engine async throws in
            let base = try await put(method: "cake-global:fast", keep: .percent(50), engine)
            let answers = try await converse(questions.prefix(2), engine)
            let messages = [
                ChatMessage(.user, questions[0]), ChatMessage(.assistant, answers[0].text),
                ChatMessage(.user, questions[1]),
            ]
            #expect(try await ask(messages, user: 2, engine).cachedTokens == base)
            #expect(try await ask(messages, budget: 300, engine).cachedTokens == base)
            #expect(tails(engine).count == 3)
            let more = messages + [ChatMessage(.assistant, answers[1].text), ChatMessage(.user, questions[2])]
            for user: UInt32 in [1, 2] {
                #expect(try await ask(more, user: user, engine).cachedTokens == answers[1].knownTokens)
            }
        }
    }

    @Test("what is cancelled leaves what it has read")
    func cancelled() async throws {
        let place = StatePlace()
        try await run(place) { engine async throws in
            let base = try await put(engine)
            let messages = [ChatMessage(.user, questions.prefix(8).joined(separator: " "))]
            func begin() async throws {
                let request = CompletionRequest(owner: 1, document: "d", prompt: .messages(messages))
                for try await event in engine.complete(request) { if case .text = event { return } }
            }
            try await begin()
            try await waitForTails(1, engine)
            let answer = try await ask(messages, engine)
            // The last piece of the prompt is read again, since its last row is needed.
            #expect(answer.cachedTokens - base >= 64 && answer.readTokens <= 64)
        }
    }

    private enum Change: CaseIterable { case delete, replace, shrink, rename }

    @Test("the tails of a document go with it", arguments: Change.allCases)
    private func dropped(_ change: Change) async throws {
        let place = StatePlace()
        try await run(place) { engine async throws in
            _ = try await put(method: "cake-global:fast", keep: .percent(50), engine)
            let other = try await converse(questions.prefix(2), about: nil, engine)
            _ = try await converse(questions.prefix(2), engine)
            #expect(tails(engine).count == 2)
            switch change {
            case .delete: try engine.delete("d", owner: 1)
            case .replace: _ = try await put(more: " The end.", engine)
            case .shrink: _ = try engine.update("d", owner: 1, DocumentChange(keep: .percent(20)))
            case .rename: _ = try engine.update("d", owner: 1, DocumentChange(name: "e"))
            }
            try await waitForTails(1, engine)
            if change == .delete || change == .rename {
                _ = try await put(method: "cake-global:fast", keep: .percent(50), engine)
            }
            let base = try engine.document("d", owner: 1).tokens
            #expect(try await converse(questions.prefix(1), engine)[0].cachedTokens == base)
            // The plain chat has lost nothing.
            let messages = [
                ChatMessage(.user, questions[0]), ChatMessage(.assistant, other[0].text),
                ChatMessage(.user, questions[2]),
            ]
            #expect(try await ask(messages, about: nil, engine).cachedTokens == other[0].knownTokens)
        }
    }

    @Test("a restart forgets the tails and answers the same")
    func restarts() async throws {
        let place = StatePlace()
        let first = try await run(place) { engine async throws in
            _ = try await put(engine)
            return try await converse(questions.prefix(3), engine)
        }
        try await run(place) { engine async throws in
            #expect(tails(engine).count == 0)
            let messages = [
                ChatMessage(.user, questions[0]), ChatMessage(.assistant, first[0].text),
                ChatMessage(.user, questions[1]),
            ]
            let answer = try await ask(messages, engine)
            #expect(answer.text == first[1].text && answer.cachedTokens == first[0].cachedTokens)
        }
    }
}
