// Small vocabularies made up for the tests, and seeded random texts.

import Tokenizers

/// SplitMix64: the same texts on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

enum Synthetic {
    /// GPT-2's spelling of each byte, written independently of the module's.
    static let byteSpellings: [String] = {
        let printable = Array(33...126) + Array(161...172) + Array(174...255)
        let others = (0..<256).filter { !printable.contains($0) }
        return (0..<256).map { byte in
            let value = others.firstIndex(of: byte).map { 256 + $0 } ?? byte
            return Unicode.Scalar(UInt32(value)).map { String(Character($0)) } ?? ""
        }
    }()

    /// Bytes 0...255 as ids 0...255, then the results of the merges, then control tokens, then user-defined ones.
    static func byteLevel(
        _ preTokenizer: Vocabulary.PreTokenizer = .qwen2, merges: [String], specials: [String] = [],
        userDefined: [String] = []
    ) -> Vocabulary {
        let normal = byteSpellings + merges.map { $0.replacing(" ", with: "") }
        return Vocabulary(
            algorithm: .byteLevelBPE(preTokenizer), tokens: normal + specials + userDefined,
            kinds: normal.map { _ in .normal } + specials.map { _ in .control } + userDefined.map { _ in .userDefined },
            merges: merges)
    }

    /// `<unk>`, `<s>`, `</s>`, the byte tokens (ids 3...258 when `hasBytes`), then `pieces` with their scores.
    static func sentencePiece(_ pieces: [(String, Float)], hasBytes: Bool = true, addsSpacePrefix: Bool = true)
        -> Vocabulary
    {
        let digits = Array("0123456789ABCDEF")
        let bytes = hasBytes ? (0..<256).map { "<0x\(digits[$0 >> 4])\(digits[$0 & 15])>" } : []
        return Vocabulary(
            algorithm: .sentencePiece, tokens: ["<unk>", "<s>", "</s>"] + bytes + pieces.map(\.0),
            scores: [Float](repeating: 0, count: 3 + bytes.count) + pieces.map(\.1),
            kinds: [.unknown, .control, .control] + bytes.map { _ in .byte } + pieces.map { _ in .normal },
            beginOfText: 1, endOfText: 2, unknown: 0, addsBeginOfText: true, addsSpacePrefix: addsSpacePrefix)
    }

    static let words = sentencePiece([
        ("\u{2581}", -1), ("h", -2), ("e", -3), ("l", -4), ("o", -5), ("w", -6), ("r", -7), ("d", -8), ("a", -9),
        ("he", -10), ("ll", -11), ("lo", -12), ("\u{2581}he", -13), ("llo", -14), ("\u{2581}hello", -15),
        ("\u{2581}\u{2581}", -16), ("wo", -17), ("or", -18), ("aa", -19), ("aaaa", -20), ("é", -21),
    ])

    /// Arbitrary valid UTF-8: every plane, control characters, marks without a base, NUL, emoji sequences, long runs.
    static func text(seed: UInt64, scalars: Int = 200) -> String {
        var generator = SeededGenerator(state: seed)
        var text = String.UnicodeScalarView()
        let favourites = Array(
            "  \t\r\n\n'sSREll3٣½.!?,\u{0}\u{7F}\u{301}\u{200D}\u{FE0F}👩‍👩‍👧🇫🇷\u{2581}\u{A0}\u{3000}é語<|im_end|></s>"
                .unicodeScalars)
        while text.count < scalars {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<3: text.append(favourites.randomElement(using: &generator) ?? " ")
            case 3..<6: text.append(Unicode.Scalar(UInt8.random(in: 0..<128, using: &generator)))
            case 6: if let x = Unicode.Scalar(UInt32.random(in: 0x80...0x7FF, using: &generator)) { text.append(x) }
            case 7: if let x = Unicode.Scalar(UInt32.random(in: 0x800...0xFFFF, using: &generator)) { text.append(x) }
            case 8:
                if let x = Unicode.Scalar(UInt32.random(in: 0x10000...0x10FFFF, using: &generator)) { text.append(x) }
            default:
                let scalar = favourites.randomElement(using: &generator) ?? "a"
                text.append(contentsOf: repeatElement(scalar, count: Int.random(in: 2...90, using: &generator)))
            }
        }
        return String(text)
    }
}
