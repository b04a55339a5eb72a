// One answer in the form that was asked for, whole or in chunks.

import API
import Glibc

/// Writes one answer: its id and time are the same in every chunk.
struct AnswerForm: Sendable {
    /// Which of OpenAI's two endpoints asked.
    enum Kind: Sendable { case chat, text }

    let kind: Kind
    private let id: String
    private let created: Int
    private let model: String
    private let warnings: [String]?

    /// A form for an answer, which tells the warnings where there are any.
    init(_ kind: Kind, model: String, warnings: [String]) {
        self.kind = kind
        self.model = model
        self.warnings = warnings.isEmpty ? nil : warnings
        let random = String(UInt64.random(in: .min ... .max), radix: 36)
        id = (kind == .chat ? "chatcmpl-" : "cmpl-") + random
        created = time(nil)
    }

    /// The whole answer; `tokens` nil where nobody asked for them.
    func whole(
        text: String, reasoning: String, tokens: [TokenProbability]?, reason: FinishReason, usage: Usage
    ) -> Completion {
        let logprobs = tokens.map { probabilities($0, offset: 0) }
        let choice: Completion.Choice =
            switch kind {
            case .chat:
                .init(
                    message: .init(
                        role: "assistant", content: text, reasoning: reasoning.isEmpty ? nil : reasoning),
                    finishReason: reason, logprobs: logprobs)
            case .text: .init(text: text, finishReason: reason, logprobs: logprobs)
            }
        var completion = object(
            kind == .chat ? "chat.completion" : "text_completion", [choice], usage: .value(usage))
        completion.warnings = warnings
        return completion
    }

    /// The first chunk, which says who speaks; plain completions have none.
    func opening(withUsageField: Bool) -> Completion? {
        guard kind == .chat else { return nil }
        return chunk(.init(delta: .init(role: "assistant", content: "")), withUsageField)
    }

    /// More of the answer; its tokens, where they were asked for, begin at a place of all of it.
    func chunk(text: String, tokens: [TokenProbability]?, offset: Int, withUsageField: Bool) -> Completion {
        let logprobs = tokens.map { probabilities($0, offset: offset) }
        return switch kind {
        case .chat: chunk(.init(delta: .init(content: text), logprobs: logprobs), withUsageField)
        case .text: chunk(.init(text: text, logprobs: logprobs), withUsageField)
        }
    }

    private func probabilities(_ tokens: [TokenProbability], offset: Int) -> AnswerProbabilities {
        switch kind {
        case .chat: AnswerProbabilities(content: tokens)
        case .text: AnswerProbabilities(plain: tokens, offset: offset)
        }
    }

    /// More of what the model thinks.
    func chunk(reasoning: String, withUsageField: Bool) -> Completion {
        chunk(.init(delta: .init(reasoning: reasoning)), withUsageField)
    }

    /// The chunk that says why the answer ended, and what of the request had no effect.
    func last(reason: FinishReason, withUsageField: Bool) -> Completion {
        var completion =
            switch kind {
            case .chat: chunk(.init(delta: .init(), finishReason: reason), withUsageField)
            case .text: chunk(.init(text: "", finishReason: reason), withUsageField)
            }
        completion.warnings = warnings
        return completion
    }

    /// The chunk after it, if the client asked for it.
    func usageChunk(_ usage: Usage) -> Completion { object(chunkName, [], usage: .value(usage)) }

    private var chunkName: String { kind == .chat ? "chat.completion.chunk" : "text_completion" }

    private func chunk(_ choice: Completion.Choice, _ withUsageField: Bool) -> Completion {
        object(chunkName, [choice], usage: withUsageField ? .null : .absent)
    }

    private func object(_ name: String, _ choices: [Completion.Choice], usage: Completion.UsageField)
        -> Completion
    {
        Completion(id: id, object: name, created: created, model: model, choices: choices, usage: usage)
    }
}
