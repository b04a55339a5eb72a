// The general category of every Unicode scalar, as split patterns ask for it.

/// Two-level table: blocks of 256 scalars, equal blocks stored once.
///
/// Built once, on first use, from the standard library's Unicode data, as `CharacterClasses` is.
struct CharacterCategories: Sendable {
    static let shared = CharacterCategories()

    /// Marks whitespace (`White_Space`) beside the category, of which the number is below 32.
    static let whitespace: UInt8 = 32

    private let blockStarts: [UInt16]
    private let categories: [UInt8]

    private init() {
        var starts: [UInt16] = []
        var categories: [UInt8] = []
        var startOfBlock: [[UInt8]: UInt16] = [:]
        for block in 0..<0x1100 {
            var content = [UInt8](repeating: Self.number(of: .unassigned), count: 256)
            for low in 0..<256 {
                guard let scalar = Unicode.Scalar(UInt32(block << 8 | low)) else { continue }
                let space = scalar.properties.isWhitespace ? Self.whitespace : 0
                content[low] = Self.number(of: scalar.properties.generalCategory) | space
            }
            let start = startOfBlock[content] ?? UInt16(categories.count >> 8)
            if Int(start) << 8 == categories.count {
                categories += content
                startOfBlock[content] = start
            }
            starts.append(start)
        }
        blockStarts = starts
        self.categories = categories
    }

    /// The category's number, and `whitespace` where it is.
    subscript(value: Int) -> UInt8 { categories[Int(blockStarts[value >> 8]) << 8 | value & 0xFF] }

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
