// Conversations with the real daemon: what a turn costs, told to its client, the status and the metrics.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct ConversationTests {
    @Test("the second turn of a conversation reads only what is new, and status and metrics count it")
    func turns() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let document = try await daemon.client.put("doc", DocumentText(Array(heldOut.documents[0].text.utf8)))
        var messages: [ChatMessage] = []
        var costs: [Usage] = []
        for question in heldOut.documents[0].questions.prefix(2) {
            messages.append(ChatMessage(.user, question.question))
            let answer = try await daemon.client.complete(CompletionBody(document: "doc", messages: messages))
            #expect(answer.text.contains(question.value))
            messages.append(ChatMessage(.assistant, answer.text))
            costs.append(try #require(answer.usage))
        }
        #expect(costs[0].promptTokensDetails.cachedTokens == document.tokens)
        let cached = costs[1].promptTokensDetails.cachedTokens
        #expect(cached == costs[0].totalTokens)
        let tails = try await daemon.client.status().tails
        #expect(tails.count == 1 && tails.hits == 1 && tails.savedTokens == cached - document.tokens)
        #expect(try daemon.cakectl(["status"]).output.contains("1 hit saved \(tails.savedTokens) tokens"))
        #expect(try daemon.metric("caked_tails") == 1 && daemon.metric("caked_tail_hits_total") == 1)
        #expect(try daemon.metric("caked_tail_saved_tokens_total") == Double(tails.savedTokens))
        #expect(try daemon.metric("caked_tail_bytes") == Double(tails.bytes))
    }

    @Test("OpenAI's client library sees what a turn did not read, in streams and without")
    func openAI() async throws {
        let python = try #require(
            ProcessInfo.processInfo.environment["CAKED_TEST_PYTHON"],
            "set CAKED_TEST_PYTHON to a Python with the package openai, as `make test` does")
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let document = try await daemon.client.put("doc", DocumentText(Array(heldOut.documents[0].text.utf8)))
        let questions = heldOut.documents[0].questions.prefix(3).map(\.question)
        let script = Project.root.appending(path: "Tests/IntegrationTests/Python/openai_turns.py").path
        let outcome = try run(URL(filePath: python), [script, daemon.socket, "doc"] + questions)
        #expect(outcome.status == 0, "\(outcome.errors)")
        struct Turn: Decodable {
            var text: String
            var prompt: Int
            var completion: Int
            var cached: Int
        }
        let turns = try JSONDecoder().decode([Turn].self, from: Data(outcome.output.utf8))
        #expect(turns.count == 3 && turns[0].cached == document.tokens)
        for (last, next) in zip(turns, turns.dropFirst()) { #expect(next.cached == last.prompt + last.completion) }
    }
}
