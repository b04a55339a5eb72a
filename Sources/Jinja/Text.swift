// Text of which each letter knows who wrote it.

/// A string as jinja sees it, a sequence of Unicode scalars, each with a mark of where it came from.
///
/// Marks travel with their letters through slices, trimming, replacing, case mapping and joining. So what a template
/// makes of a message can be told from the template's own words afterwards, whatever it did with the message.
/// Comparing ignores marks.
public struct Text: Sendable, Hashable {
    /// Who wrote a letter: 0 is the template itself, the other values are the caller's.
    public typealias Mark = UInt8

    /// One Unicode scalar and its mark: the scalar needs 21 bits, the mark stands above them.
    struct Letter: Sendable, Hashable {
        static let markShift: UInt32 = 24

        let bits: UInt32

        init(_ scalar: Unicode.Scalar, mark: Mark = 0) { bits = scalar.value | UInt32(mark) << Self.markShift }

        var value: UInt32 { bits & 0x1F_FFFF }
        var mark: Mark { Mark(truncatingIfNeeded: bits >> Self.markShift) }
        var scalar: Unicode.Scalar { Unicode.Scalar(value) ?? "\u{FFFD}" }

        static func == (left: Letter, right: Letter) -> Bool { left.value == right.value }
        func hash(into hasher: inout Hasher) { hasher.combine(value) }
    }

    var letters: [Letter]

    init(letters: some Swift.Sequence<Letter>) { self.letters = Array(letters) }

    /// Takes a string over, every letter with the same mark.
    public init(_ string: String, mark: Mark = 0) {
        letters = string.unicodeScalars.map { Letter($0, mark: mark) }
    }

    /// The text without its marks.
    public var string: String { Self.string(letters[...]) }

    /// Whether there is no letter.
    public var isEmpty: Bool { letters.isEmpty }

    /// Number of Unicode scalars.
    public var count: Int { letters.count }

    /// The stretches of letters with the same mark, in order.
    public var stretches: [(mark: Mark, text: String)] {
        var result: [(mark: Mark, text: String)] = []
        var start = letters.startIndex
        while start < letters.endIndex {
            let mark = letters[start].mark
            let end = letters[start...].firstIndex { $0.mark != mark } ?? letters.endIndex
            result.append((mark, Self.string(letters[start..<end])))
            start = end
        }
        return result
    }

    /// Index of the first letter of a mark, nil where there is none.
    public func start(of mark: Mark) -> Int? { letters.firstIndex { $0.mark == mark } }

    /// Index after the last letter of a mark, nil where there is none.
    public func end(of mark: Mark) -> Int? { letters.lastIndex { $0.mark == mark }.map { $0 + 1 } }

    /// Letters from `start` on, and those before it.
    public func split(at index: Int) -> (head: Text, tail: Text) {
        let place = min(max(index, 0), letters.count)
        return (Text(letters: letters[..<place]), Text(letters: letters[place...]))
    }

    /// One text after the other.
    public static func + (left: Text, right: Text) -> Text {
        var result = left
        result.letters += right.letters
        return result
    }

    static func string(_ letters: ArraySlice<Letter>) -> String {
        var scalars = String.UnicodeScalarView()
        for letter in letters { scalars.append(letter.scalar) }
        return String(scalars)
    }
}

extension Text: ExpressibleByStringLiteral {
    /// A text of the template's own.
    public init(stringLiteral value: String) { self.init(value) }
}

extension Unicode.Scalar {
    /// What Python's `str.isspace` and the `\s` of its regular expressions take for white space.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// What Python's `str.splitlines` takes for the end of a line.
    var isPythonLineEnd: Bool {
        switch value {
        case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029: true
        default: false
        }
    }

    /// Whether Python's `repr` writes it as it is.
    var isPythonPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        case .spaceSeparator: value == 0x20
        default: true
        }
    }
}
