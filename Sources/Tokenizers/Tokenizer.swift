// Text to token ids and back.

/// A compiled vocabulary: encodes and decodes, from any number of threads at once.
public final class Tokenizer: Sendable {
    /// Most tokens a vocabulary may have: ten times the largest in use.
    public static let maximumTokens = 1 << 22

    /// Texts of tokens that end a turn or a text, whatever the file says of them (llama.cpp, `llama-vocab.cpp`, end
    /// of generation).
    private static let turnEnds: Set<String> = [
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<turn|>", "<|end|>", "<|return|>", "<|call|>",
        "<|calls|>", "<|flush|>", "<|tool_response>", "[e~[", "</s>", "<eos>", "[EOS]",
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
        specials = try SpecialTokens(tokens: vocabulary.tokens, kinds: kinds)
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

    /// The ids of what a user wrote: control tokens are ordinary text here, and none is added; user-defined tokens are
    /// found as in any text.
    public func encode(_ text: String) -> [Int32] {
        ids(of: Array(text.utf8), templates: [], afterSpace: putsSpaceFirst)
    }

    /// The ids of a rendered prompt.
    ///
    /// Control tokens are recognised in `.template` segments only, user-defined ones everywhere. Text between two of
    /// them is joined across segments before it is cut into pieces. Begin-of-text comes first when the vocabulary asks
    /// for it, unless the prompt has it already.
    ///
    /// - Parameter continuing: the ids follow others: no begin-of-text, and no space before the first text.
    public func encode(_ segments: [PromptSegment], continuing: Bool = false) -> [Int32] {
        var text: [UInt8] = []
        var templates: [Range<Int>] = []
        for segment in segments {
            let start = text.count
            text.append(contentsOf: segment.content.utf8)
            if case .template = segment { templates.append(start..<text.count) }
        }
        var output = ids(of: text, templates: templates, afterSpace: putsSpaceFirst && !continuing)
        if !continuing, let beginOfText, output.first != beginOfText { output.insert(beginOfText, at: 0) }
        return output
    }

    private func ids(of text: [UInt8], templates: [Range<Int>], afterSpace: Bool) -> [Int32] {
        var (text, parts) = (text, specials.parts(of: text, templates: templates))
        if putsSpaceFirst { (text, parts) = Self.spaced(parts, of: text, first: afterSpace) }
        var output: [Int32] = []
        // Prose has four to five bytes a token.
        output.reserveCapacity(text.count / 4)
        var encoder = RunEncoder(lexicon)
        var cache = PieceCache(textBytes: text.count)
        for part in parts {
            switch part {
            case .text(let run): encoder.encode(run, of: text.span, &cache, into: &output)
            case .token(let id): output.append(id)
            }
        }
        return output
    }

    /// The same with a space before each text that follows a special token, and before the first one if asked for.
    private static func spaced(
        _ parts: [SpecialTokens.Part], of text: [UInt8], first: Bool
    ) -> ([UInt8], [SpecialTokens.Part]) {
        var spaced: [UInt8] = []
        spaced.reserveCapacity(text.count + parts.count)
        var putsSpace = first
        let parts = parts.map { part in
            guard case .text(let run) = part else {
                putsSpace = true
                return part
            }
            let start = spaced.count
            if putsSpace { spaced.append(UInt8(ascii: " ")) }
            spaced.append(contentsOf: text[run])
            return .text(start..<spaced.count)
        }
        return (spaced, parts)
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
        // Some conversions spell the spaces of user-defined tokens as SentencePiece does: no text has those, so that
        // merges make them.
        if vocabulary.algorithm == .sentencePiece {
            for (index, token) in vocabulary.tokens.enumerated()
            where kinds[index] == .userDefined && token.contains("\u{2581}") && !SpecialTokens.isMark(token) {
                kinds[index] = .normal
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
