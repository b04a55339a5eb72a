// Text to token ids and back.

/// A compiled vocabulary: encodes and decodes, from any number of threads at once.
public final class Tokenizer: Sendable {
    /// Most tokens a vocabulary may have: ten times the largest in use.
    public static let maximumTokens = 1 << 22

    /// Texts of tokens that end a turn or a text, whatever the file says of them (llama.cpp, `llama-vocab.cpp`, end
    /// of generation).
    private static let turnEnds: Set<String> = [
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<turn|>", "<|end|>", "<|return|>", "<|call|>",
        "</s>",
        "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>", "[EOT]", "<end_of_utterance>", "<｜end▁of▁sentence｜>",
    ]

    /// Tokens of a vocabulary in which `<|end|>` ends no answer, as llama.cpp has it.
    private static let separates: Set<String> = ["<|channel|>", "<|message|>", "<|return|>"]

    /// Ids after which an answer is complete.
    public let endOfGeneration: Set<Int32>
    /// Number of tokens in the vocabulary.
    public let vocabularyCount: Int

    private let lexicon: Lexicon
    private let specials: SpecialTokens
    private let kinds: [Vocabulary.Kind]
    private let beginOfText: Int32?
    private let putsSpaceFirst: Bool

    /// Checks and compiles a vocabulary, which may come from a damaged or hostile file.
    public init(_ vocabulary: Vocabulary) throws(TokenizerError) {
        try Self.check(vocabulary)
        kinds = Self.completedKinds(vocabulary)
        lexicon = try Lexicon(vocabulary, kinds: kinds)
        specials = SpecialTokens(tokens: vocabulary.tokens, kinds: kinds)
        vocabularyCount = vocabulary.tokens.count
        beginOfText = vocabulary.addsBeginOfText ? vocabulary.beginOfText : nil
        putsSpaceFirst = vocabulary.algorithm == .sentencePiece && vocabulary.addsSpacePrefix
        var ends = Set([vocabulary.endOfText, vocabulary.endOfTurn, vocabulary.endOfMessage].compactMap { $0 })
        for (index, kind) in kinds.enumerated() where kind == .control {
            if Self.turnEnds.contains(vocabulary.tokens[index]) { ends.insert(Int32(truncatingIfNeeded: index)) }
        }
        if Self.separates.isSubset(of: vocabulary.tokens) {
            // There it ends one of several messages of an answer (OpenAI's harmony format).
            for id in ends where vocabulary.tokens[Int(id)] == "<|end|>" { ends.remove(id) }
        }
        endOfGeneration = ends
    }

    // MARK: Encoding

    /// The ids of what a user wrote: special tokens are ordinary text here, and none is added.
    public func encode(_ text: String) -> [Int32] {
        var output: [Int32] = []
        append(Array(text.utf8), afterSpace: putsSpaceFirst, to: &output)
        return output
    }

    /// The ids of a rendered prompt.
    ///
    /// Special tokens are recognised in `.template` segments only. Text between two special tokens is joined across
    /// segments before it is cut into pieces. Begin-of-text comes first when the vocabulary asks for it, unless the
    /// prompt has it already.
    ///
    /// - Parameter continuing: the ids follow others: no begin-of-text, and no space before the first text.
    public func encode(_ segments: [PromptSegment], continuing: Bool = false) -> [Int32] {
        var output: [Int32] = []
        var run: [UInt8] = []
        var afterSpace = putsSpaceFirst && !continuing
        for segment in segments {
            switch segment {
            case .text(let text): run.append(contentsOf: text.utf8)
            case .template(let text):
                let bytes = Array(text.utf8)
                for part in specials.parts(of: bytes) {
                    switch part {
                    case .text(let range): run.append(contentsOf: bytes[range])
                    case .token(let id):
                        append(run, afterSpace: afterSpace, to: &output)
                        run.removeAll()
                        output.append(id)
                        afterSpace = putsSpaceFirst
                    }
                }
            }
        }
        append(run, afterSpace: afterSpace, to: &output)
        if !continuing, let beginOfText, output.first != beginOfText { output.insert(beginOfText, at: 0) }
        return output
    }

