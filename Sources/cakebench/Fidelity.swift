// cakebench fidelity: how like the full cache a compact one is, on any document of the user's.

import API
import ArgumentParser
import CAKE
import FoundationEssentials
import Inference
import Transformer

struct Fidelity: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compares compact caches of a text of yours with its full cache: next tokens and answers.",
        discussion: """
            Three kinds of places are compared, token by token, with the true text or the full cache's answer given: \
            the \
            text's last tokens, which are not cached (continue); stretches of it after a request to repeat it \
            (repeat); \
            and the full cache's answers to the questions, yours or, when there are none, requests to go on from a \
            quoted \
            place (answer). "same" is the share of places where both caches find the same token likeliest; KL is the \
            mean divergence in nats; "answers" the share of answers, decoded freely, that are equal. Methods that \
            reconstruct have seen requests to repeat: for them that kind flatters.

              cakebench fidelity --model model.gguf --text contract.txt --question "Who signed?" --keep 5,10,20
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "The text, UTF-8.") var text: String
    @Option(name: .long, help: "A question; may be repeated.") var question: [String] = []
    @Option(name: .long, help: "A file of questions, one a line.") var questions: String?
    @Option(name: .long, help: "Presets, separated by commas.") var methods = Method.defaultPreset
    @Option(name: .long, help: "Presets also measured with the question visible (answers only).") var visible = ""
    @Option(name: .long, help: "Shares of the cache to keep, in percent of its bytes in q8_0, separated by commas.")
    var keep = "5,10,20"
    @Option(name: .long, help: "How rows are kept, separated by commas: f16, q8_0, q4.") var rows = Bench.defaultRows
        .rawValue
    @Option(name: .long, help: "Stretches to repeat, and questions to make when none are given.") var places = 8
    @Option(name: .long, help: "Tokens of a stretch, and of an answer at most.") var length = 48
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var method: String
        var question: String
        var rows: String
        var keep_percent: Double
        var kv_bytes: Int
        var prefill_seconds: Double
        /// The share of the answers that are the full cache's, word for word.
        var answers_equal: Double
        /// The mean F1 of the answers' words against the full cache's.
        var answers_f1: Double
        var places: [String: Place]

        struct Place: Encodable {
            var tokens: Int
            var same_best: Double
            var kl: Double
            var perplexity: Double
            var perplexity_full: Double

            init(_ divergence: Divergence) {
                tokens = divergence.tokens
                same_best = divergence.agreement
                kl = divergence.meanDivergence
                perplexity = divergence.perplexity
                perplexity_full = divergence.referencePerplexity
            }
        }
    }

    mutating func run() throws {
        let bench = try Bench(options)
        guard let content = String(validating: try readFile(text), as: UTF8.self) else {
            throw ValidationError("\(text) is not UTF-8")
        }
        guard places > 0, length > 1 else { throw ValidationError("--places and --length must be positive") }
        let (ids, prefixTokens, _) = try bench.loaded.documentTokens(content)
        // The last stretch is not cached: it is what the text goes on with.
        guard ids.count > 4 * length + prefixTokens else {
            throw ValidationError("the text has \(ids.count) tokens; it needs more than \(4 * length + prefixTokens)")
        }
        let asked = try askedQuestions(content)
        var study = try FidelityStudy(
            asker: Asker(bench: bench), ids: Array(ids.dropLast(length)), prefixTokens: prefixTokens,
            answerTokens: length, options: comparison())
        try study.follow("continue", after: [], Array(ids.suffix(length)))
        let cached = ids.count - length
        for place in 0..<places {
            let first = prefixTokens + (cached - prefixTokens - length) * place / max(1, places - 1)
            try study.follow("repeat", after: bench.loaded.reconstructionTokens, Array(ids[first..<first + length]))
        }
        for (index, question) in asked.enumerated() {
            showProgress("question \(index + 1) of \(asked.count)")
            try study.ask(bench.loaded.questionTokens(question))
        }
        showProgress(nil)
        try publish(study, tokens: cached, questions: asked.count, model: bench.loaded.card.id)
    }

    private func comparison() throws -> ComparisonOptions {
        try ComparisonOptions.parse(
            ["--methods", methods, "--visible", visible, "--keep", keep, "--rows", rows])
    }

    /// The user's questions, or requests to go on from places of the text.
    private func askedQuestions(_ content: String) throws -> [String] {
        var asked = question
        if let questions {
            guard let lines = String(validating: try readFile(questions), as: UTF8.self) else {
                throw ValidationError("\(questions) is not UTF-8")
            }
            asked += lines.split { $0.isNewline }.map { String($0) }
        }
        asked = asked.filter { $0.contains { !$0.isWhitespace } }
        guard asked.isEmpty else { return asked }
        let words = content.split { $0.isWhitespace }
        let quoted = 10
        guard words.count > quoted else { throw ValidationError("the text is too short to ask about") }
        return (0..<places).map { place in
            let first = (words.count - quoted) * place / places
            let quote = words[first..<first + quoted].joined(separator: " ")
            return "What comes right after \"\(quote)\"?"
        }
    }

    private func publish(_ study: FidelityStudy, tokens: Int, questions: Int, model: String) throws {
        let rows = study.rows()
        if json { return try printJSON(rows) }
        print("\(tokens) tokens cached, \(questions) questions, \(model)")
        var table = [["method", "question", "rows", "kept", "KiB", "answers", "F1"]]
        let kinds = ["continue", "repeat", "answer"]
        for kind in kinds { table[0] += ["\(kind): same", "KL", "perplexity (full)"] }
        for row in rows {
            var cells = [
                row.method, row.question, row.rows, fixed(row.keep_percent, 1) + " %",
                fixed(Double(row.kv_bytes) / 1024, 0), fixed(row.answers_equal, 2), fixed(row.answers_f1, 2),
            ]
            for kind in kinds {
                guard let place = row.places[kind], place.tokens > 0 else {
                    cells += ["", "", ""]
                    continue
                }
                cells += [
                    fixed(place.same_best, 3), fixed(place.kl, 4),
                    "\(fixed(place.perplexity, 2)) (\(fixed(place.perplexity_full, 2)))",
                ]
            }
            table.append(cells)
        }
        printTable(table)
    }
}
