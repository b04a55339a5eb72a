// Compiles a SentencePiece vocabulary (GGUF model `llama`) into ranked merges.

extension Lexicon {
    static func sentencePiece(
        _ vocabulary: Vocabulary, _ kinds: [Vocabulary.Kind]
    ) throws(TokenizerError) -> Lexicon {
        guard vocabulary.scores.count == vocabulary.tokens.count else {
            throw .countMismatch(field: "scores", count: vocabulary.scores.count, tokens: vocabulary.tokens.count)
        }
        var symbols = SymbolTable(capacity: vocabulary.tokens.count)
        var byteTokens = [Int32](repeating: -1, count: 256)
        for (index, token) in vocabulary.tokens.enumerated() {
            let id = Int32(truncatingIfNeeded: index)
            switch kinds[index] {
            case .normal: try append(spaced(token), indexed: true, to: &symbols)
            case .userDefined: try append(spaced(token), indexed: false, to: &symbols)
            case .byte:
                guard let byte = byte(spelt: token) else { throw .malformedByteToken(id: id, text: token) }
                symbols.append([byte], indexed: false)
                if byteTokens[Int(byte)] < 0 { byteTokens[Int(byte)] = id }
            case .unknown, .control, .unused: symbols.append([], indexed: false)
            }
        }
        var unknownCharacter: Int32?
        for byte in UInt8.min...UInt8.max where byteTokens[Int(byte)] < 0 {
            guard let unknown = vocabulary.unknown else { throw .missingByte(byte) }
            byteTokens[Int(byte)] = unknown
            unknownCharacter = unknown
        }
        let tokenCount = symbols.count
        let neighbours = addCharacters(of: kinds, to: &symbols)
        var lexicon = Lexicon(
            symbols: symbols, merges: merges(ranks(vocabulary.scores), kinds, symbols),
            scanner: PieceScanner(neighbours: neighbours), symbolOfByte: byteTokens)
        lexicon.tokenCount = tokenCount
        lexicon.splitsIntoCharacters = true
        lexicon.unknownCharacter = unknownCharacter
        for id in tokenCount..<symbols.count {
            var spelling: [Int32] = []
            let character = symbols.range(of: Int32(truncatingIfNeeded: id))
            lexicon.spelling(of: character, in: symbols.storage.span, into: &spelling)
            lexicon.spellings.append(spelling)
        }
        return lexicon
    }

    /// Token texts have U+2581 for space.
    ///
    /// Putting the space back here, rather than U+2581 into the text, leaves a text's own U+2581 to the byte fallback,
    /// so that it comes back as what it was.
    private static func spaced(_ token: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for scalar in token.unicodeScalars {
            if scalar == "\u{2581}" { bytes.append(UInt8(ascii: " ")) } else { bytes.append(contentsOf: scalar.utf8) }
        }
        return bytes
    }

    /// The byte of `<0xHH>`.
    static func byte(spelt token: String) -> UInt8? {
        let text = Array(token.utf8)
        guard text.count == 6, text.starts(with: "<0x".utf8), text[5] == UInt8(ascii: ">"), text[3] != UInt8(ascii: "+")
        else {
            return nil
        }
        return UInt8(String(decoding: text[3..<5], as: UTF8.self), radix: 16)
    }

    /// Dense ranks by falling score; equal scores share one, so that the leftmost merges first.
    private static func ranks(_ scores: [Float]) -> [UInt32] {
        let scores = scores.map { $0.isNaN ? -.infinity : $0 }
        var ranks = [UInt32](repeating: 0, count: scores.count)
        var rank: UInt32 = 0
        var previous: Float?
        for index in scores.indices.sorted(by: { scores[$0] > scores[$1] }) {
            if let previous, scores[index] < previous { rank += 1 }
            previous = scores[index]
            ranks[index] = rank
        }
        return ranks
    }

    /// Makes every character of every token a symbol, and notes which bytes are neighbours in a token.
    private static func addCharacters(of kinds: [Vocabulary.Kind], to symbols: inout SymbolTable) -> [Bool] {
        var neighbours = [Bool](repeating: false, count: 1 << 16)
        for (index, kind) in kinds.enumerated() where kind == .normal {
            let token = Array(symbols.storage[symbols.range(of: Int32(truncatingIfNeeded: index))])
            for (left, right) in zip(token, token.dropFirst()) { neighbours[Int(left) << 8 | Int(right)] = true }
            var start = 0
            while start < token.count {
                let end = characterEnd(start, token)
                if symbols.find(token.span, start..<end) < 0 {
                    symbols.append(Array(token[start..<end]), indexed: true)
                }
                start = end
            }
        }
        return neighbours
    }

    private static func merges(
        _ ranks: [UInt32], _ kinds: [Vocabulary.Kind], _ symbols: SymbolTable
    ) -> MergeTable {
        var table = MergeTable(capacity: ranks.count * 2)
        for (index, kind) in kinds.enumerated() where kind == .normal {
            let id = Int32(truncatingIfNeeded: index)
            let token = Array(symbols.storage[symbols.range(of: id)])
            // Of two tokens spelt alike only the first is ever made.
            guard symbols.find(token.span, 0..<token.count) == id else { continue }
            var split = characterEnd(0, token)
            while split < token.count {
                let left = symbols.find(token.span, 0..<split)
                let right = left < 0 ? -1 : symbols.find(token.span, split..<token.count)
                if right >= 0 { table.insert(left: left, right: right, Merge(rank: ranks[index], result: id)) }
                split = characterEnd(split, token)
            }
        }
        return table
    }

    private static func characterEnd(_ start: Int, _ bytes: [UInt8]) -> Int {
        var end = start + 1
        while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
        return end
    }
}
