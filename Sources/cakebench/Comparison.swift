// Every preset at every budget against the full cache, on the same questions: what all evaluations of answers share.

import ArgumentParser
import CAKE
import Evaluation
import Inference
import Transformer

/// What is compared.
struct ComparisonOptions: ParsableArguments {
    @Option(
        name: .long, help: "Presets, separated by commas, as \(Method.defaultPreset):fast too (default: every one).")
    var methods: String?
    @Option(name: .long, help: "Presets also measured with the question visible.") var visible = "cake"
    @Option(name: .long, help: "Shares of the cache to keep, in percent of its bytes in q8_0, separated by commas.")
    var keep = "5,10,20"
    @Option(name: .long, help: "How rows are kept, separated by commas: f16, q8_0, q4.") var rows = Bench.defaultRows
        .rawValue
    @Option(name: .long, help: "Documents to use (default: all).") var documents: Int?
    @Flag(name: .long, help: "Read the document anew for every budget, not once for the largest one.")
    var direct = false
    @Option(name: .long, help: "Draw quality against bytes kept into this SVG file.") var plot: String?
    @Flag(name: .long, help: "Print JSON.") var json = false

    func chosenMethods() throws -> [Method] {
        // Every preset, and the default one with every effort.
        let names = Method.presetNames.filter { $0 != "full" }
        let efforts = Method.Effort.allCases.map { "\(Method.defaultPreset):\($0.rawValue)" }
        let all = names + (try efforts.map { try Method.preset($0).name }.filter { !names.contains($0) })
        return try (methods.map(Self.list) ?? all).map { try Method.preset($0) }
    }

    func visibleMethods() throws -> [Method] { try Self.list(visible).map { try Method.preset($0) } }

    func shares() throws -> [Double] {
        let shares = try Self.list(keep).map { text in
            guard let share = Double(text), share > 0, share <= 100 else {
                throw ValidationError("\"\(text)\" is no share in percent")
            }
            return share
        }
        guard !shares.isEmpty else { throw ValidationError("--keep names no share") }
        return shares.sorted()
    }

    func rowTypes() throws -> [KVRows] {
        let types = try Self.list(rows).map { name in
            guard let rows = KVRows(rawValue: name) else {
                throw ValidationError("--rows is one of \(KVRows.allCases.map(\.rawValue).joined(separator: ", "))")
            }
            return rows
        }
        guard !types.isEmpty else { throw ValidationError("--rows names no type") }
        return types
    }

    private static func list(_ text: String) -> [String] { text.split(separator: ",").map { String($0) } }
}

/// One way to cache a document.
struct Setting: Hashable {
    var method: String
    var isVisible = false
    var rows: KVRows
    var keepPercent: Double
}

/// What was measured of one setting.
struct Measurement {
    var scores = Scores()
    var bytes = 0
    var readings = 0
    var seconds = 0.0
}

/// Asks documents under every setting.
///
/// A method reads a document once, at the largest budget; the smaller ones truncate that. On the first document the
/// smallest budget is also read anew: a method of which more entries differ than rounding explains is read anew at
/// every budget from then on.
struct Comparison {
    /// What the first document said about truncation.
    struct TruncationCheck: Encodable {
        var method: String
        var keep_percent: Double
        var entries: Int
        var differing_entries: Int
        var is_truncated: Bool
    }

    let asker: Asker
    private let options: ComparisonOptions
    private let methods: [Method]
    private let visibleMethods: [Method]
    private let shares: [Double]
    private let rowTypes: [KVRows]
    private(set) var settings: [Setting] = []
    private(set) var measurements: [Setting: Measurement] = [:]
    private(set) var checks: [TruncationCheck] = []
    /// Presets that cannot read these documents, and why.
    private(set) var refused: [String: String] = [:]
    private(set) var documents = 0

    init(bench: Bench, options: ComparisonOptions) throws {
        asker = try Asker(bench: bench)
        self.options = options
        methods = try options.chosenMethods()
        visibleMethods = try options.visibleMethods()
        shares = try options.shares()
        rowTypes = try options.rowTypes()
    }

    /// The full cache in the first row type: what every other setting is compared with.
    var full: Setting { Setting(method: "full", rows: rowTypes[0], keepPercent: 100) }

    /// Asks one document under every setting.
    mutating func add(_ document: AskedDocument) throws {
        documents += 1
        for rows in rowTypes {
            let setting = Setting(method: "full", rows: rows, keepPercent: 100)
            let (cache, seconds) = try read(document.ids, document, .preset("full"), rows, percent: 100)
            try record(setting, document.questions, cache.base, bytes: cache.storedBytes, seconds: seconds)
            for method in methods where method.name != "full" { try addHidden(document, method, rows) }
            for method in visibleMethods where method.name != "full" { try addVisible(document, method, rows) }
        }
        showProgress(nil)
        printError(progress)
    }

