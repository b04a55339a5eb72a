// The general category of every Unicode scalar, as split patterns ask for it.

/// The category of every scalar by its number in `names`, and whether it is whitespace.
struct CharacterCategories: Sendable {
    static let shared = CharacterCategories()

    /// Marks whitespace (`White_Space`) beside the category, of which the number is below 32.
    static let whitespace: UInt8 = 32

    private let table = ScalarTable { scalar in
        number(of: scalar.properties.generalCategory) | (scalar.properties.isWhitespace ? whitespace : 0)
    }

    /// The category's number, and `whitespace` where it is.
    subscript(value: Int) -> UInt8 { table[value] }

    /// The bits of the categories that a name stands for: "L", "Lu", "P"; nil for a name that is none.
    static func mask(_ name: some StringProtocol) -> UInt32? {
        let named = names.filter { $0.name == name || name.count == 1 && $0.name.hasPrefix(name) }
        return named.isEmpty ? nil : named.reduce(0) { $0 | 1 << UInt32(number(of: $1.category)) }
    }

    /// The scalars of the script Han (Unicode 16, `Scripts.txt`), which the standard library does not tell.
    static let han: [ClosedRange<UInt32>] = [
        0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029,
        0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x16FE2...0x16FE3,
        0x16FF0...0x16FF1, 0x20000...0x2A6DF, 0x2A700...0x2B739, 0x2B740...0x2B81D, 0x2B820...0x2CEA1,
        0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D, 0x30000...0x3134A, 0x31350...0x323AF,
    ]

    private static func number(of category: Unicode.GeneralCategory) -> UInt8 {
        UInt8(names.firstIndex { $0.category == category } ?? names.count)
    }

    /// Names and categories (Unicode Standard Annex #44, table 12).
    private static let names: [(name: String, category: Unicode.GeneralCategory)] = [
        ("Lu", .uppercaseLetter), ("Ll", .lowercaseLetter), ("Lt", .titlecaseLetter), ("Lm", .modifierLetter),
        ("Lo", .otherLetter), ("Mn", .nonspacingMark), ("Mc", .spacingMark), ("Me", .enclosingMark),
        ("Nd", .decimalNumber), ("Nl", .letterNumber), ("No", .otherNumber), ("Pc", .connectorPunctuation),
        ("Pd", .dashPunctuation), ("Ps", .openPunctuation), ("Pe", .closePunctuation), ("Pi", .initialPunctuation),
        ("Pf", .finalPunctuation), ("Po", .otherPunctuation), ("Sm", .mathSymbol), ("Sc", .currencySymbol),
        ("Sk", .modifierSymbol), ("So", .otherSymbol), ("Zs", .spaceSeparator), ("Zl", .lineSeparator),
        ("Zp", .paragraphSeparator), ("Cc", .control), ("Cf", .format), ("Cs", .surrogate), ("Co", .privateUse),
        ("Cn", .unassigned),
    ]
}
