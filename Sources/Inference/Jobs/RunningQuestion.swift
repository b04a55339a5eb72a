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
    private let services: EngineServices
    private let sequence: Sequence
    private let tokenizer: Tokenizer
    private let prompt: [Int32]
    private let maxTokens: Int
    private let cachedTokens: Int
    private var sampler: Sampler
    private var detokenizer: StreamingDetokenizer
    private var stops: StopMatcher
    private var parts: AnswerParts?
    private let marks: [Int32: String]
    private var read = 0
    private var lastToken: Int32?
    private var generated = 0
    private let clock = ContinuousClock()
    private let started: ContinuousClock.Instant
    private var firstToken: ContinuousClock.Instant?

    /// Opens the question's document, gives it a sequence, and tells the client that it is understood.
    ///
    /// What was checked when it was prepared holds as long as nobody put another document meanwhile.
    init(_ question: PreparedQuestion, _ services: EngineServices) throws(EngineError) {
        let loaded = services.loaded
        let base = try question.source.map { source throws(EngineError) in
            BaseRows(try source.open(fingerprint: loaded.fingerprint, in: services.store))
        }
        guard (base?.tokens ?? 0) == question.cachedTokens else {
            throw .conflict(
                code: "document_replaced", message: "the document was replaced while the question waited; ask again")
        }
        do throws(ModelError) {
            sequence = try Sequence(model: loaded.model, base: base)
        } catch {
            throw .internalFailure(message: error.description)
        }
        self.services = services
        (feed, ticket, user, tokenizer) = (question.feed, question.ticket, question.user, loaded.tokenizer)
        (prompt, maxTokens, cachedTokens) = (question.prompt, question.maxTokens, question.cachedTokens)
        (sampler, stops, parts) = (question.sampler, question.stops, question.parts)
        marks = parts == nil ? [:] : loaded.marks
        detokenizer = StreamingDetokenizer(tokenizer, continuing: parts == nil)
        started = clock.now
        feed.send(.started(promptTokens: cachedTokens + prompt.count, cachedTokens: cachedTokens))
    }

    /// Whether it is still being read; its answer begins with the last piece.
    var isRead: Bool { lastToken == nil }

    /// What this question feeds into the next step: a piece of its prompt, or the token drawn last.
    func nextPiece(atMost rows: Int) -> Decoder.Piece {
        if let lastToken { return Decoder.Piece(sequence, [lastToken]) }
        let end = min(prompt.count, read + rows)
        return Decoder.Piece(sequence, Array(prompt[read..<end]), needsLogits: end == prompt.count)
    }

    /// Takes the outcome of a step; true when the answer is complete.
    func advance(by piece: Decoder.Piece, logits: Logits, row: Int) throws(ModelError) -> Bool {
        if lastToken == nil {
            read += piece.ids.count
            for id in piece.ids { sampler.observe(id) }
            guard piece.needsLogits else { return false }
            firstToken = clock.now
        }
        let token = try logits.withRow(row) { logits throws(ModelError) in try sampler.next(logits: logits) }
        lastToken = token
        if tokenizer.endOfGeneration.contains(token) {
            finish(.stop)
            return true
        }
        generated += 1
        say(stops.append(detokenizer.append(token) + (marks[token] ?? "")))
        if stops.isStopped {
            finish(.stop)
            return true
        }
        if generated >= maxTokens {
            finish(.length)
            return true
        }
        return false
    }

    /// Whether the answer has taken longer than it may, waiting for its reader included.
    func hasLasted(longerThanSeconds limit: Double, at now: ContinuousClock.Instant) -> Bool {
        (now - started).seconds > limit
    }

    /// Ends the answer where it is.
    func cutOff() { finish(.length) }

    /// Tokens read and generated so far, for the totals.
    var progress: (read: Int, generated: Int) { (read, generated) }

    private func say(_ text: String, isLast: Bool = false) {
        guard parts != nil else {
            if !text.isEmpty { feed.send(.text(text)) }
            return
        }
        var pieces = parts?.append(text) ?? []
        if isLast { pieces += parts?.finish() ?? [] }
        for piece in pieces {
            switch piece {
            case .thought(let text): feed.send(.reasoning(text))
            case .answer(let text): feed.send(.text(text))
            }
        }
    }

    // Its place is free before the client hears of it.
    private func finish(_ reason: FinishReason) {
        do throws(EngineError) { try services.checkFiles() } catch {
            ticket.giveUp()
            return feed.finish(throwing: error)
        }
        say(stops.finish(), isLast: true)
        let now = clock.now
        let first = firstToken ?? now
        let usage = Usage(
            promptTokens: cachedTokens + prompt.count, cachedTokens: cachedTokens, completionTokens: generated,
            prefillSeconds: (first - started).seconds, decodeSeconds: (now - first).seconds)
        ticket.giveUp()
        feed.send(.finished(reason: reason, usage: usage))
        feed.finish()
    }
}
