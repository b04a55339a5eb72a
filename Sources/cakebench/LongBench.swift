// cakebench longbench: LongBench's own files, asked of the full cache and of compact ones.

import API
import ArgumentParser
import Evaluation
import FoundationEssentials
import Inference
import Tokenizers
import Transformer

struct LongBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "longbench",
        abstract: "Runs LongBench's files: published prompts and metrics, the question hidden and visible.",
        discussion: """
            A file is one data set, named like it (hotpotqa.jsonl, or hotpotqa_e.jsonl of LongBench-E). The prompt up \
            to \
            the end of the context is the document, the rest the question. A prompt that is too long loses its middle. \
            Scores are LongBench's, from 0 to 1. multifieldqa_zh, dureader and vcsum are refused: their metrics need a \
            Chinese word segmenter.

              cakebench longbench --model model.gguf LongBench/data --keep 20 --documents 50
            """)

    /// A line of a file.
    private struct Line: Decodable {
        var input: String
        var context: String
        var answers: [String]
        var all_classes: [String]?
        var dataset: String?
    }

    @OptionGroup var options: ModelOptions
    @OptionGroup var comparisonOptions: ComparisonOptions
    @Argument(help: "Files, or a folder of them.") var paths: [String]

    mutating func run() throws {
        let bench = try Bench(options)
        var comparison = try Comparison(bench: bench, options: comparisonOptions)
        var shortened = 0
        for path in try files() {
            let name = URL(filePath: path).deletingPathExtension().lastPathComponent
            let task: LongBenchTask
            do {
                task = try LongBenchTask.named(name)
            } catch {
                printError("\(path): \(error)")
                continue
            }
            let lines = try readFile(path).split(separator: UInt8(ascii: "\n"))
                .filter { !$0.allSatisfy { $0 <= 0x20 } }.prefix(comparisonOptions.documents ?? .max)
            for (index, text) in lines.enumerated() {
                showProgress("\(name): line \(index + 1) of \(lines.count)")
                let line: Line
                do {
                    line = try JSONDecoder().decode(Line.self, from: Data(text))
                } catch {
                    throw ValidationError("\(path), line \(index + 1), is none of LongBench's: \(error)")
                }
                let (document, isShortened) = try asked(line, task, bench)
                shortened += isShortened ? 1 : 0
                try comparison.add(document)
            }
        }
        showProgress(nil)
        guard comparison.documents > 0 else { throw ValidationError("there is nothing to ask") }
        if shortened > 0 { printError("\(shortened) contexts lost their middle to fit the model") }
        try ComparisonReport(comparison).publish(
            comparisonOptions, subject: "LongBench, \(bench.loaded.card.id)", scoreName: "score")
    }

    /// The files named, and those in the folders named.
    private func files() throws -> [String] {
        try paths.flatMap { path -> [String] in
            var isFolder: Bool = false
            guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
                throw ValidationError("there is no \(path)")
            }
            guard isFolder else { return [path] }
            return try FileManager.default.contentsOfDirectory(atPath: path).filter { $0.hasSuffix(".jsonl") }.sorted()
                .map { path + "/" + $0 }
        }
    }

    private func asked(_ line: Line, _ task: LongBenchTask, _ bench: Bench) throws -> (AskedDocument, Bool) {
        let loaded = bench.loaded
        let (text, question) = (task.document(context: line.context), task.question(input: line.input))
        var ids: [Int32]
        let prefixTokens: Int
        let questionIDs: [Int32]
        if task.isChat {
            // The template puts the blank line between document and question.
            (ids, prefixTokens, _) = try loaded.documentTokens(text)
            questionIDs = try loaded.questionTokens(String(question.drop { $0 == "\n" }))
        } else {
            ids = loaded.tokenizer.encode([.text(text)])
            prefixTokens = loaded.tokenizer.encode([PromptSegment]()).count
            questionIDs = loaded.tokenizer.encode([.text(question)], continuing: true)
        }
        let room = bench.model.configuration.contextLength - questionIDs.count - task.maxAnswerTokens - 1
        guard room > 2 * prefixTokens + 64 else {
            throw ValidationError("a question of \(task.name) fills the context")
        }
        let isShortened = ids.count > room
        if isShortened { ids = Array(ids.prefix(room / 2) + ids.suffix(room - room / 2)) }
        let asked = AskedQuestion(
            ids: questionIDs, kind: task.name, maxAnswerTokens: task.maxAnswerTokens,
            stopsAtLineEnd: task.stopsAtLineEnd
        ) { task.score($0, answers: line.answers, classes: line.all_classes ?? []) }
        return (AskedDocument(ids: ids, prefixTokens: prefixTokens, questions: [asked]), isShortened)
    }
}
