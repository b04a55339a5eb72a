// What reading a document takes: checked and fixed before it waits for its turn.

import API
import CAKE
import CacheStore
import EngineInterface
import Tokenizers
import Transformer

/// What reading a document takes, fixed before it waits: nothing in it changes any more.
struct ReadingPlan: Sendable {
    var text: [UInt8]
    var tokens: [Int32]
    var prefixTokens: Int
    var templatePrefix: String
    /// The last tokens that questions can see in each layer; nil: all in every one.
    var capacities: [Int]?
    var method: Method
    /// What it predicts with, where it does.
    var surrogate: Surrogate?
    /// The tokens of each.
    var probes: [[Int32]]
    /// What it is read with; the terms of its check may choose a smaller one then.
    var budget: Int
    /// What its check is for; nil when it is not checked.
    var terms: CheckTerms?
    var rows: RowType
    var ttlSeconds: Int?
    var pinned: Bool
    var textHash: String
    var optionsHash: String
    /// The model's name.
    var model: String
}

extension ReadingPlan {
    /// The full cache, and how what is kept of it is stored.
    var extent: CacheExtent {
        CacheExtent(tokens: tokens.count, prefixTokens: prefixTokens, capacities: capacities, rows: KVRows(rows))
    }

    /// The fewest tokens kept free in the context for a question and its answer: a short one of each.
    static let answerReserveTokens = 64

    /// What makes two readings of the same text the same.
    private struct Options: Encodable {
        var method: Method
        /// What it predicts with, where it does.
        var surrogate: Surrogate?
        var probes: [[Int32]]
        var asked: String
        var rows: String
        var fingerprint: [String: String]
    }

    /// Checks a request and fixes everything about it.
    ///
    /// Costs a hash and a tokenization of the text.
    ///
    /// Until a `surrogate` has been learned, a method that would predict with one has the document fed again.
    init(
        _ request: PutRequest, loaded: LoadedModel, configuration: EngineConfiguration, surrogate: Surrogate?
    ) throws(EngineError) {
        let options = request.options
        do throws(RequestError) {
            try PutBody.check(text: request.text)
            try options.validate()
        } catch {
            throw EngineError(error)
        }
        let document = String(decoding: request.text, as: UTF8.self)
        let (wanted, choosesEffort) = try Self.method(options, configuration)
        var method = wanted
        if method.observation == .predicted, surrogate == nil { method = try Self.unlearned(method) }
        let probes = try Self.probes(options.probes, method: method, loaded: loaded)
        let keep = options.keep ?? configuration.defaultKeep
        let rows = try RowType(
            requested: options.rows.flatMap(StoredRows.init), configured: configuration.defaultRows,
            headWidth: loaded.model.configuration.headWidth,
            keepsAll: keep == .percent(100) || method.allocation == .everything)
        let limit = loaded.card.contextLength - Self.answerReserveTokens
        func tooLong(_ count: String) -> EngineError {
            .invalid(
                code: "document_too_long",
                message: """
                    the document has \(count) tokens; this model's context is \(loaded.card.contextLength), and \
                    \(Self.answerReserveTokens) are kept for a question and its answer: split the document
                    """,
                parameter: "text")
        }
        // A text far beyond the context is refused before it costs a tokenization.
        let atLeast = request.text.count / loaded.longestTokenBytes
        if atLeast > limit { throw tooLong("at least \(atLeast)") }
        let (tokens, prefixTokens, templatePrefix) = try Self.tokens(of: document, loaded)
        if tokens.count > limit { throw tooLong("\(tokens.count)") }
        let capacities = loaded.model.configuration.capacities(tokens: tokens.count)
        let extent = CacheExtent(
            tokens: tokens.count, prefixTokens: prefixTokens, capacities: capacities, rows: KVRows(rows))
        let budget = try Self.budget(keep, method: method, of: extent)
        // A budget was rounded up to whole entries.
        if choosesEffort, surrogate != nil, probes.isEmpty, keep != .auto,
            extent.entryShare(ofBudget: budget - 1) <= Self.learnedShare
        {
            method = method.with(effort: .learned)
        }
        let terms = CheckTerms(
            request, keep: keep, budget: budget, method: method, tokens: tokens, of: extent, loaded: loaded,
            configuration: configuration)
        // Equal requests are equal whatever is found to do for them, and whatever has been learned meanwhile.
        let asked = keep == .auto ? "auto \(terms?.target ?? 0)" : "\(budget)"

        var textHash = Hash128()
        textHash.update(request.text)
        let canonical = Options(
            method: wanted, probes: probes, asked: asked, rows: rows.rawValue, fingerprint: loaded.fingerprint.fields)
        self.init(
            text: request.text, tokens: tokens, prefixTokens: prefixTokens,
            templatePrefix: templatePrefix, capacities: capacities,
            method: method, surrogate: method.observation == .predicted ? surrogate : nil, probes: probes,
            budget: terms?.budgets.last ?? budget, terms: terms, rows: rows,
            ttlSeconds: options.ttlSeconds, pinned: options.pinned, textHash: textHash.hex,
            optionsHash: CanonicalForm(canonical).hash,
            model: loaded.card.id)
    }

