// The classes of characters that the pre-tokenizers' regular expressions tell apart, for every Unicode scalar.

/// `\p{L}`, `\p{N}` and `\s`, and the line ends among the latter; none of them is "other".
struct CharacterClass: OptionSet, Sendable {
    let rawValue: UInt8

    static let letter = CharacterClass(rawValue: 1)
    static let number = CharacterClass(rawValue: 2)
    static let whitespace = CharacterClass(rawValue: 4)
    static let newline = CharacterClass(rawValue: 8)
}

/// Two-level table: blocks of 256 scalars, equal blocks stored once (about 40 KB).
///
/// Built once, on first use, from the standard library's Unicode data instead of a generated file: nothing to
/// regenerate or to get out of step, and it takes milliseconds. A newer Unicode version only classifies scalars that no
/// model was trained on.
struct CharacterClasses: Sendable {
    static let shared = CharacterClasses()

    private let blockStarts: [UInt16]
    private let classes: [UInt8]

    /// Planes 4 to 13 are unassigned and 15 and 16 private use: all of their scalars are "other".
    private static func isEmptyPlane(_ plane: Int) -> Bool { (4...13).contains(plane) || plane > 14 }

    private init() {
        var starts = [UInt16]()
        var classes = [UInt8]()
        var startOfBlock: [[UInt8]: UInt16] = [:]
        for block in 0..<0x1100 {
            var content = [UInt8](repeating: 0, count: 256)
            if !Self.isEmptyPlane(block >> 8) {
                for low in 0..<256 {
                    guard let scalar = Unicode.Scalar(UInt32(block << 8 | low)) else { continue }
                    content[low] = Self.classify(scalar).rawValue
                }
            }
            let start = startOfBlock[content] ?? UInt16(classes.count >> 8)
            if Int(start) << 8 == classes.count {
                classes += content
                startOfBlock[content] = start
            }
            starts.append(start)
        }
        blockStarts = starts
        self.classes = classes
    }

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
    subscript(value: Int) -> CharacterClass {
        CharacterClass(rawValue: classes[Int(blockStarts[value >> 8]) << 8 | value & 0xFF])
    }

    /// The class of the character that begins at `index` of valid UTF-8, and how many bytes it has.
    @inline(__always)
    func character(at index: Int, of text: borrowing Span<UInt8>) -> (class: CharacterClass, bytes: Int) {
        let first = Int(text[index])
        // Block 0 stands first in the table, so ASCII needs one look-up.
        if first < 0x80 { return (CharacterClass(rawValue: classes[first]), 1) }
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
