// The regular expressions that models' tokenizers cut text with, compiled: as much of their language as such patterns
// use.

/// Alternatives of sequences of character sets, tried in order; the first that matches wins, as in Perl's regular
/// expressions.
///
/// What is understood: characters, classes (`[...]`, `[...&&[^...]]`, `\p{Lu}`, `\s`, ranges), the quantifiers `?`,
/// `*`, `+`, `{n}`, `{m,n}`, greedy or possessive, groups of plain words (`(?:...)`, `(?i:...)`), `(?!\S)` and `$`.
/// Backtracking goes over one run of characters at a time, so matching is linear in the text but for the runs that an
/// alternative gives up.
struct SplitPattern: Sendable {
    /// One step of a sequence.
    enum Element: Sendable {
        /// From `least` to `most` characters of a set, as many as possible.
        case characters(SplitSet, least: Int, most: Int, isPossessive: Bool)
        /// The first of these words that leads to a match, each character one of a set.
        case words([[SplitSet]], isOptional: Bool)
        /// Not before a character of a set.
        case notBefore(SplitSet)
        /// The end of the text.
        case end
    }

    private let alternatives: [[Element]]
    /// The set of a pattern that is a run of it up to the end, and nothing else.
    private let trailing: SplitSet?

    /// Compiles a pattern.
    init(_ source: String) {
        var parser = SplitPatternParser(source)
        alternatives = parser.alternatives()
        trailing =
            if alternatives.count == 1, alternatives[0].count == 2, case .end = alternatives[0][1],
                case .characters(let set, least: 1, most: .max, isPossessive: _) = alternatives[0][0]
            {
                set
            } else {
                nil
            }
    }

    /// The first match at or behind `start`; nothing from `limit` on is looked at.
    func firstMatch(from start: Int, to limit: Int, in text: borrowing Span<UInt8>) -> Range<Int>? {
        if let trailing { return trailingMatch(of: trailing, from: start, to: limit, in: text) }
        var first = start
        while first < limit {
            if let end = end(from: first, to: limit, in: text) { return first..<end }
            first += 1
            while first < limit, text[first] & 0xC0 == 0x80 { first += 1 }
        }
        return nil
    }

    /// Looked for from the end: from the beginning every run that does not reach it would be read from each of its
    /// characters.
    private func trailingMatch(
        of set: SplitSet, from start: Int, to limit: Int, in text: borrowing Span<UInt8>
    ) -> Range<Int>? {
        var first = limit
        while first > start {
            var before = first - 1
            while before > start, text[before] & 0xC0 == 0x80 { before -= 1 }
            guard set.next(before, limit, text) != nil else { break }
            first = before
        }
        return first < limit ? first..<limit : nil
    }

    /// The end of the match that begins at `start`, nil where none does.
    private func end(from start: Int, to limit: Int, in text: borrowing Span<UInt8>) -> Int? {
        for elements in alternatives {
            if let end = match(elements, 0, start, limit, text), end > start { return end }
        }
        return nil
    }

    private func match(
        _ elements: [Element], _ index: Int, _ start: Int, _ limit: Int, _ text: borrowing Span<UInt8>
    ) -> Int? {
        guard index < elements.count else { return start }
        switch elements[index] {
        case .characters(let set, let least, let most, let isPossessive):
            var (end, count) = (start, 0)
            while count < most, end < limit, let next = set.next(end, limit, text) { (end, count) = (next, count + 1) }
            if isPossessive || least == most {
                return count < least ? nil : match(elements, index + 1, end, limit, text)
            }
            while count >= least {
                if let found = match(elements, index + 1, end, limit, text) { return found }
                guard count > least else { return nil }
                end -= 1
                while text[end] & 0xC0 == 0x80 { end -= 1 }
                count -= 1
            }
            return nil
        case .words(let words, let isOptional):
            for word in words {
                var end = start
                let isThere = word.allSatisfy { set in
                    guard end < limit, let next = set.next(end, limit, text) else { return false }
                    end = next
                    return true
                }
                if isThere, let found = match(elements, index + 1, end, limit, text) { return found }
            }
            return isOptional ? match(elements, index + 1, start, limit, text) : nil
        case .notBefore(let set):
            if start < limit, set.next(start, limit, text) != nil { return nil }
            return match(elements, index + 1, start, limit, text)
        case .end: return start == limit ? match(elements, index + 1, start, limit, text) : nil
        }
    }
}

