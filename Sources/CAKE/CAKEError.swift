// What can be wrong with a method or a budget, and how to mend it.

/// Why a document cannot be compressed as asked.
public enum CAKEError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No method has that name.
    case unknownPreset(name: String, known: [String])
    /// The document has no tokens.
    case emptyDocument
    /// The budget does not even hold the entries that are always kept.
    case budgetTooSmall(budget: Int, smallest: Int)
    /// The budget is larger than the document.
    case budgetAboveDocument(budget: Int, tokens: Int)

    /// The cause and the mend.
    public var description: String {
        switch self {
        case .unknownPreset(let name, let known):
            "unknown method \"\(name)\"; use one of: \(known.joined(separator: ", "))"
        case .emptyDocument:
            "the document has no tokens; there is nothing to keep"
        case .budgetTooSmall(let budget, let smallest):
            "a budget of \(budget) entries is below what is always kept; use at least \(smallest)"
        case .budgetAboveDocument(let budget, let tokens):
            "a budget of \(budget) entries is above the document's \(tokens) tokens; use at most \(tokens)"
        }
    }
}
