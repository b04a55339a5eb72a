// cakebench trust: whether a cache's check, made before any question is known, tells how many questions it answers.

import ArgumentParser
import CAKE
import Evaluation
import FoundationEssentials
import Inference
import Tokenizers
import Transformer

struct Trust: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sets what a document's check says beside the share of its held-out questions that are answered.",
        discussion: """
            The check asks for what comes right after quotes of the document, as "cakectl put --check" does, and compares \
            what the compact cache and the full cache expect.

              cakebench trust --model needle.gguf --set Tests/Fixtures/heldout-2k.json --methods cake-reconstruct,cake
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "The questions, made by the recipe's heldout.py.") var set: String
    @Option(name: .long, help: "Presets, separated by commas.") var methods = "cake-reconstruct,cake"
    @Option(name: .long, help: "Shares of the entries to keep, in percent, separated by commas.")
    var keep = "3.2,5,7,10,14,20,28,40,50"
    @Option(name: .long, help: "Documents to use (default: all).") var documents: Int?
    @Flag(name: .long, help: "Print JSON.") var json = false

    struct Row: Encodable {
        var document: Int
        var method: String
        var keep_percent: Double
        var answered: Double
        var full: Double
        var tokens: [[Int]]
        var kl: [Double]
        var blindBest: [Int]
        var blindKL: [Double]
        var fullLoss: [Double]
        var loss: [Double]
        var blindLoss: [Double]
        var text: [String]
    }

    mutating func run() throws {
        let bench = try Bench(options)
        let asker = try Asker(bench: bench)
        let comparison = try ComparisonOptions.parse(["--methods", methods, "--keep", keep])
        let set = try JSONDecoder().decode(HeldOut.self, from: readFile(set))
        let shares = try comparison.shares()
        var rows: [Row] = []
        for (index, document) in set.documents.prefix(documents ?? .max).enumerated() {
            let (ids, prefixTokens, _) = bench.loaded.documentTokens(document.text)
            let places = bench.loaded.checkPlaces(in: ids, prefixTokens: prefixTokens)
            let questions = try document.questions.map { question in
                AskedQuestion(ids: try bench.loaded.questionTokens(question.question)) {
                    $0.contains(question.value) ? 1 : 0
                }
            }
            func answered(_ base: BaseRows) throws -> Double {
                let answers = try asker.answers(questions, base: base)
                return zip(questions, answers).reduce(0) { $0 + $1.0.score($1.1) } / Double(questions.count)
            }
            let whole = try bench.read(ids, prefixTokens: prefixTokens, method: .preset("full"), budget: ids.count)
            let full = try answered(whole.base)
            for method in try comparison.chosenMethods() {
                showProgress("document \(index), \(method.name)")
                let budgets = shares.map {
                    method.budget(keepingPercent: $0, tokens: ids.count, templatePrefixTokens: prefixTokens)
                }
                let prefill = try DocumentPrefill(
                    model: bench.model, pool: bench.pool, tokens: ids, templatePrefixTokens: prefixTokens,
                    method: method, budget: budgets[budgets.count - 1], rows: .f16,
                    instruction: bench.loaded.reconstructionTokens, checks: places)
                while try !prefill.step().isDone {}
                let reference = try prefill.checkedRows()
                let cache = try prefill.finish()
                func check(_ base: BaseRows) throws -> [CacheCheck.Token] {
                    let check = CacheCheck(
                        decoder: asker.decoder, places: places, full: reference, base: base)
                    while try !check.step() {}
                    return check.tokens
                }
                let nothing = BaseRows(
                    rows: .f16, layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth,
                    tokens: cache.tokens)
                let blind = try check(nothing)
                for (share, budget) in zip(shares, budgets) {
                    let smaller = cache.truncated(
                        to: try cache.retention.truncated(
                            to: budget, method: method, templatePrefixTokens: prefixTokens))
                    let tokens = try check(smaller.base)
                    rows.append(
                        Row(
                            document: index, method: method.name, keep_percent: share,
                            answered: try answered(smaller.base), full: full,
                            tokens: tokens.map { [$0.truth, $0.fullBest, $0.best] }, kl: tokens.map(\.divergence),
                            blindBest: blind.map(\.best), blindKL: blind.map(\.divergence),
 fullLoss: tokens.map(\.fullLoss), loss: tokens.map(\.loss), blindLoss: blind.map(\.loss), text: tokens.map { bench.loaded.tokenizer.decode([Int32($0.truth)]) }))
                }
            }
        }
        try printJSON(rows)
    }
}
