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

    /// The whole answer, or several; with their tokens where those were asked for.
    func whole(_ answers: [GatheredChoice], withTokens: Bool, usage: Usage) -> Completion {
        let choices = answers.enumerated().map { index, answer in
            var choice = choice(answer, withTokens ? probabilities(answer.tokens, offset: 0) : nil)
            choice.index = index
            return choice
        }
        var completion = object(
            kind == .chat ? "chat.completion" : "text_completion", choices, usage: .value(usage))
        completion.warnings = warnings
        return completion
    }

    private func choice(_ answer: GatheredChoice, _ logprobs: AnswerProbabilities?) -> Completion.Choice {
        switch kind {
        case .chat:
            .init(
                message: .init(
                    role: "assistant", content: answer.text,
                    reasoning: answer.reasoning.isEmpty ? nil : answer.reasoning),
                finishReason: answer.end?.reason, logprobs: logprobs)
        case .text: .init(text: answer.text, finishReason: answer.end?.reason, logprobs: logprobs)
        }
    }

    /// The first chunk of an answer, which says who speaks; plain completions have none.
    func opening(of index: Int, withUsageField: Bool) -> Completion? {
        guard kind == .chat else { return nil }
        return chunk(.init(delta: .init(role: "assistant", content: "")), of: index, withUsageField)
    }

    /// More of the answer; its tokens, where they were asked for, begin at a place of all of it.
    func chunk(
        of index: Int, text: String, tokens: [TokenProbability]?, offset: Int, withUsageField: Bool
    ) -> Completion {
        let logprobs = tokens.map { probabilities($0, offset: offset) }
        return switch kind {
        case .chat: chunk(.init(delta: .init(content: text), logprobs: logprobs), of: index, withUsageField)
        case .text: chunk(.init(text: text, logprobs: logprobs), of: index, withUsageField)
        }
    }

    private func probabilities(_ tokens: [TokenProbability], offset: Int) -> AnswerProbabilities {
        switch kind {
        case .chat: AnswerProbabilities(content: tokens)
        case .text: AnswerProbabilities(plain: tokens, offset: offset)
        }
    }

    /// More of what the model thinks.
    func chunk(of index: Int, reasoning: String, withUsageField: Bool) -> Completion {
        chunk(.init(delta: .init(reasoning: reasoning)), of: index, withUsageField)
    }

    /// The chunk that says why the answer ended, and what of the request had no effect.
    func last(of index: Int, reason: FinishReason, withUsageField: Bool) -> Completion {
        var completion =
            switch kind {
            case .chat: chunk(.init(delta: .init(), finishReason: reason), of: index, withUsageField)
            case .text: chunk(.init(text: "", finishReason: reason), of: index, withUsageField)
            }
        completion.warnings = warnings
        return completion
    }

    /// The chunk after it, if the client asked for it.
    func usageChunk(_ usage: Usage) -> Completion { object(chunkName, [], usage: .value(usage)) }

    private var chunkName: String { kind == .chat ? "chat.completion.chunk" : "text_completion" }

    private func chunk(_ choice: Completion.Choice, of index: Int, _ withUsageField: Bool) -> Completion {
        var choice = choice
        choice.index = index
        return object(chunkName, [choice], usage: withUsageField ? .null : .absent)
    }

    private func object(_ name: String, _ choices: [Completion.Choice], usage: Completion.UsageField)
        -> Completion
    {
        Completion(id: id, object: name, created: created, model: model, choices: choices, usage: usage)
    }
}