    private static func tokens(
        of document: String, _ loaded: LoadedModel
    ) throws(EngineError) -> (ids: [Int32], prefixTokens: Int, prefix: String) {
        do throws(TokenizerError) { return try loaded.documentTokens(document) } catch {
            throw .invalid(code: "invalid_document", message: "\(error)", parameter: "text")
        }
    }

    /// Up to which share of the entries one reading answers as much as two do (docs/answers.md).
    private static let learnedShare = 0.17

    // A name may say the effort itself, "cake-global:fast": then only another word of the request goes over it.
    private static func method(
        _ options: DocumentOptions, _ configuration: EngineConfiguration
    ) throws(EngineError) -> (method: Method, choosesEffort: Bool) {
        let name = options.method ?? configuration.defaultMethod
        let asked = options.effort.flatMap(Effort.init)
        let effort = asked ?? (name.contains(":") ? nil : configuration.defaultEffort)
        do throws(CAKEError) {
            let method = try Method.preset(name)
            return (effort.flatMap(Method.Effort.init).map { method.with(effort: $0) } ?? method, effort == .auto)
        } catch {
            throw .invalid(code: "unknown_method", message: "\(error)", parameter: "method")
        }
    }

    private static func unlearned(_ method: Method) throws(EngineError) -> Method {
        let preset = method.name.split(separator: ":").first.map(String.init) ?? method.name
        do throws(CAKEError) { return try Method.preset(preset) } catch { throw .internalFailure(message: "\(error)") }
    }

    // A method of probes alone has general ones where the client gives none.
    private static func probes(
        _ texts: [String], method: Method, loaded: LoadedModel
    ) throws(EngineError) -> [[Int32]] {
        func refuse(_ message: String) -> EngineError {
            .invalid(code: "invalid_probes", message: message, parameter: "probes")
        }
        if texts.isEmpty, method.observation == .probe { return loaded.generalProbes }
        guard texts.isEmpty || method.takesProbes else {
            throw refuse("method \(method.name) takes no probes; use cake-global or cake-probe")
        }
        guard texts.count <= DocumentPrefill.maximumProbes else {
            throw refuse("there are \(texts.count) probes; send at most \(DocumentPrefill.maximumProbes)")
        }
        var probes: [[Int32]] = []
        for text in texts {
            guard let tokens = try? loaded.questionTokens(text), !text.isEmpty,
                tokens.count <= DocumentPrefill.maximumObservedRows
            else {
                throw refuse(
                    "a probe is a question of at most \(DocumentPrefill.maximumObservedRows) tokens; one of these is "
                        + "not"
                )
            }
            probes.append(tokens)
        }
        return probes
    }

    private static func budget(
        _ keep: Keep, method: Method, of cache: CacheExtent
    ) throws(EngineError) -> Int {
        let tokens = cache.tokens
        if case .everything = method.allocation { return tokens }
        guard let budget = method.budget(keep, of: cache) else {
            return CheckTerms.ladder(method, of: cache).last ?? tokens
        }
        if budget > tokens {
            throw .invalidBudget("the budget is \(budget) entries, but the document has only \(tokens) tokens")
        }
        try method.check(budget: budget, tokens: tokens, prefixTokens: cache.prefixTokens)
        return budget
    }
}
