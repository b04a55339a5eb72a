// The hand-written pre-tokenizers against the regular expressions they stand for.

import Foundation
import Testing
import Tokenizers

@Suite struct PreTokenizerTests {
    private static let patterns: [(Vocabulary.PreTokenizer, String)] = [
        (.gpt2, #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#),
        (
            .llamaBPE,
            #"'[sStTmMdD]|'[rR][eE]|'[vV][eE]|'[lL][lL]|"#
                + #"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        ),
        (
            .qwen2,
            #"'[sStTmMdD]|'[rR][eE]|'[vV][eE]|'[lL][lL]|"#
                + #"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        ),
        // Numbers are cut out before GPT-2's rule looks at what is between them.
        (.smollm, #"\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"#),
    ]

    /// Every cutter with its patterns: those written out by hand with what they stand for, the others with what they
    /// compile.
    private static let cutters: [(Vocabulary.PreTokenizer, [String])] =
        patterns.map { ($0.0, [$0.1]) } + [(.smaug, [patterns[1].1]), (.glm4, [patterns[1].1])]
        + Vocabulary.PreTokenizer.allCases.compactMap { cutter in cutter.patterns.map { (cutter, $0) } }

    @Test("there is a pattern for every cutter, and no name stands for two")
    func everyCutter() {
        #expect(Set(Self.cutters.map(\.0)) == Set(Vocabulary.PreTokenizer.allCases))
        let names = Vocabulary.PreTokenizer.allCases.flatMap(\.names)
        #expect(Set(names).count == names.count && names.count > 40)
        for cutter in Vocabulary.PreTokenizer.allCases {
            for name in cutter.names { #expect(Vocabulary.PreTokenizer(named: name) == cutter) }
        }
        #expect(Vocabulary.PreTokenizer(named: "gpt-5") == nil)
    }

    @Test("pieces are the regular expression's matches, and what is between them", arguments: 0..<26, 0..<40)
    func matches(cutter: Int, seed: Int) throws {
        let (preTokenizer, sources) = try #require(Self.cutters.indices.contains(cutter) ? Self.cutters[cutter] : nil)
        let scalars = Synthetic.text(seed: UInt64(seed)).unicodeScalars.filter { Self.isLongAssigned($0) }
        let text = String(String.UnicodeScalarView(scalars))
        let expected = try sources.reduce([Array(text.utf16)]) { pieces, source in
            let expression = try NSRegularExpression(pattern: Self.spelt(source))
            return pieces.flatMap { Self.split($0, by: expression) }
        }.map { Array(String(decoding: $0, as: UTF16.self).utf8) }
        let pieces = Self.pieces(of: text, preTokenizer)
        let difference = zip(pieces, expected).first { $0 != $1 }
        #expect(difference == nil && pieces.count == expected.count, "\(String(describing: difference))")
    }

    @Test(
        "white space at the end is cut off in linear time, and that before anything else stays",
        .timeLimit(.minutes(1)))
    func trailingWhitespace() {
        let spaces = String(repeating: " \u{2003}", count: 1 << 18)
        #expect(
            Self.pieces(of: "a ?\t\n \u{A0}", .deepseekLLM).map { String(decoding: $0, as: UTF8.self) } == [
                "a", " ?", "\t", "\n", " \u{A0}",
            ])
        #expect(Self.pieces(of: "1" + spaces + "1", .deepseekLLM).count > 2)
    }

    /// Foundation's \s lacks U+0085 and others: spelt out as Unicode's White_Space.
    private static func spelt(_ source: String) -> String {
        let space = #"\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"#
        return source.replacing("(?!\\S)", with: "(?![^\(space)])").replacing("[^\\s", with: "[^\(space)")
            .replacing("[^(\\s", with: "[^(\(space)").replacing("\\s", with: "[\(space)]")
    }

    /// Matches and gaps of UTF-16: a match may begin inside a grapheme, where a range of a string would be none.
    private static func split(_ units: [UInt16], by expression: NSRegularExpression) -> [[UInt16]] {
        let text = String(decoding: units, as: UTF16.self)
        var pieces: [[UInt16]] = []
        var end = 0
        for match in expression.matches(in: text, range: NSRange(location: 0, length: units.count)) {
            guard match.range.length > 0 else { continue }
            if match.range.location > end { pieces.append(Array(units[end..<match.range.location])) }
            end = match.range.upperBound
            pieces.append(Array(units[match.range.location..<end]))
        }
        if end < units.count { pieces.append(Array(units[end...])) }
        return pieces
    }

    private static func pieces(of text: String, _ preTokenizer: Vocabulary.PreTokenizer) -> [[UInt8]] {
        let bytes = Array(text.utf8)
        let scanner = PieceScanner(preTokenizer)
        var pieces: [[UInt8]] = []
        var start = 0
        var cursor = PieceScanner.Cursor()
        while start < bytes.count {
            let end = scanner.end(from: start, in: bytes.span, &cursor)
            pieces.append(Array(bytes[start..<end]))
            start = end
        }
        return pieces
    }

    /// The two libraries know different versions of Unicode: both agree on what came before version 10.
    private static func isLongAssigned(_ scalar: Unicode.Scalar) -> Bool {
        guard let age = scalar.properties.age else { return false }
        return age.major < 10
    }
}
