// How likely the tokens of an answer were, in the forms of OpenAI's two endpoints.

/// A token of an answer, how likely the model thought it, and which it thought likeliest.
public struct TokenProbability: Codable, Equatable, Sendable {
    /// A token that might have come.
    public struct Alternative: Codable, Equatable, Sendable {
        /// Its text; where that is a part of a character, with U+FFFD.
        public var token: String
        /// The natural logarithm of its probability; −9999 for one that could not come, as OpenAI has it.
        public var logprob: Double
        /// Its bytes.
        public var bytes: [UInt8]

        /// A token of some bytes.
        public init(bytes: [UInt8], logprob: Double) {
            token = String(decoding: bytes, as: UTF8.self)
            self.logprob = max(logprob, TokenProbability.least)
            self.bytes = bytes
        }
    }

    /// What stands for −∞, which JSON does not have.
    static let least = -9999.0

    /// Its text.
    public var token: String
    /// The natural logarithm of its probability.
    public var logprob: Double
    /// Its bytes.
    public var bytes: [UInt8]
    /// The likeliest tokens in its place, as many as were asked for, likeliest first.
    public var topLogprobs: [Alternative]

    /// A token of some bytes, and those that were likeliest.
    public init(bytes: [UInt8], logprob: Double, top: [Alternative]) {
        let chosen = Alternative(bytes: bytes, logprob: logprob)
        (token, self.logprob, self.bytes, topLogprobs) = (chosen.token, chosen.logprob, bytes, top)
    }

    enum CodingKeys: String, CodingKey {
        case token, logprob, bytes
        case topLogprobs = "top_logprobs"
    }
}

/// The field `logprobs` of a choice: `content` for a chat, the others for a plain completion.
public struct AnswerProbabilities: Codable, Equatable, Sendable {
    /// A chat's tokens.
    public var content: [TokenProbability]?
    /// The texts of a plain completion's tokens.
    public var tokens: [String]?
    /// Their logarithms of probability.
    public var tokenLogprobs: [Double]?
    /// The likeliest tokens in each place.
    public var topLogprobs: [[String: Double]]?
    /// Where each token begins in the answer, in characters (Unicode scalars).
    public var textOffset: [Int]?

    /// Of a chat.
    public init(content: [TokenProbability]) { self.content = content }

    /// Of a plain completion, or of a chunk of one that begins at a place of its text.
    public init(plain: [TokenProbability], offset: Int) {
        var place = offset
        textOffset = plain.map { token in
            defer { place += token.token.unicodeScalars.count }
            return place
        }
        (tokens, tokenLogprobs) = (plain.map(\.token), plain.map(\.logprob))
        // Parts of characters have the same text; the likelier counts.
        topLogprobs = plain.map { token in
            Dictionary(token.topLogprobs.map { ($0.token, $0.logprob) }, uniquingKeysWith: max)
        }
    }

    enum CodingKeys: String, CodingKey {
        case content, tokens
        case tokenLogprobs = "token_logprobs"
        case topLogprobs = "top_logprobs"
        case textOffset = "text_offset"
    }
}
