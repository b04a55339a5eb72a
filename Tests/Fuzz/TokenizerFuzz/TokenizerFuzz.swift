// Feeds tokenizers texts, ids and vocabularies that libFuzzer invents: a typed error or a round trip, never a trap.

import FuzzDriver
import Tokenizers

@main
enum TokenizerFuzz {
    static func main() {
        guard let byteLevel = try? Tokenizer(Self.byteLevel), let pieces = try? Tokenizer(Self.pieces) else {
            preconditionFailure("the fuzzer's own vocabularies are sound")
        }
        fuzz { bytes in
            guard let kind = bytes.first else { return }
            let rest = Array(bytes.dropFirst())
            switch kind % 4 {
            case 0: roundTrip(rest, byteLevel, isExact: true)
            case 1: roundTrip(rest, pieces, isExact: false)
            case 2: ids(rest, kind & 64 == 0 ? byteLevel : pieces)
            default: vocabulary(rest)
            }
        }
    }

    /// Encoding and decoding gives the text back; taken byte by byte it is the same text.
    private static func roundTrip(_ bytes: [UInt8], _ tokenizer: Tokenizer, isExact: Bool) {
        let text = String(decoding: bytes, as: UTF8.self)
        let ids = tokenizer.encode(text)
        let decoded = tokenizer.decode(ids)
        if isExact { precondition(decoded.utf8.elementsEqual(text.utf8), "not the text that went in") }
        var stream = StreamingDetokenizer(tokenizer)
        var streamed = ""
        for id in ids { streamed += stream.append(id) }
        precondition(streamed.utf8.elementsEqual(decoded.utf8), "another text when it is streamed")
        let segments: [PromptSegment] = [.template("<|im_start|>"), .text(text), .template("<|im_end|>")]
        for id in tokenizer.encode(segments) { precondition((0..<tokenizer.vocabularyCount).contains(Int(id))) }
    }

    /// Any ids at all, unknown ones among them.
    private static func ids(_ bytes: [UInt8], _ tokenizer: Tokenizer) {
        let ids = bytes.indices.dropLast(1).map { Int32(bytes[$0]) << 8 | Int32(bytes[$0 + 1]) }
        var stream = StreamingDetokenizer(tokenizer)
        var streamed = ""
        for id in ids { streamed += stream.append(id) }
        // The beginning of a character at the end comes as U+FFFD from the one, and not at all from the other.
        let decoded = Array(tokenizer.decode(ids).utf8)
        let shorter =
            decoded.suffix(3) == Self.replacement[...] ? decoded.dropLast(Self.replacement.count) : decoded[...]
        precondition(streamed.utf8.elementsEqual(decoded) || streamed.utf8.elementsEqual(shorter))
    }

    private static let replacement = Array("\u{FFFD}".utf8)

    /// Lines of a vocabulary: tokens, and after a line "#" merges.
    private static func vocabulary(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        let tokens = Array(lines.prefix { $0 != "#" })
        let merges = Array(lines.dropFirst(tokens.count + 1))
        for algorithm in [Vocabulary.Algorithm.byteLevelBPE(.llamaBPE), .byteLevelBPE(.qwen2), .sentencePiece] {
            let vocabulary = Vocabulary(
                algorithm: algorithm, tokens: byteSpellings + tokens,
                scores: (0..<byteSpellings.count + tokens.count).map { Float($0 % 7) },
                kinds: (0..<byteSpellings.count + tokens.count).map { _ in .normal }, merges: merges)
            guard let tokenizer = try? Tokenizer(vocabulary) else { continue }
            for text in tokens { roundTrip(Array(text.utf8), tokenizer, isExact: algorithm != .sentencePiece) }
        }
    }

    /// GPT-2's spelling of each byte.
    private static let byteSpellings: [String] = {
        let printable = Array(33...126) + Array(161...172) + Array(174...255)
        let others = (0..<256).filter { !printable.contains($0) }
        return (0..<256).map { byte in
            let value = others.firstIndex(of: byte).map { 256 + $0 } ?? byte
            return Unicode.Scalar(UInt32(value)).map { String(Character($0)) } ?? ""
        }
    }()

    private static let byteLevel: Vocabulary = {
        let merges = ["h e", "l l", "he ll", "Ġ t", "Ġt h", "i n", "1 2", "Ã ©"]
        let tokens = byteSpellings + merges.map { $0.replacing(" ", with: "") } + ["<|im_start|>", "<|im_end|>"]
        return Vocabulary(
            algorithm: .byteLevelBPE(.llamaBPE), tokens: tokens,
            kinds: tokens.indices.map { $0 < 256 + merges.count ? .normal : .control }, merges: merges)
    }()

    private static let pieces: Vocabulary = {
        let digits = Array("0123456789ABCDEF")
        let bytes = (0..<256).map { "<0x\(digits[$0 >> 4])\(digits[$0 & 15])>" }
        let words = ["\u{2581}", "h", "e", "l", "o", "he", "ll", "llo", "\u{2581}hello", "\u{2581}\u{2581}", "é"]
        return Vocabulary(
            algorithm: .sentencePiece, tokens: ["<unk>", "<s>", "</s>"] + bytes + words,
            scores: [Float](repeating: 0, count: 259) + words.indices.map { -Float($0) },
            kinds: [.unknown, .control, .control] + bytes.map { _ in .byte } + words.map { _ in .normal },
            beginOfText: 1, endOfText: 2, unknown: 0, addsBeginOfText: true, addsSpacePrefix: true)
    }()
}
