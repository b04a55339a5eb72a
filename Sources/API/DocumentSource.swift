// The text a document was made of, and where each of its tokens stands in it.

/// A document's text with the place of every token: the API's answer to what a position means.
public struct DocumentSource: Codable, Equatable, Sendable {
    /// Document tokens, the template's prefix included.
    public var tokens: Int
    /// The text as it was put.
    public var text: String
    /// Token i is the bytes `offsets[i]..<offsets[i + 1]` of the text, `tokens + 1` numbers that never fall.
    ///
    /// The template's tokens have no bytes. nil when the document was read with another tokenizer than the loaded one.
    public var offsets: [Int]?

    /// All three fields.
    public init(tokens: Int, text: String, offsets: [Int]?) {
        self.tokens = tokens
        self.text = text
        self.offsets = offsets
    }
}
