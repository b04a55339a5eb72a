// Where a document's compact cache is compared with the full one: quotes of it, and what comes right after them.

import API
import Glibc
import Tokenizers
import Transformer

extension LoadedModel {
    /// Tokens of a quote: enough to find its place.
    package static let quoteTokens = 12
    /// Tokens that are compared behind a quote.
    package static let checkedTokens = 24
    /// Places at most: with the default method a check's rows are then a few hundred, whatever the document's length.
    package static let maximumCheckPlaces = 8
    /// Tokens of a document for each place, so that a short document's check costs less than reading it.
    static let tokensPerPlace = 96
    /// Stands for the quote while the request is rendered; no template and no request contains it.
    private static let quoteMark: Character = "\u{FFFC}"

    /// Places spread over a document's text; none in a text shorter than a quote and what follows it, or where the
    /// context has no room for a request.
    ///
    /// The text is cut into stretches of equal length, and in each the place is taken where the continuation has the
    /// rarest tokens of the document, names and terms: what a question might be about, and what no model guesses. (At
    /// places spread evenly most tokens are no news, and the figures hardly told a method that answers from one that
    /// does not.) A quote is cut by tokens, not by words or characters, so any text will do.
    package func checkPlaces(in ids: [Int32], prefixTokens: Int) -> [CheckPlace] {
        let needed = Self.quoteTokens + Self.checkedTokens
        let room = ids.count - prefixTokens - needed
        guard room >= 0, let (before, after) = requestTokens else { return [] }
        let rows = before.count + Self.quoteTokens + after.count + Self.checkedTokens
        guard ids.count + rows <= card.contextLength else { return [] }
        let count = max(1, min(Self.maximumCheckPlaces, (ids.count - prefixTokens) / Self.tokensPerPlace))
        let rarity = Self.rarity(of: ids, prefixTokens: prefixTokens)
        return (0..<count).map { index in
            let first = prefixTokens + Self.quoteTokens + (room + 1) * index / count
            let end = prefixTokens + Self.quoteTokens + (room + 1) * (index + 1) / count
            func total(_ truth: Int) -> Double { rarity[truth + Self.checkedTokens] - rarity[truth] }
            let truth = (first..<max(end, first + 1)).max { total($0) < total($1) } ?? first
            let quote = truth - Self.quoteTokens
            return CheckPlace(
                lead: before + ids[quote..<truth] + after, truth: Array(ids[truth..<truth + Self.checkedTokens]))
        }
    }

    /// Sums over the tokens before each one of the information a token has where it stands, were each drawn by its
    /// frequency in the document, `[tokens + 1]`.
    private static func rarity(of ids: [Int32], prefixTokens: Int) -> [Double] {
        var counts: [Int32: Int] = [:]
        for id in ids[prefixTokens...] { counts[id, default: 0] += 1 }
        var sums = [0.0]
        sums.reserveCapacity(ids.count + 1)
        for id in ids { sums.append(sums[sums.count - 1] - log(Double(counts[id] ?? ids.count) / Double(ids.count))) }
        return sums
    }

    /// The request as a user would make it, cut where the quote belongs.
    private var requestTokens: (before: [Int32], after: [Int32])? {
        let request = Tokenizers.ChatMessage(role: .user, content: "What comes right after \"\(Self.quoteMark)\"?")
        guard let segments = try? template.continuation([request], now: .now),
            let index = segments.firstIndex(where: { $0.content.contains(Self.quoteMark) }),
            let mark = segments[index].content.firstIndex(of: Self.quoteMark)
        else { return nil }
        let text = segments[index].content
        let before = segments[..<index] + [.text(String(text[..<mark]))]
        let after = [.text(String(text[text.index(after: mark)...]))] + segments[(index + 1)...]
        return (
            tokenizer.encode(Array(before), continuing: true), tokenizer.encode(Array(after), continuing: true)
        )
    }
}
