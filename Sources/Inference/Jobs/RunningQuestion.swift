// One question while it is answered: read in pieces, then decoded token by token.

import API
import CacheStore
import EngineInterface
import Tokenizers
import Transformer

/// A question that has a place in the decoder; only the engine's thread touches it.
final class RunningQuestion {
    let feed: EventFeed<CompletionEvent>
    let ticket: Ticket
    /// Whose it is.
    let user: UInt32
    /// What its tail stands on.
    let origin: TailOrigin
    private let services: EngineServices
    private let sequence: Sequence
    private let tokenizer: Tokenizer
    private let prompt: [Int32]
    private let maxTokens: Int
    /// Tokens of the document.
    private let documentTokens: Int
    /// Tokens of the prompt that an ended conversation had read already.
    private let keptTokens: Int
    private var sampler: Sampler
    private var detokenizer: StreamingDetokenizer
    private var stops: StopMatcher
    private var parts: AnswerParts?
    /// The likeliest tokens that are told with each of the answer's; nil: nothing is told of them.
    private let alternatives: Int?
    private var tokens = AnswerTokens()
    private let marks: [Int32: String]
    private var read: Int
    /// Tokens whose rows are in the tail, and which of them were read together.
    private var fed: [Int32]
    private var runs: [Range<Int>]
    private var lastToken: Int32?
    private var generated = 0
    private let clock = ContinuousClock()
    private let started: ContinuousClock.Instant
    private var firstToken: ContinuousClock.Instant?

    /// Opens the question's document, gives it a sequence, and tells the client that it is understood.
    ///
    /// What was checked when it was prepared holds as long as nobody put another document meanwhile.
    ///
    /// - Parameter tails: where it looks for what it need not read.
    init(
        _ question: PreparedQuestion, _ services: EngineServices, tails: inout KeptTails<TailRows>
    ) throws(EngineError) {
        let loaded = services.loaded
        let document = try question.source.map { source throws(EngineError) in
            try source.open(fingerprint: loaded.fingerprint, in: services.store)
        }
        let base = document.map { BaseRows($0) }
        guard (base?.tokens ?? 0) == question.cachedTokens else {
            throw .conflict(
                code: "document_replaced", message: "the document was replaced while the question waited; ask again")
        }
        origin = TailOrigin(question, document)
        let kept = tails.take(for: question.prompt, of: origin)
        let keptTokens = kept?.tokens ?? 0
        self.keptTokens = keptTokens
        do throws(ModelError) {
            sequence = try Sequence(
                model: loaded.model, base: base, tail: kept.map { $0.tail.rows.prefix($0.tokens) })
        } catch {
            throw .internalFailure(message: error.description)
        }
        self.services = services
        (feed, ticket, user, tokenizer) = (question.feed, question.ticket, question.user, loaded.tokenizer)
        (prompt, maxTokens, documentTokens) = (question.prompt, question.maxTokens, question.cachedTokens)
        (sampler, stops, parts) = (question.sampler, question.stops, question.parts)
        alternatives = question.alternatives
        marks = parts == nil ? [:] : loaded.marks
        detokenizer = StreamingDetokenizer(tokenizer, continuing: parts == nil)
        read = keptTokens
        fed = Array(prompt[..<keptTokens])
        runs = (kept?.tail.runs ?? []).filter { $0.upperBound <= keptTokens }
        for id in fed { sampler.observe(id) }
        started = clock.now
        feed.send(
            .started(promptTokens: documentTokens + prompt.count, cachedTokens: documentTokens + keptTokens))
    }

    /// Whether it is still being read; its answer begins with the last piece.
    var isRead: Bool { lastToken == nil }

    /// What this question feeds into the next step: a piece of its prompt, or the token drawn last.
    func nextPiece(atMost rows: Int) -> Decoder.Piece {
        if let lastToken { return Decoder.Piece(sequence, [lastToken]) }
        let end = min(prompt.count, read + rows)
        return Decoder.Piece(sequence, Array(prompt[read..<end]), needsLogits: end == prompt.count)
    }

