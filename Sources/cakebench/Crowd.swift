// cakebench crowd: how long one user's question waits beside another user's burst.

import API
import ArgumentParser
import EngineInterface
import Foundation
import Inference
import Logging
import Synchronization

struct Crowd: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Times a user's question to its first token while another user has 1, or 100, questions in the engine.",
        discussion: """
            The engine itself, on a store of its own, without sockets. Each of the first user's questions is about one \
            of several documents and asked again as soon as it is answered.
            """)

    /// As many as the largest crowd may need beside its share of the queue.
    private static let queuedQuestions = 400
    private static let crowdUser: UInt32 = 1
    private static let singleUser: UInt32 = 2

    @OptionGroup var options: ModelOptions
    @Option(name: .long, parsing: .upToNextOption, help: "Questions that the first user has in the engine.")
    var crowds = [0, 1, 100]
    @Option(name: .long, help: "Questions answered at once; 0: as many as memory allows.") var places = 0
    @Option(name: .long, help: "Documents that they are about.") var documents = 4
    @Option(name: .long, help: "Words of each document.") var words = 1000
    @Option(name: .long, help: "Words of a question.") var questionWords = 40
    @Option(name: .long, help: "Tokens of an answer.") var answer = 64
    @Option(name: .long, help: "Questions of the second user; the median is reported.") var runs = 20
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var crowd: Int
        var first_token_seconds: Figure
        /// The median beside that of a crowd of one.
        var to_one: Double?
    }
    struct Report: Encodable {
        var model: String
        var threads: Int
        var rows: [Row]
    }

    mutating func run() async throws {
        guard runs > 0, documents > 0, words > 0, questionWords > 0, answer > 0,
            crowds.allSatisfy({ (0...Self.queuedQuestions / 2).contains($0) })
        else { throw ValidationError("counts must be positive, and crowds at most \(Self.queuedQuestions / 2)") }
        let folder = FileManager.default.temporaryDirectory.appending(path: "cakebench-crowd-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        var configuration = EngineConfiguration(modelPath: options.model, stateDirectory: folder.path)
        (configuration.threads, configuration.repacking) = (options.threads ?? 0, options.repack)
        (configuration.maxRunningQuestions, configuration.maxQueuedQuestions) = (places, Self.queuedQuestions)
        // Every question is read whole, however often it was asked.
        (configuration.maxGeneratedTokens, configuration.tailBytes) = (answer, 0)
        let engine = try Engine(configuration, logger: Logger(label: "crowd") { _ in SwiftLogNoOpLogHandler() })
        for user in [Self.crowdUser, Self.singleUser] {
            for number in 0..<documents { try await put(number, user, engine) }
        }
        var figures: [(crowd: Int, figure: Figure)] = []
        for crowd in crowds { figures.append((crowd, try await measure(crowd, engine))) }
        let status = engine.status().daemon
        await engine.shutdown(graceSeconds: 0)
        let one = figures.first { $0.crowd == 1 }?.figure.median
        let report = Report(
            model: status.model, threads: status.threads,
            rows: figures.map { crowd, figure in
                Row(crowd: crowd, first_token_seconds: figure, to_one: one.map { figure.median / $0 })
            })
        if json { return try printJSON(report) }
        print("\(report.model), \(report.threads) threads: milliseconds to the first token, median [min–max]")
        for row in report.rows {
            print(
                "  beside \(padded("\(row.crowd)", 4)) \(row.first_token_seconds.scaled(by: 1e3).text(1))"
                    + (row.to_one.map { "  × \(fixed($0, 2)) of beside 1" } ?? ""))
        }
    }

    private func put(_ number: Int, _ user: UInt32, _ engine: Engine) async throws {
        let text = (0..<words).map { "word\(($0 &* 7919 &+ number) % 1000)" }.joined(separator: " ")
        let options = DocumentOptions(keep: .percent(10), method: "cake")
        for try await _ in engine.put(
            PutRequest(owner: user, name: "d\(number)", text: Array(text.utf8), options: options))
        {}
    }

    /// Seconds to the first token of the second user's questions, one after the other beside the crowd.
    private func measure(_ crowd: Int, _ engine: Engine) async throws -> Figure {
        let questions = questions
        return try await withThrowingTaskGroup(of: Void.self) { group in
            let begun = Begun()
            for number in 0..<crowd {
                group.addTask {
                    var round = 0
                    while !Task.isCancelled {
                        for try await event in engine.complete(questions.request(number + round, Self.crowdUser)) {
                            if case .started = event, round == 0 { begun.count.withLock { $0 += 1 } }
                        }
                        round += 1
                    }
                }
            }
            // The crowd is there when it has all the places that it gets.
            while begun.count.withLock({ $0 }) < min(crowd, QuestionPlaces.bounds.lowerBound) {
                try await Task.sleep(for: .milliseconds(1))
            }
            var seconds: [Double] = []
            for run in 0..<runs { seconds.append(try await firstToken(run, engine)) }
            group.cancelAll()
            while let outcome = await group.nextResult() {
                if case .failure(let error) = outcome, !Self.isCancellation(error) { throw error }
            }
            return Figure(seconds)
        }
    }

    private static func isCancellation(_ error: any Error) -> Bool {
        error is CancellationError || error as? EngineError == .cancelled
    }

    private func firstToken(_ run: Int, _ engine: Engine) async throws -> Double {
        let clock = ContinuousClock()
        let asked = clock.now
        var first: Double?
        for try await event in engine.complete(questions.request(run, Self.singleUser)) {
            switch event {
            case .text, .reasoning, .finished: first = first ?? (clock.now - asked).seconds
            case .started, .tokens: break
            }
        }
        return first ?? (clock.now - asked).seconds
    }

    private var questions: CrowdQuestions {
        CrowdQuestions(documents: documents, words: questionWords, answerTokens: answer)
    }
}

/// Questions of a crowd that have got a place.
private final class Begun: Sendable {
    let count = Mutex(0)
}

/// The questions that a crowd asks.
private struct CrowdQuestions: Sendable {
    var documents: Int
    var words: Int
    var answerTokens: Int

    func request(_ number: Int, _ user: UInt32) -> CompletionRequest {
        let text = (0..<words).map { "word\(($0 &* 31 &+ number) % 1000)" }.joined(separator: " ")
        // Hot enough that no answer ends early for want of an idea.
        return CompletionRequest(
            owner: user, document: "d\(number % documents)", prompt: .text(text), maxTokens: answerTokens,
            sampling: SamplingRequest(temperature: 1, seed: UInt64(number)))
    }
}
