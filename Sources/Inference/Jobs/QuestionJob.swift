// One question on its way to its answer: read in pieces, then decoded token by token.

import CacheStore
import Tokenizers
import Transformer

/// A question that passed its checks; the document it is about is held open only while it is answered.
final class QuestionJob: @unchecked Sendable {
    // The desk prepares it, then only the engine's thread touches it.
    let feed: EventFeed<CompletionEvent>
    let ticket: Ticket
    /// The document's name and what of it is read; nil: a plain chat.
    let source: (key: DocumentKey, budget: Int?)?
    /// The uid whose turn it is when it is answered.
    let user: UInt32
    private var sequence: Sequence?
    private let tokenizer: Tokenizer
    private let prompt: [Int32]
    private let maxTokens: Int
    let cachedTokens: Int
    private var sampler: Sampler
    private var detokenizer: StreamingDetokenizer
    private var stops: StopMatcher
    private var read = 0
    private var lastToken: Int32?
    private var generated = 0
    private let clock = ContinuousClock()
    private var started: ContinuousClock.Instant?
    private var firstToken: ContinuousClock.Instant?

    init(
        feed: EventFeed<CompletionEvent>, ticket: Ticket, source: (key: DocumentKey, budget: Int?)?, user: UInt32,
        tokenizer: Tokenizer, prompt: [Int32], cachedTokens: Int, maxTokens: Int, sampler: Sampler, stops: StopMatcher
    ) {
        precondition(!prompt.isEmpty && maxTokens > 0)
        self.feed = feed
        self.ticket = ticket
        self.source = source
        self.user = user
        self.tokenizer = tokenizer
        self.prompt = prompt
        self.cachedTokens = cachedTokens
        self.maxTokens = maxTokens
        self.sampler = sampler
        self.stops = stops
        detokenizer = StreamingDetokenizer(tokenizer)
    }

    /// Gives the question a place in the decoder, and tells the client that it is understood.
    func start(_ sequence: Sequence) {
        self.sequence = sequence
        started = clock.now
        feed.send(.started(promptTokens: cachedTokens + prompt.count, cachedTokens: cachedTokens))
    }

    /// What this job feeds into the next step: a piece of the question, or the token drawn last.
    func nextPiece(atMost rows: Int) -> Decoder.Piece {
        guard let sequence else { preconditionFailure("a question is stepped before it began") }
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
        let text = stops.append(detokenizer.append(token))
        if !text.isEmpty { feed.send(.text(text)) }
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
        started.map { (now - $0).seconds > limit } ?? false
    }

    /// Ends the answer where it is.
    func cutOff() { finish(.length) }

    /// Tokens read and generated so far, for the totals.
    var progress: (read: Int, generated: Int) { (read, generated) }

    /// Ends the request with an error; its place is free before the client hears of it.
    func fail(_ error: EngineError) {
        ticket.giveUp()
        feed.finish(throwing: error)
    }

    private func finish(_ reason: FinishReason) {
        let rest = stops.append(detokenizer.finish()) + stops.finish()
        if !rest.isEmpty { feed.send(.text(rest)) }
        let now = clock.now
        let begun = started ?? now
        let first = firstToken ?? now
        let usage = Usage(
            promptTokens: cachedTokens + prompt.count, cachedTokens: cachedTokens, completionTokens: generated,
            prefillSeconds: (first - begun).seconds, decodeSeconds: (now - first).seconds)
        ticket.giveUp()
        feed.send(.finished(reason: reason, usage: usage))
        feed.finish()
    }
}

extension Duration {
    /// The duration in seconds.
    package var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
