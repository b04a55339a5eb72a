// The chunks of one answer or several, made of what happens to them.

import API
import EngineInterface

/// How far the answers of a stream are.
struct StreamedAnswers: Sendable {
    private struct Answer: Sendable {
        var pace: Pace
        /// Tokens whose text comes next.
        var tokens: [TokenProbability] = []
        /// Where that begins, in Unicode scalars.
        var offset = 0
        var usage: Usage?
    }

    private let form: AnswerForm
    private let metrics: Metrics
    private let includesUsage: Bool
    private let withTokens: Bool
    private var answers: [Answer]

    /// As many as a request asks for, none of which has begun.
    init(_ form: AnswerForm, _ body: CompletionBody, metrics: Metrics) {
        (self.form, self.metrics, includesUsage) = (form, metrics, body.includesUsage)
        withTokens = body.alternatives != nil
        answers = (0..<body.choices).map { _ in Answer(pace: Pace(metrics: metrics)) }
    }

    /// Whether nothing comes any more.
    var areFinished: Bool { answers.allSatisfy { $0.usage != nil } }

    /// The chunks before all others.
    var openings: [Completion] {
        answers.indices.compactMap { form.opening(of: $0, withUsageField: includesUsage) }
    }

    /// The chunks that say what happened to an answer, and after the last one what all cost, where that is wanted.
    mutating func chunks(for choice: ChoiceEvent) -> [Completion] {
        let index = choice.index
        switch choice.event {
        case .started: return []
        case .tokens(let more):
            answers[index].tokens += more
            return []
        case .text(let text):
            answers[index].pace.noteText()
            let chunk = form.chunk(
                of: index, text: text, tokens: withTokens ? answers[index].tokens : nil,
                offset: answers[index].offset, withUsageField: includesUsage)
            answers[index].tokens = []
            answers[index].offset += text.unicodeScalars.count
            return [chunk]
        case .reasoning(let text):
            answers[index].pace.noteText()
            return [form.chunk(of: index, reasoning: text, withUsageField: includesUsage)]
        case .finished(let reason, let usage):
            metrics.observe(usage)
            answers[index].usage = usage
            let last = form.last(of: index, reason: reason, withUsageField: includesUsage)
            guard includesUsage, areFinished, let sum = Usage.sum(answers.compactMap(\.usage)) else { return [last] }
            return [last, form.usageChunk(sum)]
        }
    }
}

/// The pace of one answer, for the histograms.
struct Pace: Sendable {
    let metrics: Metrics
    private var previous = ContinuousClock.now
    private var hasText = false

    init(metrics: Metrics) { self.metrics = metrics }

    mutating func noteText() {
        let now = ContinuousClock.now
        let seconds = previous.duration(to: now).seconds
        if hasText { metrics.observeInterToken(seconds: seconds) } else { metrics.observeFirstToken(seconds: seconds) }
        hasText = true
        previous = now
    }
}
