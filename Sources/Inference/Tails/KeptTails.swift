// The tails of conversations that have ended, found by their tokens: a pure value that knows no model.

import CacheStore

/// What a tail stands on; only a question with the same may go on from it.
package struct TailOrigin: Hashable, Sendable {
    /// A document as it was read.
    package struct Document: Hashable, Sendable {
        package var key: DocumentKey
        /// The writing of it that was stored.
        package var writing: Writing
        /// The budget that was read of it.
        package var budget: Int

        package init(key: DocumentKey, writing: Writing, budget: Int) {
            (self.key, self.writing, self.budget) = (key, writing, budget)
        }
    }

    /// The uid that asked, whoever's the document is.
    package var user: UInt32
    /// Nil for a plain chat.
    package var document: Document?

    package init(user: UInt32, document: Document? = nil) {
        (self.user, self.document) = (user, document)
    }
}

/// Tails within bounds: where there are too many bytes of them, the user who holds most loses the one that was used
/// least recently, so that nobody's many conversations push out all of another's.
package struct KeptTails<Rows> {
    /// A search walks over all tails; more are of no use to a few users.
    package static var mostTails: Int { 256 }

    /// What was read and written behind a base.
    package struct Tail {
        /// The tokens, whose rows are there.
        package var tokens: [Int32]
        /// Runs of more than one token that were read together, ascending; every other token was fed alone.
        ///
        /// A row's bits depend on how many were read with it, so a run is taken as a whole or read again.
        package var runs: [Range<Int>]
        /// Bytes of the rows' memory.
        package var bytes: Int
        package var rows: Rows

        package init(tokens: [Int32], runs: [Range<Int>], bytes: Int, rows: Rows) {
            (self.tokens, self.runs, self.bytes, self.rows) = (tokens, runs, bytes, rows)
        }

        /// How many of its first tokens a prompt can have: as many as are alike, in whole runs.
        fileprivate func usableTokens(for prompt: [Int32]) -> Int {
            // The answer begins behind the prompt's last token, so that one is read in any case.
            let most = min(tokens.count, prompt.count - 1)
            var alike = 0
            while alike < most, tokens[alike] == prompt[alike] { alike += 1 }
            return runs.first { $0.lowerBound < alike && alike < $0.upperBound }?.lowerBound ?? alike
        }
    }

    private struct Kept {
        var origin: TailOrigin
        var tail: Tail
        /// With the tokens.
        var bytes: Int { tail.bytes + tail.tokens.count * MemoryLayout<Int32>.stride }
    }

    /// What the tails may take; 0: none is kept.
    package let limitBytes: Int
    /// What they take.
    private(set) package var bytes = 0
    /// Questions that went on from a tail, and the tokens that they did not read.
    private(set) package var hits = 0
    private(set) package var savedTokens = 0
    /// The least recently used first.
    private var tails: [Kept] = []

    /// None yet.
    package init(limitBytes: Int) { self.limitBytes = limitBytes }

    /// How many there are.
    package var count: Int { tails.count }

    /// Keeps a tail, in place of those that it goes on from.
    package mutating func keep(_ tail: Tail, of origin: TailOrigin) {
        let kept = Kept(origin: origin, tail: tail)
        guard !tail.tokens.isEmpty, kept.bytes <= limitBytes else { return }
        let relatives = tails.indices.filter { tails[$0].origin == origin }
        if let longer = relatives.first(where: {
            tails[$0].tail.tokens.count > tail.tokens.count && tails[$0].tail.tokens.starts(with: tail.tokens)
        }) {
            return tails.append(tails.remove(at: longer))
        }
        let before = self
        for index in relatives.reversed() where tail.tokens.starts(with: tails[index].tail.tokens) { remove(at: index) }
        tails.append(kept)
        bytes += kept.bytes
        // Its user holds most, and has none that is less worth: others of the user's do not go for nothing.
        if !makesRoom() { self = before }
    }

    /// The tail that spares a prompt most, with as many of its first tokens as the prompt can have; nil where there is
    /// none.
    package mutating func take(for prompt: [Int32], of origin: TailOrigin) -> (tail: Tail, tokens: Int)? {
        var best: (index: Int, tokens: Int)?
        for index in tails.indices where tails[index].origin == origin {
            let tokens = tails[index].tail.usableTokens(for: prompt)
            if tokens > 0, tokens >= best?.tokens ?? 0 { best = (index, tokens) }
        }
        guard let best else { return nil }
        let kept = tails.remove(at: best.index)
        tails.append(kept)
        hits += 1
        savedTokens += best.tokens
        return (kept.tail, best.tokens)
    }

    /// Forgets the tails that stand on something that is no more.
    package mutating func drop(where isGone: (TailOrigin) -> Bool) {
        for index in tails.indices.reversed() where isGone(tails[index].origin) { remove(at: index) }
    }

    /// Forgets tails until the rest is within the bounds; false where the last one had to go.
    private mutating func makesRoom() -> Bool {
        while bytes > limitBytes || tails.count > Self.mostTails {
            let held = tails.reduce(into: [UInt32: Int]()) { $0[$1.origin.user, default: 0] += $1.bytes }
            let most = held.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
            guard let index = tails.firstIndex(where: { $0.origin.user == most }), index < tails.count - 1 else {
                return false
            }
            remove(at: index)
        }
        return true
    }

    private mutating func remove(at index: Int) { bytes -= tails.remove(at: index).bytes }
}
