// A tokenizer's vocabulary as a model file states it: a plain value, nothing checked or compiled yet.

/// Everything a model file says about its tokenizer.
///
/// The fields follow GGUF's `tokenizer.ggml.*` keys. Nothing is validated here; `Tokenizer.init` does that.
public struct Vocabulary: Sendable, Equatable, Codable {
    /// How text becomes tokens.
    public enum Algorithm: Sendable, Equatable, Codable {
        /// Byte-level byte pair encoding (GGUF model `gpt2`): merges in the order they were learnt.
        case byteLevelBPE(PreTokenizer)
        /// SentencePiece BPE (GGUF model `llama`): the merge that makes the best-scored token goes first.
        case sentencePiece
    }

    /// What a token is for (GGUF `tokenizer.ggml.token_type`).
    public enum Kind: Int32, Sendable, Codable {
        case normal = 1
        case unknown
        case control
        case userDefined
        case unused
        case byte
    }

    /// How text becomes tokens.
    public var algorithm: Algorithm
    /// Token texts by id; byte-level ones are spelt in GPT-2's byte alphabet, SentencePiece ones with `▁` for space.
    public var tokens: [String]
    /// One score for each token for SentencePiece (larger merges first); empty for byte-level BPE.
    public var scores: [Float]
    /// One kind for each token, or empty when the file has none (then they are inferred).
    public var kinds: [Kind]
    /// Merges of byte-level BPE, `left right`, best first; empty for SentencePiece.
    public var merges: [String]
    /// Token that begins a text.
    public var beginOfText: Int32?
    /// Token that ends a text.
    public var endOfText: Int32?
    /// Token that ends a turn of a chat.
    public var endOfTurn: Int32?
    /// Token that ends a message which the model itself goes on after: a call of a tool.
    public var endOfMessage: Int32?
    /// Token for what the vocabulary cannot spell.
    public var unknown: Int32?
    /// Whether a prompt begins with `beginOfText`.
    public var addsBeginOfText: Bool
    /// Whether a space is put before text (SentencePiece); ignored by byte-level BPE.
    public var addsSpacePrefix: Bool

    /// Creates a vocabulary from its parts.
    public init(
        algorithm: Algorithm,
        tokens: [String],
        scores: [Float] = [],
        kinds: [Kind] = [],
        merges: [String] = [],
        beginOfText: Int32? = nil,
        endOfText: Int32? = nil,
        endOfTurn: Int32? = nil,
        endOfMessage: Int32? = nil,
        unknown: Int32? = nil,
        addsBeginOfText: Bool = false,
        addsSpacePrefix: Bool = false
    ) {
        self.algorithm = algorithm
        self.tokens = tokens
        self.scores = scores
        self.kinds = kinds
        self.merges = merges
        self.beginOfText = beginOfText
        self.endOfText = endOfText
        self.endOfTurn = endOfTurn
        self.endOfMessage = endOfMessage
        self.unknown = unknown
        self.addsBeginOfText = addsBeginOfText
        self.addsSpacePrefix = addsSpacePrefix
    }
}
