// cakebench needle: the share of held-out questions answered from a compact cache, by method and budget.

import ArgumentParser
import CAKE
import FoundationEssentials
import Inference
import Tokenizers
import Transformer

struct Needle: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks held-out documents their questions: from the full cache, and from compact ones.",
        discussion: """
            Hidden: the document is cached before any question is known, and every question starts from that cache. \
            Visible: for each question the document is cached again with the question in the observation window, as \
            the CAKE paper measures. An answer counts when it contains the value asked for.
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "The questions, made by the recipe's heldout.py.") var set: String
    @Option(name: .long, help: "Presets, separated by commas.") var methods = "cake,cake-reconstruct"
    @Option(name: .long, help: "Presets also measured with the question visible.") var visible = "cake"
    @Option(name: .long, help: "Shares of the entries to keep, in percent, separated by commas.") var keep = "5,10,20"
    @Option(name: .long, help: "Documents to use (default: all).") var documents: Int?
    @Option(name: .long, help: "The instruction of a reconstruction.") var instruction: String?
    @Option(name: .long, help: "Rows of a reconstruction's chunk (default: the method's).") var chunk: Int?
    @Option(name: .long, help: "The floor of a layer, as a share of the average budget (default: the method's).")
    var floor: Double?
    @Option(name: .long, help: "Neighbours the indicator is averaged over (default: the method's).") var pool: Int?
    @Flag(name: .long, help: "Rank by the largest attention alone.") var attentionOnly = false
    @Flag(name: .long, help: "Print every wrong answer to standard error.") var failures = false
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct HeldOut: Decodable {
        struct Question: Decodable {
            var kind: String
            var question: String
            var answer: String
            var value: String
        }
        struct Document: Decodable {
            var text: String
            var questions: [Question]
        }
        var documents: [Document]
    }

    struct Row: Encodable {
        var method: String
        var question: String
        var keep_percent: Double
        var answered: Double
        var low95: Double
        var high95: Double
        var relative_to_full: Double
        var exact: Double
        var by_kind: [String: Double]
        var questions: Int
        var kv_bytes_per_document: Int
        var prefill_seconds_per_document: Double
    }

    mutating func run() throws {
        let bench = try Bench(options)
        var held = try JSONDecoder().decode(HeldOut.self, from: readFile(set)).documents
        if let documents { held = Array(held.prefix(documents)) }
        guard !held.isEmpty else { throw ValidationError("the set has no documents") }
        let shares = try keep.split(separator: ",").map { text in
            guard let share = Double(text), share > 0, share <= 100 else {
                throw ValidationError("\"\(text)\" is no share in percent")
            }
            return share
        }
        let asker = try Asker(bench: bench, instruction: instruction)
        var full = Tally()
        for document in held { try asker.hidden(document, method: .preset("full"), keep: 100, into: &full) }
        var rows = [row("full", "hidden", 100, full, full: full)]
        show(rows[0])
        for (names, isVisible) in [(methods, false), (visible, true)] {
            for name in names.split(separator: ",") {
                let method = try adjusted(Method.preset(String(name)))
                for share in shares {
                    var tally = Tally()
                    for document in held {
                        if isVisible {
                            try asker.visible(document, method: method, keep: share, into: &tally)
                        } else {
                            try asker.hidden(document, method: method, keep: share, into: &tally)
                        }
                    }
                    if failures { for line in tally.failures { printError(line) } }
                    rows.append(row(method.name, isVisible ? "visible" : "hidden", share, tally, full: full))
                    show(rows[rows.count - 1])
                }
            }
        }
        if json { try printJSON(rows) }
    }

    private func adjusted(_ method: Method) -> Method {
        var method = method
        if let chunk, case .reconstruction(_, let reads, let judges) = method.observation {
            method.observation = .reconstruction(chunkRows: chunk, reads: reads, judges: judges)
        }
        if let floor, case .cake(let tau1, let tau2, _) = method.allocation {
            method.allocation = .cake(tau1: tau1, tau2: tau2, floorShare: floor)
        }
        if let pool, case .largestChange = method.indicator { method.indicator = .largestChange(poolWidth: pool) }
        if attentionOnly, case .largestChange = method.indicator { method.indicator = .maximum }
        return method
    }

    private func row(_ method: String, _ question: String, _ keep: Double, _ tally: Tally, full: Tally) -> Row {
        let (low, high) = tally.interval95
        return Row(
            method: method, question: question, keep_percent: keep, answered: tally.answeredShare, low95: low,
            high95: high, relative_to_full: tally.answeredShare / full.answeredShare,
            exact: Double(tally.exact) / Double(tally.questions), by_kind: tally.shareByKind,
            questions: tally.questions, kv_bytes_per_document: tally.bytes / tally.documents,
            prefill_seconds_per_document: tally.seconds / Double(tally.documents))
    }

    private func show(_ row: Row) {
        let line = """
            \(row.method), question \(row.question), \(fixed(row.keep_percent, 1)) %: answered \
            \(fixed(row.answered, 3)) [\(fixed(row.low95, 3))–\(fixed(row.high95, 3))], of full \
            \(fixed(row.relative_to_full, 3)), exact \(fixed(row.exact, 3)), n \(row.questions), \
            \(row.kv_bytes_per_document) bytes, \(fixed(row.prefill_seconds_per_document, 2)) s a document
            """
        if json { printError(line) } else { print(line) }
    }
}

/// Counts of answers.
struct Tally {
    var questions = 0
    var answered = 0
    var exact = 0
    var byKind: [String: (answered: Int, questions: Int)] = [:]
    var bytes = 0
    var seconds = 0.0
    var documents = 0
    var failures: [String] = []

    var answeredShare: Double { Double(answered) / Double(questions) }
    var shareByKind: [String: Double] { byKind.mapValues { Double($0.answered) / Double($0.questions) } }

    /// Wilson's interval of the answered share, 95 %.
    var interval95: (low: Double, high: Double) {
        let (n, p, z) = (Double(questions), answeredShare, 1.96)
        let centre = p + z * z / (2 * n)
        let spread = z * ((p * (1 - p) + z * z / (4 * n)) / n).squareRoot()
        return ((centre - spread) / (1 + z * z / n), (centre + spread) / (1 + z * z / n))
    }

    mutating func add(_ question: Needle.HeldOut.Question, answer: String) {
        let isRight = answer.contains(question.value)
        questions += 1
        answered += isRight ? 1 : 0
        exact += answer == question.answer ? 1 : 0
        byKind[question.kind, default: (0, 0)].answered += isRight ? 1 : 0
        byKind[question.kind, default: (0, 0)].questions += 1
        if !isRight { failures.append("\(question.kind): \(question.question) — \(question.answer) — \(answer)") }
    }
}

/// Caches documents and asks, with the engine's own parts.
struct Asker {
    let bench: Bench
    let decoder: Decoder
    let instruction: [Int32]
    /// The longest answer in the sets has some 40 tokens.
    let maxAnswerTokens = 64

    init(bench: Bench, instruction: String?) throws {
        self.bench = bench
        decoder = try Decoder(model: bench.model, pool: bench.pool)
        self.instruction =
            try instruction.map { try bench.loaded.questionTokens($0) } ?? bench.loaded.reconstructionTokens
    }

    /// One cache for all questions of the document, written before any is known.
    func hidden(_ document: Needle.HeldOut.Document, method: Method, keep: Double, into tally: inout Tally) throws {
        let (ids, prefixTokens, _) = bench.loaded.documentTokens(document.text)
        let (cache, seconds) = try timed { try read(ids, prefixTokens: prefixTokens, method: method, keep: keep) }
        tally.add(cache, seconds: seconds)
        for question in document.questions {
            tally.add(question, answer: try answer(bench.loaded.questionTokens(question.question), base: cache.base))
        }
    }

    /// A cache for each question, which stands at the document's end while it is written.
    func visible(_ document: Needle.HeldOut.Document, method: Method, keep: Double, into tally: inout Tally) throws {
        let (ids, prefixTokens, _) = bench.loaded.documentTokens(document.text)
        for question in document.questions {
            let all = ids + (try bench.loaded.questionTokens(question.question))
            // The last token is fed on top, since the first answer token needs its logits.
            let (cache, seconds) = try timed {
                try read(
                    Array(all.dropLast()), prefixTokens: prefixTokens, method: method, keep: keep, of: ids.count)
            }
            tally.add(cache, seconds: seconds)
            tally.add(question, answer: try answer([all[all.count - 1]], base: cache.base))
        }
    }

    private func read(
        _ ids: [Int32], prefixTokens: Int, method: Method, keep: Double, of tokens: Int? = nil
    ) throws -> CompactCache {
        let budget = method.budget(
            keepingPercent: keep, tokens: tokens ?? ids.count, templatePrefixTokens: prefixTokens)
        let prefill = try DocumentPrefill(
            model: bench.model, pool: bench.pool, tokens: ids, templatePrefixTokens: prefixTokens, method: method,
            budget: budget, instruction: instruction)
        while try !prefill.step().isDone {}
        return try prefill.finish()
    }

    private func answer(_ question: [Int32], base: BaseRows) throws -> String {
        let sequence = try Sequence(model: bench.model, base: base)
        var sampler = try Sampler()
        var logits = try decoder.feed(question, to: sequence)
        var tokens: [Int32] = []
        while tokens.count < maxAnswerTokens {
            let next = try sampler.next(logits: logits.span)
            if bench.loaded.tokenizer.endOfGeneration.contains(next) { break }
            tokens.append(next)
            logits = try decoder.feed([next], to: sequence)
        }
        return bench.loaded.tokenizer.decode(tokens)
    }
}

extension Tally {
    mutating func add(_ cache: CompactCache, seconds: Double) {
        bytes += cache.storedBytes
        self.seconds += seconds
        documents += 1
    }
}
