// Where a text is cut into the pieces that merges never cross.

/// Finds the end of the piece that begins at a position; texts are valid UTF-8.
///
/// The byte-level rules of the models most in use are their regular expressions written out by hand: linear on any
/// text. The others are compiled patterns.
package struct PieceScanner: Sendable {
    /// Longest piece in bytes.
    ///
    /// No natural word comes near; the cut bounds the memory that merging takes, whatever is sent.
    static let longestPieceBytes = 1 << 18

    private enum Rule: Sendable {
        case gpt2(splitsDigits: Bool)
        case llama3(digits: Int)
        case neighbours
        /// Each pattern cuts what the one before has left whole.
        case patterns([SplitPattern])
    }

    /// Where a scan is: pieces are asked for from the beginning of a text to its end.
    package struct Cursor: Sendable {
        /// For each pattern the end of the piece that the scan is in, and the match that follows where that is a gap.
        fileprivate var ends: [Int] = []
        fileprivate var matches: [Range<Int>?] = []

        /// The beginning of a text.
        package init() {}
    }

    private let rule: Rule
    private let classes = CharacterClasses.shared
    /// For `.neighbours`, by (byte, next byte): whether some token has the two side by side.
    private let neighbours: [Bool]

    /// The rules of a byte-level model.
    package init(_ preTokenizer: Vocabulary.PreTokenizer) {
        neighbours = []
        rule =
            switch preTokenizer {
            case .gpt2: .gpt2(splitsDigits: false)
            case .smollm: .gpt2(splitsDigits: true)
            case .llamaBPE, .smaug, .glm4: .llama3(digits: 3)
            case .qwen2: .llama3(digits: 1)
            default: .patterns((preTokenizer.patterns ?? []).map { SplitPattern($0) })
            }
    }

    /// The rule for SentencePiece, which has none of its own.
    ///
    /// Text may be cut wherever the bytes on either side are neighbours in no token, because no merge can join them.
    /// For usual vocabularies that is before each word.
    init(neighbours: [Bool]) {
        self.neighbours = neighbours
        rule = .neighbours
    }

    /// End of the piece that begins at `start` (which lies inside the text), where the last one ended.
    package func end(from start: Int, in text: borrowing Span<UInt8>, _ cursor: inout Cursor) -> Int {
        let end =
            switch rule {
            case .gpt2(let splitsDigits): gpt2End(start, text, splitsDigits: splitsDigits)
            case .llama3(let digits): llama3End(start, text, digits: digits)
            case .neighbours: neighboursEnd(start, text)
            case .patterns(let patterns): patternsEnd(start, text, patterns, &cursor)
            }
        return end - start <= Self.longestPieceBytes ? end : characterBoundary(start + Self.longestPieceBytes, text)
    }

    // MARK: Rules

    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+` (openai/gpt-2, `src/encoder.py`).
    ///
    /// SmolLM cuts out every single number first (Hugging Face's `Digits`): the rule then sees each text between
    /// numbers by itself.
    private func gpt2End(_ start: Int, _ text: borrowing Span<UInt8>, splitsDigits: Bool) -> Int {
        if text[start] == UInt8(ascii: "'"), let end = contractionEnd(start, text, ignoringCase: false) { return end }
        var (kind, bytes) = classes.character(at: start, of: text)
        if splitsDigits, kind == .number { return start + bytes }
        var body = start
        if text[start] == UInt8(ascii: " "), start + 1 < text.count {
            let next = classes.character(at: start + 1, of: text)
            if splitsDigits, next.class == .number { return start + 1 }
            if !next.class.contains(.whitespace) {
                (kind, bytes) = next
                body = start + 1
            }
        }
        if kind.contains(.whitespace) { return whitespaceEnd(start, text, leavesOneToNumber: !splitsDigits) }
        return runEnd(body + bytes, text, of: kind)
    }

    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
    /// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+` (Llama 3; Qwen 2 has `\p{N}` for `\p{N}{1,3}`).
    private func llama3End(_ start: Int, _ text: borrowing Span<UInt8>, digits: Int) -> Int {
        if text[start] == UInt8(ascii: "'"), let end = contractionEnd(start, text, ignoringCase: true) { return end }
        let (kind, bytes) = classes.character(at: start, of: text)
        let next = start + bytes
        if kind == .letter { return runEnd(next, text, of: .letter) }
        if kind == .number {
            var end = next
            for _ in 1..<digits {
                guard end < text.count else { break }
                let (kind, bytes) = classes.character(at: end, of: text)
                guard kind == .number else { break }
                end += bytes
            }
            return end
        }
        if !kind.contains(.newline), next < text.count {
            let following = classes.character(at: next, of: text)
            if following.class == .letter { return runEnd(next + following.bytes, text, of: .letter) }
            if text[start] == UInt8(ascii: " "), following.class == [] {
                return newlinesEnd(runEnd(next + following.bytes, text, of: []), text)
            }
        }
        if kind == [] { return newlinesEnd(runEnd(next, text, of: []), text) }
        return whitespaceEnd(start, text, stopsAtNewlines: true)
    }

    /// The piece of the last pattern, inside that of the one before, and so on.
    ///
    /// What lies between a pattern's matches is a piece, too.
    private func patternsEnd(
        _ start: Int, _ text: borrowing Span<UInt8>, _ patterns: [SplitPattern], _ cursor: inout Cursor
    ) -> Int {
        if cursor.ends.isEmpty {
            cursor.ends = Array(repeating: start, count: patterns.count)
            cursor.matches = Array(repeating: nil, count: patterns.count)
        }
        var limit = text.count
        for (level, pattern) in patterns.enumerated() {
            if cursor.ends[level] <= start {
                let match =
                    cursor.matches[level].flatMap { $0.lowerBound == start ? $0 : nil }
                    ?? pattern.firstMatch(from: start, to: limit, in: text)
                if let match, match.lowerBound > start {
                    (cursor.ends[level], cursor.matches[level]) = (match.lowerBound, match)
                } else {
                    (cursor.ends[level], cursor.matches[level]) = (match?.upperBound ?? limit, nil)
                }
            }
            limit = cursor.ends[level]
        }
        return limit
    }

    private func neighboursEnd(_ start: Int, _ text: borrowing Span<UInt8>) -> Int {
        var index = start + 1
        // The piece is cut at `longestPieceBytes` anyway; looking further would make a long run quadratic.
        let limit = min(text.count, start + Self.longestPieceBytes + 1)
        while index < limit {
            let byte = text[index]
            let isBoundary = byte & 0xC0 != 0x80
            if isBoundary, !neighbours[Int(text[index - 1]) << 8 | Int(byte)] { return index }
            index += 1
        }
        return index
    }

    // MARK: Parts of rules

    /// End of `'s`, `'t`, `'m`, `'d`, `'re`, `'ve` or `'ll` at `start`, where an apostrophe stands.
    private func contractionEnd(_ start: Int, _ text: borrowing Span<UInt8>, ignoringCase: Bool) -> Int? {
        guard start + 1 < text.count else { return nil }
        let fold: UInt8 = ignoringCase ? 0x20 : 0
        let first = text[start + 1] | (text[start + 1] < 0x80 ? fold : 0)
        switch first {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"), UInt8(ascii: "l"):
            guard start + 2 < text.count else { return nil }
            let second = text[start + 2] | (text[start + 2] < 0x80 ? fold : 0)
            return second == (first == UInt8(ascii: "l") ? first : UInt8(ascii: "e")) ? start + 3 : nil
        default: return nil
        }
    }

    /// End of a run of characters of exactly this class that continues at `index`.
    @inline(__always)
    private func runEnd(_ index: Int, _ text: borrowing Span<UInt8>, of kind: CharacterClass) -> Int {
        var end = index
        while end < text.count {
            let (next, bytes) = classes.character(at: end, of: text)
            guard next == kind else { break }
            end += bytes
        }
        return end
    }

    private func newlinesEnd(_ index: Int, _ text: borrowing Span<UInt8>) -> Int {
        var end = index
        while end < text.count, text[end] == UInt8(ascii: "\n") || text[end] == UInt8(ascii: "\r") { end += 1 }
        return end
    }

    /// `\s*[\r\n]+` (when asked for), else `\s+(?!\S)`, else `\s+`: a run of whitespace leaves its last character to
    /// the word that follows, unless it is the only one, or a number follows that is cut out (`leavesOneToNumber`
    /// false).
    private func whitespaceEnd(
        _ start: Int, _ text: borrowing Span<UInt8>, stopsAtNewlines: Bool = false, leavesOneToNumber: Bool = true
    ) -> Int {
        var end = start
        var last = start
        var newlineEnd = start
        while end < text.count {
            let (kind, bytes) = classes.character(at: end, of: text)
            guard kind.contains(.whitespace) else {
                if !leavesOneToNumber, kind == .number { return end }
                break
            }
            last = end
            end += bytes
            if kind.contains(.newline) { newlineEnd = end }
        }
        if stopsAtNewlines, newlineEnd > start { return newlineEnd }
        return end == text.count || last == start ? end : last
    }

    private func characterBoundary(_ index: Int, _ text: borrowing Span<UInt8>) -> Int {
        var boundary = index
        while text[boundary] & 0xC0 == 0x80 { boundary -= 1 }
        return boundary
    }
}
