// Asks a cache many questions at once, with the engine's own parts.

import CAKE
import Inference
import Tokenizers
import Transformer

/// A question as the model reads it, and what its answer is worth.
struct AskedQuestion {
    /// The rendered question, up to where the answer begins.
    var ids: [Int32]
    /// What it is grouped by.
    var kind = ""
    var maxAnswerTokens = 64
    var stopsAtLineEnd = false
    /// 0 to 1.
    var score: (_ answer: String) -> Double
}

/// A document as the model reads it, and what is asked of it.
struct AskedDocument {
    var ids: [Int32]
    /// Tokens of the template before the text.
    var prefixTokens: Int
    var questions: [AskedQuestion]
}

/// Answers greedily, many questions a step: answers do not depend on their company.
struct Asker {
    let bench: Bench
    let decoder: Decoder

    init(bench: Bench) throws {
        self.bench = bench
        decoder = try Decoder(model: bench.model, pool: bench.pool)
    }

    /// The answers to questions that each start from the same base.
    func answers(_ questions: [AskedQuestion], base: BaseRows) throws -> [String] {
        var answers: [String] = []
        for first in stride(from: 0, to: questions.count, by: decoder.maxRowsPerStep) {
            let part = questions[first..<min(first + decoder.maxRowsPerStep, questions.count)]
            answers += try together(Array(part), base: base)
        }
        return answers
    }

    private func together(_ questions: [AskedQuestion], base: BaseRows) throws -> [String] {
        let sequences = try questions.map { _ in try Sequence(model: bench.model, base: base) }
        var tokens = questions.map { _ in [Int32]() }
        // Temperature 0: the sampler keeps no state from one row to the next.
        var sampler = try Sampler()
        var running: [(question: Int, next: Int32)] = []
        func take(_ next: Int32, _ question: Int) {
            if bench.loaded.tokenizer.endOfGeneration.contains(next) { return }
            tokens[question].append(next)
            let isLong = tokens[question].count >= questions[question].maxAnswerTokens
            let endsLine =
                questions[question].stopsAtLineEnd && bench.loaded.tokenizer.decode(tokens[question]).contains("\n")
            if !isLong, !endsLine, sequences[question].remainingTokens > 0 { running.append((question, next)) }
        }
        for (index, question) in questions.enumerated() {
            let logits = try decoder.feed(question.ids, to: sequences[index])
            take(try sampler.next(logits: logits.span), index)
        }
        while !running.isEmpty {
            let step = running
            running = []
            let logits = try decoder.step(step.map { Decoder.Piece(sequences[$0.question], [$0.next]) })
            for (row, entry) in step.enumerated() {
                take(try logits.withRow(row) { try sampler.next(logits: $0) }, entry.question)
            }
        }
        return tokens.map { bench.loaded.tokenizer.decode($0) }
    }
}

extension LoadedModel {
    /// The turns behind a document, up to where the next answer begins.
    func continuationTokens(_ messages: [ChatMessage]) throws(TokenizerError) -> [Int32] {
        tokenizer.encode(try template.continuation(messages, now: .now), continuing: true)
    }
}
