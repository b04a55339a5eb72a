// Follows a text through the full cache and every compact one together, a token at a time.

import CAKE
import Evaluation
import Inference
import Tokenizers
import Transformer

/// A document's caches side by side.
///
/// Each step feeds one token to all of them, so that no logits are kept and the weights are read once for all.
struct FidelityStudy {
    private struct Cache {
        let setting: Setting
        let base: BaseRows
        let bytes: Int
        let seconds: Double
    }

    private struct Result {
        var bytes = 0
        var readings = 0
        var seconds = 0.0
        var equal = 0
        var f1 = 0.0
        var answers = 0
        var places: [String: Divergence] = [:]
    }

    private let asker: Asker
    private let document: AskedDocument
    private let answerTokens: Int
    private let visibleMethods: [Method]
    private let shares: [Double]
    private let rowTypes: [KVRows]
    private let full: BaseRows
    private var hidden: [Cache] = []
    private var settings: [Setting] = []
    private var results: [Setting: Result] = [:]

    init(
        asker: Asker, ids: [Int32], prefixTokens: Int, answerTokens: Int, options: ComparisonOptions
    ) throws {
        self.asker = asker
        self.answerTokens = answerTokens
        document = AskedDocument(ids: ids, prefixTokens: prefixTokens, questions: [])
        visibleMethods = try options.visibleMethods()
        shares = try options.shares()
        rowTypes = try options.rowTypes()
        full = try Self.read(ids, document, .preset("full"), rowTypes[0], percent: 100, asker).base
        for rows in rowTypes {
            if rows != rowTypes[0] { hidden += try read(.preset("full"), rows, shares: [100]) }
            for method in try options.chosenMethods() where method.name != "full" {
                hidden += try read(method, rows, shares: shares)
            }
        }
        guard hidden.count < asker.decoder.maxRowsPerStep / 2 else {
            throw ModelError.invalidOption(
                name: "settings", value: "\(hidden.count)", needed: "fewer than \(asker.decoder.maxRowsPerStep / 2)")
        }
        for cache in hidden { note(cache) }
    }

    /// Feeds `before` and then `text` to every cache and compares what each expects at every token of `text`.
    mutating func follow(_ kind: String, after before: [Int32], _ text: [Int32]) throws {
        // Without anything before it, the text's first token has no distribution of its own: it is fed.
        let (lead, rest) = before.isEmpty ? (Array(text.prefix(1)), text.dropFirst()) : (before, text[...])
        try compare(kind, hidden.map { ($0.setting, $0.base, lead) }, fullLead: lead, Array(rest))
    }

    /// Asks the full cache, then every other, and compares answers and the way to them.
    mutating func ask(_ question: [Int32]) throws {
        let asked = AskedQuestion(ids: question, maxAnswerTokens: answerTokens) { _ in 0 }
        let truth = try asker.answers([asked], base: full)[0]
        var caches = hidden.map { ($0.setting, $0.base, question) }
        for rows in rowTypes {
            for method in visibleMethods where method.name != "full" {
                let seen = document.ids + question.dropLast()
                for cache in try read(method, rows, shares: shares, seeing: seen) {
                    note(cache)
                    caches.append((cache.setting, cache.base, Array(question.suffix(1))))
                }
            }
        }
        for (setting, base, lead) in caches {
            var own = asked
            own.ids = lead
            let answer = try asker.answers([own], base: base)[0]
            results[setting, default: Result()].answers += 1
            results[setting]?.equal += answer == truth ? 1 : 0
            results[setting]?.f1 += answer == truth ? 1 : AnswerMetric.f1.score(answer, truth: truth)
        }
        let answer = asker.bench.loaded.tokenizer.encode([.text(truth)], continuing: true)
        if !answer.isEmpty { try compare("answer", caches, fullLead: question, answer) }
    }

    private mutating func compare(
        _ kind: String, _ caches: [(setting: Setting, base: BaseRows, lead: [Int32])], fullLead: [Int32],
        _ text: [Int32]
    ) throws {
        let all = [(full, fullLead)] + caches.map { ($0.base, $0.lead) }
        let sequences = try all.map { try Sequence(model: asker.bench.model, base: $0.0) }
        var logits = try zip(sequences, all).map { try asker.decoder.feed($1.1, to: $0) }
        for (index, token) in text.enumerated() {
            for (row, cache) in caches.enumerated() {
                results[cache.setting, default: Result()].places[kind, default: Divergence()].add(
                    reference: logits[0], other: logits[row + 1], truth: Int(token))
            }
            guard index < text.count - 1 else { break }
            let step = try asker.decoder.step(sequences.map { Decoder.Piece($0, [token]) })
            logits = sequences.indices.map { step.array($0) }
        }
    }

    /// What was measured, in the order it was read.
    func rows() -> [Fidelity.Row] {
        settings.compactMap { setting in
            guard let result = results[setting] else { return nil }
            return Fidelity.Row(
                method: setting.method, question: setting.isVisible ? "visible" : "hidden",
                rows: setting.rows.rawValue, keep_percent: setting.keepPercent,
                kv_bytes: result.bytes / max(1, result.readings),
                prefill_seconds: result.seconds / Double(max(1, result.readings)),
                answers_equal: Double(result.equal) / Double(max(1, result.answers)),
                answers_f1: result.f1 / Double(max(1, result.answers)),
                places: result.places.mapValues { Fidelity.Row.Place($0) })
        }
    }

    private mutating func note(_ cache: Cache) {
        if results[cache.setting] == nil { settings.append(cache.setting) }
        results[cache.setting, default: Result()].bytes += cache.bytes
        results[cache.setting]?.readings += 1
        results[cache.setting]?.seconds += cache.seconds
    }

    /// One reading for all shares; `seeing` stands in for the document where the question is visible.
    private func read(
        _ method: Method, _ rows: KVRows, shares: [Double], seeing ids: [Int32]? = nil
    ) throws -> [Cache] {
        let largest = shares[shares.count - 1]
        let (cache, seconds) = try timed {
            try Self.read(ids ?? document.ids, document, method, rows, percent: largest, asker)
        }
        return try shares.map { share in
            let budget = asker.bench.budget(
                method, percent: share, tokens: document.ids.count, prefixTokens: document.prefixTokens, rows: rows)
            let smaller = cache.truncated(
                to: try cache.retention.truncated(
                    to: budget, method: method, templatePrefixTokens: document.prefixTokens))
            return Cache(
                setting: Setting(method: method.name, isVisible: ids != nil, rows: rows, keepPercent: share),
                base: smaller.base, bytes: smaller.storedBytes, seconds: seconds)
        }
    }

    private static func read(
        _ ids: [Int32], _ document: AskedDocument, _ method: Method, _ rows: KVRows, percent: Double, _ asker: Asker
    ) throws -> CompactCache {
        let budget = asker.bench.budget(
            method, percent: percent, tokens: document.ids.count, prefixTokens: document.prefixTokens, rows: rows)
        return try asker.bench.read(
            ids, prefixTokens: document.prefixTokens, method: method, budget: budget, rows: rows)
    }
}
