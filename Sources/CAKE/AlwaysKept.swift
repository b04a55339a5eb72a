// The entries that are kept whatever their indicator: the protected start of the document, its window, its last tokens.

/// Positions that no budget may evict.
package struct AlwaysKept: Sendable, Equatable {
    /// The protected first tokens.
    package let start: Range<Int>
    /// The observation window or the protected last tokens, whichever is longer.
    package let window: Range<Int>

    /// - Parameter capacity: of a layer whose rows see so many last tokens alone; nothing before them is kept.
    package init(_ method: Method, tokens: Int, templatePrefixTokens: Int, capacity: Int? = nil) {
        let seen = tokens - min(capacity ?? tokens, tokens)..<tokens
        let prefix = method.protectsTemplatePrefix ? templatePrefixTokens : 0
        start = (0..<min(tokens, max(method.protectedTokens, prefix))).clamped(to: seen)
        let recent = min(method.observedTokens(documentTokens: tokens), tokens - method.recentTokens)
        window = max(start.upperBound, recent)..<tokens
    }

    /// Entries per head.
    package var count: Int { start.count + window.count }

    /// The positions that compete for what is left of the budget.
    package var evictable: Range<Int> { start.upperBound..<window.lowerBound }
}
