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

    @Test("several answers to a question read its prompt once, and differ where they are drawn")
    func several() async throws {
        let heldOut = try HeldOut.load()
        let daemon = try await Daemon()
        let document = try await daemon.client.put("doc", DocumentText(Array(heldOut.documents[0].text.utf8)))
        let long = heldOut.documents[1].text.prefix(1500)
        let body = #"""
            {"document":"doc","n":3,"temperature":2,"seed":1,"max_tokens":20,"logprobs":true,"top_logprobs":2,
             "messages":[{"role":"user","content":\#(try JSONEncoder().encode(String(long)).text)}]}
            """#
        let outcome = try run(
            URL(filePath: "/usr/bin/curl"),
            ["-s", "--unix-socket", daemon.socket, "-d", body, "http://x/v1/chat/completions"])
        let answer = try JSONDecoder().decode(Completion.self, from: Data(outcome.output.utf8))
        #expect(Set(answer.choices.compactMap(\.message?.content)).count == 3)
        for choice in answer.choices {
            let tokens = try #require(choice.logprobs?.content)
            #expect(
                !tokens.isEmpty
                    && tokens.allSatisfy { $0.topLogprobs.count == 2 && $0.logprob <= $0.topLogprobs[0].logprob })
        }
        let usage = try #require(answer.usage.value)
        let own = usage.promptTokens - document.tokens
        // The other two read the last piece of the prompt again.
        #expect(own > 200)
        #expect(try daemon.metric("caked_question_tokens_total") <= Double(own + 2 * 64))
    }

    @Test("OpenAI's client library sees what a turn did not read, several answers, and how likely their tokens were")
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
        struct Choice: Decodable {
            var index: Int
            var text: String
            var tokens: String
            var tops: [Int]
        }
        struct Result: Decodable {
            var turns: [Turn]
            var choices: [Choice]
            var offsets: [Int]
            var tokens: String
            var text: String
        }
        let result = try JSONDecoder().decode(Result.self, from: Data(outcome.output.utf8))
        let turns = result.turns
        #expect(turns.count == 3 && turns[0].cached == document.tokens)
        for (last, next) in zip(turns, turns.dropFirst()) { #expect(next.cached == last.prompt + last.completion) }
        #expect(result.choices.map(\.index) == [0, 1])
        for choice in result.choices { #expect(choice.tokens == choice.text && Set(choice.tops) == [3]) }
        #expect(result.tokens == result.text && result.offsets.first == 0 && result.offsets == result.offsets.sorted())
    }
}

extension Data {
    fileprivate var text: String { String(decoding: self, as: UTF8.self) }
}
