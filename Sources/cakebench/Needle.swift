// cakebench needle: the share of held-out questions answered from a compact cache, by method and budget.

import API
import ArgumentParser
import Evaluation
import FoundationEssentials
import Glibc
import Inference
import Tokenizers
import Transformer

/// Documents with questions, as the recipe's heldout.py writes them.
struct HeldOut: Decodable {
    struct Question: Decodable {
        /// "single", "twohop" or "attr".
        var kind: String
        /// Where the needle stands, in percent of the document, if it was put there.
        var depth: Int?
        var question: String
        var answer: String
        var value: String
    }
    struct Document: Decodable {
        var text: String
        var questions: [Question]
    }
    /// The tokens each document was made for.
    var tokens: Int?
    var documents: [Document]
}

struct Needle: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Asks held-out documents their questions: from the full cache, and from compact ones.",
        discussion: """
            Hidden: the document is cached before any question is known, and every question starts from that cache. \
            Visible: for each question the document is cached again with the question in the observation window, as \
            the CAKE paper measures. An answer counts when it contains the value asked for.

              python3 models/needle-4m/recipe/heldout.py --seed 7777 --tokens 4096 --documents 20 > set.json
              cakebench needle --model needle.gguf --set set.json --keep 3.2,5,10,20 --plot quality.svg

            Several sets, of several lengths, make a grid of depth and length with --grid.
            """)

    @OptionGroup var options: ModelOptions
    @OptionGroup var comparisonOptions: ComparisonOptions
    @Option(name: .long, help: "The questions, made by the recipe's heldout.py; may be repeated.") var set: [String]
    @Flag(name: .long, help: "Group questions by depth and length instead of by kind.") var grid = false
    @Flag(
        name: .long,
        help: "Ask all questions of a document in one conversation, the right answers of earlier ones before each.")
    var conversation = false

    mutating func run() throws {
        let bench = try Bench(options)
        var comparison = try Comparison(bench: bench, options: comparisonOptions)
        let sets = try set.map { try JSONDecoder().decode(HeldOut.self, from: readFile($0)) }
        let documents = sets.flatMap { set in
            set.documents.prefix(comparisonOptions.documents ?? .max).map { (set.tokens, $0) }
        }
        guard !documents.isEmpty else { throw ValidationError("the sets have no documents") }
        for (index, (tokens, document)) in documents.enumerated() {
            showProgress("document \(index + 1) of \(documents.count)")
            try comparison.add(asked(document, tokens: tokens, of: bench))
        }
        showProgress(nil)
        let lengths = Set(sets.compactMap(\.tokens)).sorted().map(String.init).joined(separator: ", ")
        try ComparisonReport(comparison).publish(
            comparisonOptions,
            subject: "Held-out facts in documents of \(lengths) tokens, \(bench.loaded.card.id)"
                + (conversation ? ", in one conversation" : ""))
    }

    private func asked(_ document: HeldOut.Document, tokens: Int?, of bench: Bench) throws -> AskedDocument {
        let (ids, prefixTokens, _) = try bench.loaded.documentTokens(document.text)
        var before: [Tokenizers.ChatMessage] = []
        let questions = try document.questions.map { question in
            let messages = before + [Tokenizers.ChatMessage(role: .user, content: question.question)]
            if conversation { before = messages + [Tokenizers.ChatMessage(role: .assistant, content: question.answer)] }
            let kind = grid ? cell(question, tokens: tokens) : question.kind
            return AskedQuestion(ids: try bench.loaded.continuationTokens(messages), kind: kind) {
                $0.contains(question.value) ? 1 : 0
            }
        }
        return AskedDocument(ids: ids, prefixTokens: prefixTokens, questions: questions)
    }

    private func cell(_ question: HeldOut.Question, tokens: Int?) -> String {
        let length = tokens.map { "\($0): " } ?? ""
        return length + (question.depth.map { "at \($0) %" } ?? question.kind)
    }
}

/// Says how far a long evaluation is, on a terminal; nil clears the line.
func showProgress(_ text: String?) {
    guard isatty(STDERR_FILENO) == 1 else { return }
    let line = Array("\r\u{1B}[K\(text ?? "")".utf8)
    _ = unsafe line.withUnsafeBytes { unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
}
