// The classes of characters that the pre-tokenizers' regular expressions tell apart, for every Unicode scalar.

/// `\p{L}`, `\p{N}` and `\s`, and the line ends among the latter; none of them is "other".
struct CharacterClass: OptionSet, Sendable {
    let rawValue: UInt8

    static let letter = CharacterClass(rawValue: 1)
    static let number = CharacterClass(rawValue: 2)
    static let whitespace = CharacterClass(rawValue: 4)
    static let newline = CharacterClass(rawValue: 8)
}

/// The class of every scalar.
struct CharacterClasses: Sendable {
    static let shared = CharacterClasses()

    private let table = ScalarTable { classify($0).rawValue }

    private static func classify(_ scalar: Unicode.Scalar) -> CharacterClass {
        if scalar.properties.isWhitespace {
            return scalar == "\r" || scalar == "\n" ? [.whitespace, .newline] : .whitespace
        }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        default: return []
        }
    }

    /// The class of a scalar given by its value.
    subscript(value: Int) -> CharacterClass { CharacterClass(rawValue: table[value]) }

    /// The class of the character that begins at `index` of valid UTF-8, and how many bytes it has.
    @inline(__always)
    func character(at index: Int, of text: borrowing Span<UInt8>) -> (class: CharacterClass, bytes: Int) {
        let first = Int(text[index])
        if first < 0x80 { return (CharacterClass(rawValue: table[ascii: first]), 1) }
        return multibyteCharacter(at: index, first: first, of: text)
    }

    private func multibyteCharacter(
        at index: Int, first: Int, of text: borrowing Span<UInt8>
    ) -> (class: CharacterClass, bytes: Int) {
        func continuation(_ offset: Int) -> Int { index + offset < text.count ? Int(text[index + offset]) & 0x3F : 0 }
        if first < 0xE0 { return (self[(first & 0x1F) << 6 | continuation(1)], min(2, text.count - index)) }
        if first < 0xF0 {
            let value = (first & 0x0F) << 12 | continuation(1) << 6 | continuation(2)
            return (self[value], min(3, text.count - index))
        }
        let value = (first & 0x07) << 18 | continuation(1) << 12 | continuation(2) << 6 | continuation(3)
        return (self[min(value, 0x10FFFF)], min(4, text.count - index))
    }
}
