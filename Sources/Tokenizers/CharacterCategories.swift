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
