// cakebench ruler: synthetic tasks of any length, for any model.

import API
import ArgumentParser
import Evaluation
import FoundationEssentials
import Inference
import Tokenizers
import Transformer

struct Ruler: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks synthetic documents of any length: needles, variable tracking, common words, after RULER.",
        discussion: """
            Documents are drawn from --seed and fill --tokens of the model's own tokens. A score is the share of the \
            true \
            strings that an answer contains. --wording plain asks as the bundled model understands.

              cakebench ruler --model model.gguf --tokens 32000 --tasks niah-multikey,vt,cwe --keep 5,10,20
            """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var comparisonOptions: ComparisonOptions
    @Option(name: .long, help: "Tasks, separated by commas (default: every one).") var tasks: String?
    @Option(name: .long, help: "Tokens of a document.") var tokens = 4096
    @Option(name: .long, help: "The documents' seed.") var seed: UInt64 = 1
    @Option(name: .long, help: "How needles and questions are worded: ruler or plain.") var wording = "ruler"
    @Option(name: .long, help: "A text whose sentences surround the needles (default: a few that repeat).")
    var haystack: String?

    /// Documents of each task, unless --documents says otherwise.
    private static let documentsPerTask = 4
    /// What the chat template needs around a document, at most.
    private static let templateTokens = 64

    mutating func run() throws {
        let bench = try Bench(options)
        let tasks = try chosenTasks()
        guard let wording = SyntheticTask.Wording(rawValue: wording) else {
            throw ValidationError("--wording is ruler or plain")
        }
        let longest = bench.model.configuration.contextLength - 2 * Self.templateTokens - 128
        guard (4 * Self.templateTokens...longest).contains(tokens) else {
            throw ValidationError("--tokens is \(4 * Self.templateTokens) to \(longest) for this model")
        }
        let filler = try haystack.map { try sentences(of: $0) } ?? []
        var comparison = try Comparison(bench: bench, options: comparisonOptions)
        let count = comparisonOptions.documents ?? Self.documentsPerTask
        for task in tasks {
            for number in 0..<count {
                showProgress("\(task.rawValue): document \(number + 1) of \(count)")
                let sample = task.sample(
                    tokens: tokens - Self.templateTokens, seed: seed &+ UInt64(number), wording: wording,
                    filler: filler
                ) { bench.loaded.tokenizer.encode($0).count }
                try comparison.add(asked(sample, task, bench))
            }
        }
        showProgress(nil)
        try ComparisonReport(comparison).publish(
            comparisonOptions, subject: "Synthetic tasks of \(tokens) tokens, \(bench.loaded.card.id)",
            scoreName: "score")
    }

    private func chosenTasks() throws -> [SyntheticTask] {
        guard let tasks else { return SyntheticTask.allCases }
        return try tasks.split(separator: ",").map { name in
            guard let task = SyntheticTask(rawValue: String(name)) else {
                throw ValidationError(
                    "\"\(name)\" is no task; there are "
                        + SyntheticTask.allCases.map(\.rawValue).joined(separator: ", "))
            }
            return task
        }
    }

    private func asked(_ sample: SyntheticTask.Sample, _ task: SyntheticTask, _ bench: Bench) throws -> AskedDocument {
        let (ids, prefixTokens, _) = try bench.loaded.documentTokens(sample.document)
        let questions = try sample.questions.map { question in
            let start = bench.loaded.tokenizer.encode([.text(question.answerStart)], continuing: true)
            return AskedQuestion(
                ids: try bench.loaded.questionTokens(question.text) + start, kind: task.rawValue,
                maxAnswerTokens: task.maxAnswerTokens
            ) { AnswerMetric.containedShare($0, truths: question.truths) }
        }
        return AskedDocument(ids: ids, prefixTokens: prefixTokens, questions: questions)
    }

    /// A text's sentences, each with its full stop.
    private func sentences(of path: String) throws -> [String] {
        guard let text = String(validating: try readFile(path), as: UTF8.self) else {
            throw ValidationError("\(path) is not UTF-8")
        }
        return text.split(separator: ".").map { sentence in
            sentence.split { $0.isWhitespace }.joined(separator: " ") + "."
        }.filter { $0.count > 1 }
    }
}
