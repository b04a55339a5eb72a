// A model that thinks before it answers: its thoughts on a way of their own, from the engine to the terminal.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct ReasoningTests {
    @Test("what follows a thought that the template opened is a thought, and stays out of the answer")
    func openedByTheTemplate() async throws {
        let daemon = try await Daemon()
        daemon.stop(SIGTERM)
        daemon.model = try thinkingModel(in: daemon.folder)
        try await daemon.start()
        var request = CompletionBody(question: "Who?")
        request.maxTokens = 8
        // The model knows no end of a thought, so all of it is one.
        let answer = try await daemon.client.complete(request)
        #expect(answer.text == "" && !answer.reasoning.isEmpty)
        let streamed = try await daemon.client.stream(request) { _ in }
        #expect(streamed.text == "" && streamed.reasoning == answer.reasoning)

        _ = try await daemon.client.put(
            "a", DocumentText(Array("The locker number for room 7 is 5259.".utf8)),
            options: DocumentOptions(keep: .percent(100)))
        let asked = try daemon.cakectl(["ask", "a", "Who?", "--max-tokens", "8"])
        #expect(asked.status == 0 && asked.output == "\n" && !asked.errors.isEmpty, "\(asked)")
        for flags in [["ask", "--hide-thoughts"], ["--quiet", "ask"]] {
            let hidden = try daemon.cakectl(flags + ["a", "Who?", "--max-tokens", "8"])
            #expect(hidden.status == 0 && hidden.output == "\n" && hidden.errors.isEmpty, "\(hidden)")
        }
        let line = try daemon.cakectl(["--json", "ask", "a", "Who?", "--max-tokens", "8"])
        #expect(line.output.contains(#""answer":"""#) && line.output.contains(#""reasoning":""#), "\(line)")
    }

    /// The bundled model with a template that asks for an answer by `<think>`.
    private func thinkingModel(in folder: URL) throws -> String {
        var data = try Data(contentsOf: URL(filePath: Project.model))
        let (plain, thinking) = (Data("<|im_start|>assistant".utf8), Data("<|im_start|>x <think>".utf8))
        data.replaceSubrange(try #require(data.range(of: plain), "the template asks otherwise"), with: thinking)
        let path = folder.appending(path: "thinking.gguf")
        try data.write(to: path)
        return path.path
    }
}
