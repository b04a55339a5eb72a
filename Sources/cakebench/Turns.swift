// cakebench turns: how long each turn of a conversation waits for its first token, with and without kept tails.

import API
import ArgumentParser
import EngineInterface
import Foundation
import Inference
import Logging

struct Turns: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Times the turns of a conversation to their first tokens, with and without kept tails.",
        discussion: """
            The engine itself, on a store of its own, without sockets. A conversation about a document goes on for \
            some turns, each with everything that was said before; then the same one, with the answers of the \
            first, and every question read whole.
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "Turns.") var turns = 12
    @Option(name: .long, help: "Words of the document; 0: a plain chat.") var words = 500
    @Option(name: .long, help: "Words of a question.") var questionWords = 40
    @Option(name: .long, help: "Tokens of an answer, at most.") var answer = 48
    @Option(name: .long, help: "Conversations of each kind, in turn; medians are reported.") var runs = 3
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var turn: Int
        var prompt_tokens: Int
        var read_tokens: Int
        var kept_seconds: Figure
        var whole_seconds: Figure
        /// Answers that were the same with and without.
        var same_answers: Int
    }
    struct Report: Encodable {
        var model: String
        var threads: Int
        var kernels: String
        var runs: Int
        var rows: [Row]
    }
    private struct Turn {
        var seconds: Double
        var promptTokens: Int
        var readTokens: Int
        var answer: String
    }

    mutating func run() async throws {
        guard turns > 0, words >= 0, questionWords > 0, answer > 0, runs > 0 else {
            throw ValidationError("counts must be positive")
        }
        let folder = FileManager.default.temporaryDirectory.appending(path: "cakebench-turns-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        var (kept, whole): ([[Turn]], [[Turn]]) = ([], [])
        var status: DaemonStatus?
        for run in 0..<runs {
            for keeps in [true, false] {
                let engine = try engine(folder.path, tailBytes: keeps ? nil : 0)
                if words > 0 { try await put(engine) }
                let turns = try await converse(run, engine, said: keeps ? nil : kept[run].map(\.answer))
                if keeps { kept.append(turns) } else { whole.append(turns) }
                status = engine.status().daemon
                await engine.shutdown(graceSeconds: 0)
            }
        }
        guard let status else { return }
        let rows = (0..<turns).map { turn in
            Row(
                turn: turn + 1, prompt_tokens: kept[0][turn].promptTokens, read_tokens: kept[0][turn].readTokens,
                kept_seconds: Figure(kept.map { $0[turn].seconds }),
                whole_seconds: Figure(whole.map { $0[turn].seconds }),
                same_answers: zip(kept, whole).count { $0[turn].answer == $1[turn].answer })
        }
        try report(
            Report(
                model: status.model, threads: status.threads, kernels: status.kernels.set, runs: runs, rows: rows))
    }

    private func report(_ report: Report) throws {
        if json { return try printJSON(report) }
        print("\(report.model), \(report.threads) threads, kernels \(report.kernels): milliseconds to the first token")
        print("turn  tokens  read   kept tails             everything read        same answers")
        for row in report.rows {
            print(
                [
                    padded("\(row.turn)", 4), padded("\(row.prompt_tokens)", 6), padded("\(row.read_tokens)", 5),
                    row.kept_seconds.scaled(by: 1e3).text(1), row.whole_seconds.scaled(by: 1e3).text(1),
                    "\(row.same_answers)/\(report.runs)",
                ].joined(separator: "  "))
        }
    }

    private func engine(_ folder: String, tailBytes: Int?) throws -> Engine {
        var configuration = EngineConfiguration(modelPath: options.model, stateDirectory: folder)
        (configuration.threads, configuration.repacking) = (options.threads ?? 0, options.repack)
        (configuration.maxGeneratedTokens, configuration.tailBytes) = (answer, tailBytes)
        return try Engine(configuration, logger: Logger(label: "turns") { _ in SwiftLogNoOpLogHandler() })
    }

    private func put(_ engine: Engine) async throws {
        let options = DocumentOptions(keep: .percent(100), method: "full")
        for try await _ in engine.put(
            PutRequest(owner: 1, name: "d", text: Array(text(words, from: 1).utf8), options: options))
        {}
    }

    /// One conversation, which goes on from its own answers or from what was said in another.
    private func converse(_ run: Int, _ engine: Engine, said: [String]?) async throws -> [Turn] {
        var messages: [ChatMessage] = []
        var turns: [Turn] = []
        for turn in 0..<self.turns {
            messages.append(ChatMessage(.user, text(questionWords, from: 100 * run + turn)))
            let asked = try await ask(messages, engine)
            messages.append(ChatMessage(.assistant, said?[turn] ?? asked.answer))
            turns.append(asked)
        }
        return turns
    }

    private func ask(_ messages: [ChatMessage], _ engine: Engine) async throws -> Turn {
        let clock = ContinuousClock()
        let asked = clock.now
        var (first, usage, answer): (Double?, Usage?, String) = (nil, nil, "")
        let request = CompletionRequest(
            owner: 1, document: words > 0 ? "d" : nil, prompt: .messages(messages), maxTokens: self.answer)
        for try await event in engine.complete(request) {
            if case .started = event { continue }
            first = first ?? (clock.now - asked).seconds
            if case .text(let piece) = event { answer += piece }
            if case .finished(_, let cost) = event { usage = cost }
        }
        let tokens = usage?.promptTokens ?? 0
        return Turn(
            seconds: first ?? 0, promptTokens: tokens,
            readTokens: tokens - (usage?.promptTokensDetails.cachedTokens ?? 0), answer: answer)
    }

    private func text(_ words: Int, from seed: Int) -> String {
        let vocabulary = ["river", "code", "Lisbon", "seven", "harbor", "letter", "key", "north", "garden", "silver"]
        var state = UInt64(truncatingIfNeeded: seed &+ 1) &* 0x9E37_79B9_7F4A_7C15
        return (0..<words).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return vocabulary[Int(state >> 33) % vocabulary.count]
        }.joined(separator: " ") + "?"
    }
}