/// A set of characters: categories, whitespace, single ones and ranges, or all others.
struct SplitSet: Sendable {
    /// Bits of categories, and bit 31 for whitespace.
    private(set) var mask: UInt32 = 0
    private(set) var ranges: [ClosedRange<UInt32>] = []
    /// What of it the set does not have.
    var excluded: [ClosedRange<UInt32>] = []
    var isNegated = false
    /// ASCII, decided beforehand; set by `sealed`.
    private var ascii: (UInt64, UInt64) = (0, 0)
    private let categories = CharacterCategories.shared

    mutating func add(mask more: UInt32) { mask |= more }
    mutating func add(_ range: ClosedRange<UInt32>) { ranges.append(range) }

    static let whitespaceMask: UInt32 = 1 << 31

    /// The set, ready to be asked.
    func sealed() -> SplitSet {
        var set = self
        set.ranges = Self.joined(ranges)
        set.excluded = Self.joined(excluded)
        for value in 0..<128 where set.holds(UInt32(value)) {
            if value < 64 { set.ascii.0 |= 1 << UInt64(value) } else { set.ascii.1 |= 1 << UInt64(value - 64) }
        }
        return set
    }

    private func holds(_ value: UInt32) -> Bool {
        let category = categories[Int(value)]
        let isIn =
            mask >> UInt32(category & 31) & 1 == 1
            || mask & Self.whitespaceMask != 0 && category & CharacterCategories.whitespace != 0
            || Self.holds(value, ranges)
        return (isIn && !Self.holds(value, excluded)) != isNegated
    }

    /// In order, and none beside or inside another.
    private static func joined(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        ranges.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { joined, range in
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
    }

    /// Whether one of the ranges, in order, has the value.
    private static func holds(_ value: UInt32, _ ranges: [ClosedRange<UInt32>]) -> Bool {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= value
    }

    /// The end of the character at `index` of valid UTF-8, if the set has it; `limit` lies between characters.
    @inline(__always)
    func next(_ index: Int, _ limit: Int, _ text: borrowing Span<UInt8>) -> Int? {
        let first = text[index]
        if first < 64 { return ascii.0 >> UInt64(first) & 1 == 1 ? index + 1 : nil }
        if first < 128 { return ascii.1 >> UInt64(first - 64) & 1 == 1 ? index + 1 : nil }
        return multibyte(index, limit, text)
    }

    private func multibyte(_ index: Int, _ limit: Int, _ text: borrowing Span<UInt8>) -> Int? {
        func continuation(_ offset: Int) -> UInt32 { index + offset < limit ? UInt32(text[index + offset]) & 0x3F : 0 }
        let first = UInt32(text[index])
        let (value, bytes): (UInt32, Int) =
            if first < 0xE0 {
                ((first & 0x1F) << 6 | continuation(1), 2)
            } else if first < 0xF0 {
                ((first & 0x0F) << 12 | continuation(1) << 6 | continuation(2), 3)
            } else {
                ((first & 0x07) << 18 | continuation(1) << 12 | continuation(2) << 6 | continuation(3), 4)
            }
        return holds(min(value, 0x10FFFF)) ? min(index + bytes, limit) : nil
    }
}

/// Reads a pattern; the patterns are this module's own, so that one that is not understood is a fault of the program.
private struct SplitPatternParser {
    private var rest: Substring.UnicodeScalarView

    init(_ source: String) { rest = Substring(source).unicodeScalars }

    mutating func alternatives() -> [[SplitPattern.Element]] {
        var alternatives: [[SplitPattern.Element]] = [[]]
        while let scalar = rest.popFirst() {
            if scalar == "|" {
                alternatives.append([])
            } else {
                alternatives[alternatives.count - 1].append(element(scalar))
            }
        }
        return alternatives
    }

