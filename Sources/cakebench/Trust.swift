// cakebench trust: whether a cache's check, made before any question is known, tells how many questions it answers.

import API
import ArgumentParser
import CAKE
import CacheStore
import Evaluation
import FoundationEssentials
import Inference
import Transformer

struct Trust: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Sets what a document's check says beside the share of its held-out questions that are answered.",
        discussion: """
            The check asks for what comes right after quotes of the document, as "cakectl put --check" does, and \
            compares \
            what the compact cache and the full cache expect. "answered" is the share of the questions that are \
            answered, \
            of those that the full cache answers.

              cakebench trust --model needle.gguf --set Tests/Fixtures/heldout-2k.json
            """)

    @OptionGroup var options: ModelOptions
    @Option(name: .long, help: "The questions, made by the recipe's heldout.py.") var set: String
    @Option(name: .long, help: "Presets, separated by commas.") var methods = "cake-global,kvzip,snapkv,cake"
    @Option(name: .long, help: "Shares of the cache to keep, in percent of its bytes in q8_0, separated by commas.")
    var keep = "3.2,5,10,20"
    @Option(name: .long, help: "Documents to use (default: all).") var documents: Int?
    @Flag(name: .long, help: "Print JSON.") var json = false

    /// One document's cache.
    struct Row: Encodable {
        var document: Int
        var method: String
        var keep_percent: Double
        /// The share of the questions that are answered, relative to the full cache's.
        var answered: Double
        var check: CheckFigures
    }

    mutating func run() throws {
        let bench = try Bench(options)
        let asker = try Asker(bench: bench)
        let comparison = try ComparisonOptions.parse(["--methods", methods, "--keep", keep])
        let (methods, shares) = (try comparison.chosenMethods(), try comparison.shares())
        let set = try JSONDecoder().decode(HeldOut.self, from: readFile(set))
        var rows: [Row] = []
        for (index, document) in set.documents.prefix(documents ?? .max).enumerated() {
            let asked = try AskedDocument(document, of: bench)
            let full = try asker.score(
                asked, bench.read(asked.ids, method: .preset("full"), budget: asked.ids.count).base)
            guard full > 0 else {
                throw ValidationError("the full cache answers no question about document \(index + 1)")
            }
            for method in methods {
                showProgress("document \(index + 1) of \(set.documents.count), \(method.name)")
                let study = try TrustStudy(asked, method: method, largestShare: shares[shares.count - 1], asker: asker)
                for share in shares {
                    let (cache, figures) = try study.check(keepingPercent: share)
                    let answered = try asker.score(asked, cache.base) / full
                    rows.append(
                        Row(
                            document: index + 1, method: method.name, keep_percent: share, answered: answered,
                            check: figures))
                }
            }
        }
        showProgress(nil)
        if json { return try printJSON(rows) }
        publish(rows, model: bench.loaded.card.id)
    }

    private func publish(_ rows: [Row], model: String) {
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
        print("\(Set(rows.map(\.document)).count) documents, \(model)")
        var table = [["method", "kept", "answered", "recall", "agreement", "KL"]]
        for method in rows.map(\.method).uniqued {
            for share in rows.map(\.keep_percent).uniqued {
                let group = rows.filter { $0.method == method && $0.keep_percent == share }
                let checks = group.map(\.check)
                table.append(
                    [method, fixed(share, 1) + " %", fixed(mean(group.map(\.answered)), 2)]
                        + [
                            fixed(mean(checks.compactMap(\.recall)), 2), fixed(mean(checks.compactMap(\.agreement)), 2),
                            fixed(mean(checks.compactMap(\.kl)), 3),
                        ])
            }
        }
        printTable(table)
        let judged = rows.filter { $0.check.recall != nil }
        let figures: [(String, (Row) -> Double)] = [
            ("recall", { $0.check.recall ?? 0 }), ("agreement", { $0.check.agreement ?? 0 }),
            ("KL", { -($0.check.kl ?? 0) }),
        ]
        print("\nrank correlation with the share answered, over \(judged.count) caches")
        printTable(
            figures.map { name, figure in
                [name, RankCorrelation.spearman(judged.map(figure), judged.map(\.answered)).map { fixed($0, 2) } ?? ""]
            })
        print("\nanswered, by recall")
        table = [["recall", "caches", "mean", "tenth percentile", "least"]]
        for band in [0.9...1, 0.8...0.9, 0.7...0.8, 0.6...0.7, 0.4...0.6, 0...0.4] {
            let answered = judged.filter {
                let recall = $0.check.recall ?? 0
                return recall >= band.lowerBound && (recall < band.upperBound || band.upperBound == 1)
            }.map(\.answered).sorted()
            guard let least = answered.first else { continue }
            table.append([
                "\(fixed(band.lowerBound, 1)) to \(fixed(band.upperBound, 1))", "\(answered.count)",
                fixed(mean(answered), 2), fixed(answered[answered.count / 10], 2), fixed(least, 2),
            ])
        }
        printTable(table)
    }
}

