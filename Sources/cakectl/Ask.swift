// cakectl ask: one question, one answer.
import API
import ArgumentParser
import CakedClient
import Locks

/// Asks about a cached document.
struct Ask: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask one question about a document and print the answer as it is written.",
        discussion: """
              cakectl ask manual "Which port does the service listen on?"
              cakectl ask manual "And which protocol?" --max-tokens 40 --verbose
              cakectl --json ask manual "Who wrote it?" | jq -r .answer
              cakectl ask manual - < question.txt
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions
    @OptionGroup var answering: AnswerOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    @Argument(help: "The question; - reads it from standard input.")
    var question: String

    @Flag(inversion: .prefixedNo, help: "Print the answer piece by piece; the default except with --json.")
    var stream: Bool?

    func run() async throws {
        let client = try client()
        var question = question
        if question == "-" {
            question = ""
            while let line = readLine(strippingNewline: false) {
                question += line
                guard question.utf8.count <= AnswerOptions.maximumQuestionBytes else {
                    throw ValidationError(
                        "The question is longer than \(AnswerOptions.maximumQuestionBytes >> 20) MiB.")
                }
            }
        }
        guard question.contains(where: { !$0.isWhitespace }) else { throw ValidationError("The question is empty.") }
        let request = answering.request(document: name, messages: [ChatMessage(.user, question)])
        let printer = AnswerPrinter(
            document: name, printsJSON: printsJSON, streams: stream ?? !printsJSON, isQuiet: isQuiet,
            isVerbose: answering.verbose, hidesThoughts: answering.hideThoughts || isQuiet)
        try await printer.answer(request, from: client)
    }
}

/// How to answer, for `ask` and `chat`.
struct AnswerOptions: ParsableArguments {
    /// Text on the way to the model in a question; documents are cached, not asked.
    static let maximumQuestionBytes = 1 << 20

    @Option(help: ArgumentHelp("The most tokens to write.", valueName: "n"))
    var maxTokens: Int?

    @Option(
        help: ArgumentHelp(
            "Read only this many entries per layer and KV head, on average: less to read, and less known.",
            valueName: "entries"))
    var budget: Int?

    @Option(help: ArgumentHelp("0 always takes the likeliest token; higher is more varied.", valueName: "x"))
    var temperature: Double?

    @Option(help: ArgumentHelp("Makes varied answers repeatable.", valueName: "n"))
    var seed: Int64?

    @Flag(
        inversion: .prefixedNo,
        help: "Let the model think first, where its chat template offers that; the default is the daemon's.")
    var think: Bool?

    @Flag(help: "Do not show what the model thinks; otherwise it goes to standard error.")
    var hideThoughts = false

    @Flag(name: .shortAndLong, help: "Say on standard error what the answer cost.")
    var verbose = false

    func validate() throws {
        guard budget ?? 1 > 0 else { throw ValidationError("--budget must be at least 1.") }
        guard maxTokens ?? 1 > 0 else { throw ValidationError("--max-tokens must be at least 1.") }
        guard CompletionBody.temperatures.contains(Float(temperature ?? 0)) else {
            throw ValidationError("--temperature must be 0 to 2.")
        }
    }

    func request(document: String, messages: [ChatMessage]) -> CompletionBody {
        var request = CompletionBody(document: document, messages: messages)
        (request.maxTokens, request.temperature, request.seed) = (maxTokens, temperature.map(Float.init), seed)
        request.budget = budget
        if let think { request.templateArguments = ["enable_thinking": .flag(think)] }
        return request
    }
}

/// Prints one answer in the form that was asked for.
struct AnswerPrinter {
    /// One line of `--json`.
    private struct Line: Encodable {
        var document: String
        var answer: String
        var reasoning: String?
        var finishReason: FinishReason?
        var model: String?
        var usage: Usage?

        enum CodingKeys: String, CodingKey {
            case document, answer, reasoning
            case finishReason = "finish_reason"
            case model, usage
        }
    }
    let document: String
    let printsJSON: Bool
    let streams: Bool
    let isQuiet: Bool
    let isVerbose: Bool
    let hidesThoughts: Bool

    /// Asks, prints, and returns the answer.
    @discardableResult
    func answer(_ request: CompletionBody, from client: DaemonClient) async throws(ClientError) -> Answer {
        let (printsJSON, streams) = (printsJSON, streams)
        let answer: Answer
        if streams {
            let line = OpenLine()
            do {
                answer = try await client.stream(request) { [hidesThoughts] piece in
                    switch piece {
                    case .reasoning(let text): if !hidesThoughts { line.think(text, asJSON: printsJSON) }
                    case .text(let text): line.write(text, asJSON: printsJSON)
                    }
                }
            } catch {
                line.close()
                throw error
            }
        } else {
            answer = try await client.complete(request)
        }
        if printsJSON {
            try Terminal.print(
                json: Line(
                    document: document, answer: answer.text,
                    reasoning: answer.reasoning.isEmpty || hidesThoughts ? nil : answer.reasoning,
                    finishReason: answer.finishReason, model: answer.model, usage: answer.usage))
        } else {
            if !streams {
                if !answer.reasoning.isEmpty, !hidesThoughts {
                    Terminal.control(Terminal.printable(answer.reasoning) + "\n\n")
                }
                Terminal.write(answer.text)
            }
            if !answer.text.hasSuffix("\n") { Terminal.write("\n") }
        }
        note(answer)
        return answer
    }

    private func note(_ answer: Answer) {
        if answer.finishReason == .length, !isQuiet, isVerbose || Terminal.errorIsTerminal {
            Terminal.note("(stopped at the token limit; --max-tokens raises it)")
        }
        if isVerbose, let usage = answer.usage { Terminal.note(Self.cost(usage)) }
    }

    /// "1,034 prompt tokens, 1,020 of them cached; question read in 48 ms; 31 tokens written, 42.0 tokens/s".
    static func cost(_ usage: Usage) -> String {
        var text = counted(usage.promptTokens, "prompt token")
        text += ", \(Formats.count(usage.promptTokensDetails.cachedTokens)) of them cached"
        text += "; question read in \(Formats.decimal(usage.timings.prefillSeconds * 1000)) ms"
        text += "; \(counted(usage.completionTokens, "token")) written"
        let seconds = usage.timings.decodeSeconds
        if seconds > 0 {
            text += ", \(Formats.decimal(Double(usage.completionTokens) / seconds)) tokens/s"
        }
        return text
    }
}

/// An answer on its way to standard output; remembers whether its last line has been ended.
private final class OpenLine: Sendable {
    /// One piece of `--json --stream`.
    private struct Piece: Encodable {
        var text: String?
        var reasoning: String?
    }

    private let isOpen = Mutex(false)
    private let isThinking = Mutex(false)

    func write(_ text: String, asJSON: Bool) {
        if asJSON {
            try? Terminal.print(json: Piece(text: text))
        } else {
            endThought()
            Terminal.write(text)
            isOpen.withLock { $0 = !text.hasSuffix("\n") }
        }
    }

    /// What the model thinks, beside the answer.
    func think(_ text: String, asJSON: Bool) {
        if asJSON {
            try? Terminal.print(json: Piece(reasoning: text))
        } else {
            Terminal.control(Terminal.printable(text))
            isThinking.withLock { $0 = true }
        }
    }

    private func endThought() {
        if isThinking.withLock({ isThinking in
            defer { isThinking = false }
            return isThinking
        }) {
            Terminal.control("\n\n")
        }
    }

    /// Ends the line of an answer that broke off, so that the error stands on its own.
    func close() {
        if isOpen.withLock({ $0 }) { Terminal.write("\n") }
    }
}