    /// Takes the outcome of a step; says why the answer is complete, when it is.
    func advance(by piece: Decoder.Piece, logits: Logits, row: Int) throws(ModelError) -> FinishReason? {
        if piece.ids.count > 1 { runs.append(fed.count..<fed.count + piece.ids.count) }
        fed += piece.ids
        if lastToken == nil {
            read += piece.ids.count
            for id in piece.ids { sampler.observe(id) }
            guard piece.needsLogits else { return nil }
            firstToken = clock.now
        }
        let token = try logits.withRow(row) { logits throws(ModelError) in try sampler.next(logits: logits) }
        lastToken = token
        if tokenizer.endOfGeneration.contains(token) { return .stop }
        generated += 1
        let text = detokenizer.append(token) + (marks[token] ?? "")
        if let alternatives {
            tokens.append(logits.withRow(row) { probability(of: token, alternatives, in: $0) }, text: text)
        }
        say(stops.append(text))
        if stops.isStopped { return .stop }
        return generated >= maxTokens ? .length : nil
    }

    /// Whether the answer has taken longer than it may, waiting for its reader included.
    func hasLasted(longerThanSeconds limit: Double, at now: ContinuousClock.Instant) -> Bool {
        (now - started).seconds > limit
    }

    /// Tokens read and generated so far, for the totals.
    var progress: (read: Int, generated: Int) { (read - keptTokens, generated) }

    /// What it leaves for a conversation that begins alike; nil where it has read nothing.
    var tail: KeptTails<TailRows>.Tail? {
        sequence.tailRows.map { rows in
            KeptTails<TailRows>.Tail(tokens: fed, runs: runs, bytes: rows.bytes, rows: rows)
        }
    }

    private func say(_ text: String, isLast: Bool = false) {
        tokens.release(text)
        guard parts != nil else {
            if !text.isEmpty { answer(text) }
            return
        }
        var pieces = parts?.append(text) ?? []
        if isLast { pieces += parts?.finish() ?? [] }
        for piece in pieces {
            switch piece {
            case .thought(let text): feed.send(.reasoning(text))
            case .answer(let text): answer(text)
            }
        }
        if parts?.isBeforeAnswer == true { _ = tokens.take() }
    }

    private func answer(_ text: String) {
        let tokens = tokens.take()
        if !tokens.isEmpty { feed.send(.tokens(tokens)) }
        feed.send(.text(text))
    }

    private func probability(of token: Int32, _ alternatives: Int, in logits: Span<Float>) -> TokenProbability {
        let (chosen, likeliest) = TokenLikelihood.of(token, likeliest: alternatives, in: logits)
        let loaded = services.loaded
        return TokenProbability(
            bytes: loaded.shownBytes(of: token), logprob: chosen.logProbability,
            top: likeliest.map { .init(bytes: loaded.shownBytes(of: $0.id), logprob: $0.logProbability) })
    }

    /// Ends the answer where it is; its place is free before the client hears of it.
    func finish(_ reason: FinishReason) {
        do throws(EngineError) { try services.checkFiles() } catch {
            ticket.giveUp()
            return feed.finish(throwing: error)
        }
        say(stops.finish(), isLast: true)
        let now = clock.now
        let first = firstToken ?? now
        let usage = Usage(
            promptTokens: documentTokens + prompt.count, cachedTokens: documentTokens + keptTokens,
            completionTokens: generated, prefillSeconds: (first - started).seconds, decodeSeconds: (now - first).seconds
        )
        ticket.giveUp()
        feed.send(.finished(reason: reason, usage: usage))
        feed.finish()
    }
}

extension TailOrigin {
    /// Where a question's tail begins.
    fileprivate init(_ question: PreparedQuestion, _ document: OpenDocument?) {
        self.init(
            user: question.user,
            document: question.source.flatMap { source in
                document.map { Document(key: source.key, writing: $0.writing, budget: $0.manifest.budget) }
            })
    }
}