/// One document's cache at several budgets, with the figures of its check.
struct TrustStudy {
    private let asked: AskedDocument
    private let method: Method
    private let asker: Asker
    private let cache: CompactCache
    private let places: [CheckPlace]
    private let full: OutputRows
    private let blind: [CacheCheck.Token]

    init(_ asked: AskedDocument, method: Method, largestShare: Double, asker: Asker) throws {
        (self.asked, self.method, self.asker) = (asked, method, asker)
        let bench = asker.bench
        places = bench.loaded.checkPlaces(in: asked.ids, prefixTokens: asked.prefixTokens)
        let prefill = try DocumentPrefill(
            model: bench.model, pool: bench.pool, tokens: asked.ids, templatePrefixTokens: asked.prefixTokens,
            method: method, budget: Self.budget(asked, method, largestShare, bench), rows: Bench.defaultRows,
            instruction: bench.loaded.reconstructionTokens,
            probes: method.observation == .probe ? bench.loaded.generalProbes : [], checks: places)
        while try !prefill.step().isDone {}
        full = try prefill.checkedRows()
        cache = try prefill.finish()
        blind = try Self.tokens(asker, places, full, cache.emptyBase)
    }

    private static func budget(_ asked: AskedDocument, _ method: Method, _ share: Double, _ bench: Bench) -> Int {
        bench.budget(
            method, percent: share, tokens: asked.ids.count, prefixTokens: asked.prefixTokens,
            rows: Bench.defaultRows)
    }

    private static func tokens(
        _ asker: Asker, _ places: [CheckPlace], _ full: OutputRows, _ base: BaseRows
    ) throws -> [CacheCheck.Token] {
        let check = CacheCheck(decoder: asker.decoder, places: places, full: full, base: base)
        while try !check.step() {}
        return check.tokens
    }

    /// The cache at a share of the entries, and what its check says.
    func check(keepingPercent share: Double) throws -> (CompactCache, CheckFigures) {
        let budget = Self.budget(asked, method, share, asker.bench)
        let smaller = cache.truncated(
            to: try cache.retention.truncated(to: budget, method: method, templatePrefixTokens: asked.prefixTokens))
        let tokens = try Self.tokens(asker, places, full, smaller.base)
        return (smaller, CheckFigures(budget: budget, places: places.count, tokens: tokens, blind: blind))
    }
}

extension AskedDocument {
    /// A held-out document with its questions, each asked alone.
    init(_ document: HeldOut.Document, of bench: Bench) throws {
        let (ids, prefixTokens, _) = try bench.loaded.documentTokens(document.text)
        self.init(
            ids: ids, prefixTokens: prefixTokens,
            questions: try document.questions.map { question in
                AskedQuestion(ids: try bench.loaded.questionTokens(question.question), kind: question.kind) {
                    $0.contains(question.value) ? 1 : 0
                }
            })
    }
}

extension Asker {
    /// The mean score of a document's questions.
    fileprivate func score(_ document: AskedDocument, _ base: BaseRows) throws -> Double {
        let answers = try answers(document.questions, base: base)
        return zip(document.questions, answers).reduce(0) { $0 + $1.0.score($1.1) } / Double(document.questions.count)
    }
}

extension Swift.Sequence where Element: Hashable {
    /// Each element once, in the order of its first place.
    fileprivate var uniqued: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}