    private mutating func element(_ first: Unicode.Scalar) -> SplitPattern.Element {
        switch first {
        case "$": return .end
        case "(" where take("?!"):
            let set = set(rest.removeFirst())
            precondition(take(")"), "a lookahead is one set")
            return .notBefore(set)
        case "(":
            let ignoresCase = take("?i:")
            precondition(ignoresCase || take("?:"), "groups capture nothing")
            let words = words(ignoringCase: ignoresCase)
            return .words(words, isOptional: take("?"))
        default:
            let set = set(first)
            let (least, most) = quantifier()
            return .characters(set, least: least, most: most, isPossessive: take("+"))
        }
    }

    /// The words of a group, up to its end.
    private mutating func words(ignoringCase: Bool) -> [[SplitSet]] {
        var words: [[SplitSet]] = [[]]
        while !take(")") {
            let scalar = rest.removeFirst()
            if scalar == "|" {
                words.append([])
            } else {
                words[words.count - 1].append(set(scalar, ignoringCase: ignoringCase))
            }
        }
        return words
    }

    private mutating func quantifier() -> (least: Int, most: Int) {
        if take("?") { return (0, 1) }
        if take("*") { return (0, .max) }
        if take("+") { return (1, .max) }
        guard take("{") else { return (1, 1) }
        let least = number()
        let most = take(",") ? number() : least
        precondition(take("}"), "a quantifier has an end")
        return (least, most)
    }

    private mutating func number() -> Int {
        var value = 0
        while let digit = rest.first?.properties.numericType.flatMap({ _ in rest.first?.value }), digit < 58 {
            value = value * 10 + Int(digit - 48)
            rest.removeFirst()
        }
        return value
    }

    private mutating func set(_ first: Unicode.Scalar, ignoringCase: Bool = false) -> SplitSet {
        var set = SplitSet()
        if first == "[" {
            set.isNegated = take("^")
            while !take("]") {
                if take("&&[^") {
                    var excluded = SplitSet()
                    while !take("]") { addItem(rest.removeFirst(), to: &excluded) }
                    precondition(excluded.mask == 0, "only ranges are excluded")
                    set.excluded = excluded.ranges
                } else {
                    addItem(rest.removeFirst(), to: &set)
                }
            }
        } else {
            addItem(first, to: &set, mayBeRange: false)
            if ignoringCase, first.isASCII, first.properties.isAlphabetic {
                set.add((first.value ^ 32)...(first.value ^ 32))
            }
        }
        return set.sealed()
    }

    private mutating func addItem(_ first: Unicode.Scalar, to set: inout SplitSet, mayBeRange: Bool = true) {
        var low = first
        if first == "\\" {
            let escaped = rest.removeFirst()
            switch escaped {
            case "p":
                let name = String(String.UnicodeScalarView(rest.dropFirst().prefix { $0 != "}" }))
                rest = rest.dropFirst(name.unicodeScalars.count + 2)
                if name == "Han" { return CharacterCategories.han.forEach { set.add($0) } }
                guard let mask = CharacterCategories.mask(name) else { preconditionFailure("no such category") }
                return set.add(mask: mask)
            case "s": return set.add(mask: SplitSet.whitespaceMask)
            case "S":
                set.isNegated.toggle()
                return set.add(mask: SplitSet.whitespaceMask)
            case "r": low = "\r"
            case "n": low = "\n"
            case "t": low = "\t"
            default: low = escaped
            }
        }
        var high = low
        if mayBeRange, rest.first == "-", rest.dropFirst().first != "]" {
            rest.removeFirst()
            high = rest.removeFirst()
        }
        set.add(low.value...high.value)
    }

    private mutating func take(_ text: String) -> Bool {
        guard rest.starts(with: text.unicodeScalars) else { return false }
        rest = rest.dropFirst(text.unicodeScalars.count)
        return true
    }
}