    private func append(_ run: [UInt8], afterSpace: Bool, to output: inout [Int32]) {
        if run.isEmpty { return }
        // Prose has four to five bytes a token.
        output.reserveCapacity(output.count + run.count / 4)
        var encoder = RunEncoder(lexicon)
        if afterSpace {
            let spaced = [UInt8(ascii: " ")] + run
            encoder.encode(spaced.span, into: &output)
        } else {
            encoder.encode(run.span, into: &output)
        }
    }

    // MARK: Decoding

    /// The bytes a token stands for; none for control tokens and ids outside the vocabulary.
    public func bytes(of id: Int32) -> [UInt8] {
        guard id >= 0, id < vocabularyCount else { return [] }
        return Array(lexicon.symbols.storage[lexicon.symbols.range(of: id)])
    }

    /// The text of some ids, without the space that encoding put first; invalid UTF-8 becomes U+FFFD, and so does the
    /// beginning of a character at the end.
    public func decode(_ ids: some Sequence<Int32>) -> String {
        var bytes: [UInt8] = []
        var state = DecodingState(self)
        for id in ids { state.append(id, to: &bytes) }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends tokens' bytes and takes off the spaces that encoding puts first: at the start, and after each special
    /// token.
    struct DecodingState: Sendable {
        let tokenizer: Tokenizer
        private var dropsSpace: Bool

        /// - Parameter continuing: the ids follow a text, of which no space belongs to the encoding.
        init(_ tokenizer: Tokenizer, continuing: Bool = false) {
            self.tokenizer = tokenizer
            dropsSpace = tokenizer.putsSpaceFirst && !continuing
        }

        mutating func append(_ id: Int32, to bytes: inout [UInt8]) {
            guard id >= 0, id < tokenizer.vocabularyCount else { return }
            let symbols = tokenizer.lexicon.symbols
            let token = symbols.storage[symbols.range(of: id)]
            switch tokenizer.kinds[Int(id)] {
            case .control, .userDefined: dropsSpace = tokenizer.putsSpaceFirst
            default:
                if dropsSpace, token.first == UInt8(ascii: " ") {
                    dropsSpace = false
                    return bytes.append(contentsOf: token.dropFirst())
                }
                if !token.isEmpty { dropsSpace = false }
            }
            bytes.append(contentsOf: token)
        }
    }

    // MARK: Checking

    private static func check(_ vocabulary: Vocabulary) throws(TokenizerError) {
        let count = vocabulary.tokens.count
        guard count > 0 else { throw .emptyVocabulary }
        guard count <= maximumTokens else { throw .tooManyTokens(count: count, maximum: maximumTokens) }
        guard vocabulary.kinds.isEmpty || vocabulary.kinds.count == count else {
            throw .countMismatch(field: "kinds", count: vocabulary.kinds.count, tokens: count)
        }
        let special = [
            ("begin-of-text", vocabulary.beginOfText), ("end-of-text", vocabulary.endOfText),
            ("end-of-turn", vocabulary.endOfTurn), ("end-of-message", vocabulary.endOfMessage),
            ("unknown", vocabulary.unknown),
        ]
        for case (let field, let id?) in special where id < 0 || id >= count {
            throw .idOutOfRange(field: field, id: id, tokens: count)
        }
        if vocabulary.addsBeginOfText, vocabulary.beginOfText == nil { throw .missingBeginOfText }
    }

    /// The kinds, inferred where the file has none.
    ///
    /// Tokens named as special, and those that end a turn, are control tokens whatever the file says: some
    /// conversions have them as ordinary ones, which a user could then type.
    private static func completedKinds(_ vocabulary: Vocabulary) -> [Vocabulary.Kind] {
        var kinds = vocabulary.kinds
        if kinds.isEmpty {
            kinds = vocabulary.tokens.map { token in
                vocabulary.algorithm == .sentencePiece && Lexicon.byte(spelt: token) != nil ? .byte : .normal
            }
        }
        // `</s>` is also an ordinary token (HTML) in some vocabularies.
        for (index, token) in vocabulary.tokens.enumerated() where turnEnds.contains(token) && token != "</s>" {
            kinds[index] = .control
        }
        for id in [vocabulary.beginOfText, vocabulary.endOfText, vocabulary.endOfTurn, vocabulary.endOfMessage] {
            if let id { kinds[Int(id)] = .control }
        }
        if let unknown = vocabulary.unknown, kinds[Int(unknown)] != .control { kinds[Int(unknown)] = .unknown }
        return kinds
    }
}
