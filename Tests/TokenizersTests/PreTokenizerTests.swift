// The hand-written pre-tokenizers against the regular expressions they stand for.

import Foundation
import Testing
import Tokenizers

@Suite struct PreTokenizerTests {
    private static let patterns: [(Vocabulary.PreTokenizer, String)] = [
        (.gpt2, #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#),
        (
            .llamaBPE,
            #"'[sStTmMdD]|'[rR][eE]|'[vV][eE]|'[lL][lL]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        ),
        (
            .qwen2,
            #"'[sStTmMdD]|'[rR][eE]|'[vV][eE]|'[lL][lL]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        ),
        // Numbers are cut out before GPT-2's rule looks at what is between them.
        (.smollm, #"\p{N}|'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+(?=\p{N})|\s+(?!\S)|\s+"#),
    ]

    @Test("pieces are the regular expression's matches", arguments: 0..<4, 0..<40)
    func matches(pattern: Int, seed: Int) throws {
        let (preTokenizer, source) = Self.patterns[pattern]
        // Foundation's \s lacks U+0085 and others; spelt out as Unicode's White_Space.
        let space = #"\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}"#
        let spelt = source.replacing("(?!\\S)", with: "(?![^\(space)])")
            .replacing("[^\\s\\p{L}", with: "[^\(space)\\p{L}").replacing("\\s", with: "[\(space)]")
        let expression = try NSRegularExpression(pattern: spelt)
        let scalars = Synthetic.text(seed: UInt64(seed)).unicodeScalars.filter { Self.isLongAssigned($0) }
        let text = String(String.UnicodeScalarView(scalars))
        // A match may begin inside a grapheme, where `Range(_:in:)` gives nil; UTF-16 offsets always work.
        let units = Array(text.utf16)
        let matches = expression.matches(in: text, range: NSRange(location: 0, length: units.count))
        let expected = matches.map { match in
            Array(String(decoding: units[match.range.lowerBound..<match.range.upperBound], as: UTF16.self).utf8)
        }
        let pieces = Self.pieces(of: text, preTokenizer)
        let difference = zip(pieces, expected).first { $0 != $1 }
        #expect(difference == nil && pieces.count == expected.count, "\(String(describing: difference))")
    }

    private static func pieces(of text: String, _ preTokenizer: Vocabulary.PreTokenizer) -> [[UInt8]] {
        let bytes = Array(text.utf8)
        let scanner = PieceScanner(preTokenizer)
        var pieces: [[UInt8]] = []
        var start = 0
        while start < bytes.count {
            let end = scanner.end(from: start, in: bytes.span)
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
