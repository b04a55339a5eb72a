// Which tokens an answer's text is made of, while parts of it are held back or belong to nobody.

import API

/// Keeps tokens until the text that they begin in is said.
///
/// Text is held back where it may be the beginning of a stop text; a token whose text begins in one is no part of the
/// answer, and neither is one of a thought.
package struct AnswerTokens: Sendable {
    /// Tokens that are not said yet, and where their text begins.
    private var held: [(start: Int, token: TokenProbability)] = []
    /// Tokens that are said, and not yet taken.
    private var said: [TokenProbability] = []
    private var receivedBytes = 0
    private var releasedBytes = 0

    package init() {}

    /// A token came, and with it so much text; none where a character lacks its rest.
    package mutating func append(_ token: TokenProbability, text: String) {
        held.append((receivedBytes, token))
        receivedBytes += text.utf8.count
    }

    /// So much more of the text is certain.
    package mutating func release(_ text: String) {
        releasedBytes += text.utf8.count
        let end = held.firstIndex { $0.start >= releasedBytes } ?? held.endIndex
        said += held[..<end].map(\.token)
        held.removeFirst(end)
    }

    /// The tokens of what is certain and was not taken before.
    package mutating func take() -> [TokenProbability] {
        defer { said = [] }
        return said
    }
}