    /// What every setting has scored so far: all that is left where a run of an hour is stopped.
    private var progress: String {
        let scores = settings.map { setting in
            let name = setting.method + (setting.isVisible ? " (visible)" : "")
            let rows = rowTypes.count > 1 ? " " + setting.rows.rawValue : ""
            let score = fixed(measurements[setting]?.scores.mean ?? 0, 2)
            return "\(name)\(rows) \(fixed(setting.keepPercent, 1)) % \(score)"
        }
        return "after \(documents) documents: \(scores.joined(separator: ", "))"
    }

    /// One cache for all questions, written before any is known.
    private mutating func addHidden(_ document: AskedDocument, _ method: Method, _ rows: KVRows) throws {
        guard refused[method.name] == nil else { return }
        do {
            for (share, base, bytes, seconds) in try bases(document.ids, document, method, rows) {
                let setting = Setting(method: method.name, rows: rows, keepPercent: share)
                try record(setting, document.questions, base, bytes: bytes, seconds: seconds)
            }
        } catch let error as ModelError where documents == 1 {
            refused[method.name] = error.description
            printError("\(method.name) is left out: \(error.description)")
        }
    }

    /// A cache for each question, which stands at the document's end while it is written.
    private mutating func addVisible(_ document: AskedDocument, _ method: Method, _ rows: KVRows) throws {
        for question in document.questions {
            // The last token is fed on top, since the first answer token needs its logits.
            let all = document.ids + question.ids.dropLast()
            var last = question
            last.ids = question.ids.suffix(1)
            for (share, base, bytes, seconds) in try bases(all, document, method, rows, checks: false) {
                let setting = Setting(method: method.name, isVisible: true, rows: rows, keepPercent: share)
                try record(setting, [last], base, bytes: bytes, seconds: seconds)
            }
        }
    }

    private mutating func record(
        _ setting: Setting, _ questions: [AskedQuestion], _ base: BaseRows, bytes: Int, seconds: Double
    ) throws {
        if measurements[setting] == nil { settings.append(setting) }
        let answers = try asker.answers(questions, base: base)
        for (question, answer) in zip(questions, answers) {
            measurements[setting, default: Measurement()].scores.add(question.score(answer), kind: question.kind)
        }
        measurements[setting]?.bytes += bytes
        measurements[setting]?.seconds += seconds
        measurements[setting]?.readings += 1
    }

    /// The bases of every share, smallest first.
    private mutating func bases(
        _ ids: [Int32], _ document: AskedDocument, _ method: Method, _ rows: KVRows, checks: Bool = true
    ) throws -> [(share: Double, base: BaseRows, bytes: Int, seconds: Double)] {
        let isDirect = options.direct || self.checks.contains { $0.method == method.name && !$0.is_truncated }
        if isDirect {
            return try shares.map { share in
                let (cache, seconds) = try read(ids, document, method, rows, percent: share)
                return (share, cache.base, cache.storedBytes, seconds)
            }
        }
        let (cache, seconds) = try read(ids, document, method, rows, percent: shares[shares.count - 1])
        if checks, documents == 1, shares.count > 1, rows == rowTypes[0] {
            try check(cache, document, method)
            if self.checks.last?.is_truncated == false { return try bases(ids, document, method, rows) }
        }
        return try shares.map { share in
            let smaller = cache.truncated(to: try truncated(cache, document, method, percent: share))
            return (share, smaller.base, smaller.storedBytes, seconds)
        }
    }

    private func truncated(
        _ cache: CompactCache, _ document: AskedDocument, _ method: Method, percent: Double
    ) throws -> Retention {
        try cache.retention.truncated(
            to: budget(document, method, cache.rows, percent: percent), method: method,
            templatePrefixTokens: document.prefixTokens)
    }

    /// Compares the smallest budget's truncation with reading the document at that budget.
    private mutating func check(_ cache: CompactCache, _ document: AskedDocument, _ method: Method) throws {
        let smallest = try truncated(cache, document, method, percent: shares[0])
        let (direct, _) = try read(document.ids, document, method, cache.rows, percent: shares[0])
        var (entries, differing) = (0, 0)
        for (layer, other) in zip(smallest.layers, direct.retention.layers) {
            for (head, otherHead) in zip(layer.heads, other.heads) {
                let (kept, read) = (Set(head.positions), Set(otherHead.positions))
                entries += read.count
                differing += read.subtracting(kept).count + max(0, kept.count - read.count)
            }
        }
        // Rounding may give a layer one slot a head more than it has from the start.
        checks.append(
            TruncationCheck(
                method: method.name, keep_percent: shares[0], entries: entries, differing_entries: differing,
                is_truncated: differing <= cache.layers * cache.kvHeads))
    }

    private func budget(_ document: AskedDocument, _ method: Method, _ rows: KVRows, percent: Double) -> Int {
        asker.bench.budget(
            method, percent: percent, tokens: document.ids.count, prefixTokens: document.prefixTokens, rows: rows)
    }

    private func read(
        _ ids: [Int32], _ document: AskedDocument, _ method: Method, _ rows: KVRows, percent: Double
    ) throws -> (CompactCache, Double) {
        try timed {
            try asker.bench.read(
                ids, prefixTokens: document.prefixTokens, method: method,
                budget: budget(document, method, rows, percent: percent), rows: rows)
        }
    }
}
