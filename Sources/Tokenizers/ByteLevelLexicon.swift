// Compiles a byte-level BPE vocabulary (GGUF model `gpt2`).

extension Lexicon {
    static func byteLevel(
        _ vocabulary: Vocabulary, _ kinds: [Vocabulary.Kind], _ preTokenizer: Vocabulary.PreTokenizer
    ) throws(TokenizerError) -> Lexicon {
        var symbols = SymbolTable(capacity: vocabulary.tokens.count)
        var bytes: [UInt8] = []
        for (token, kind) in zip(vocabulary.tokens, kinds) {
            bytes.removeAll(keepingCapacity: true)
            switch kind {
            case .normal, .byte:
                let isSpelt = ByteAlphabet.shared.append(token[...].unicodeScalars, to: &bytes)
                // A token outside the alphabet can come from the model, but never from a text.
                try append(isSpelt ? bytes : Array(token.utf8), indexed: isSpelt, to: &symbols)
            case .userDefined: try append(Array(token.utf8), indexed: false, to: &symbols)
            case .unknown, .control, .unused: symbols.append([], indexed: false)
            }
        }
        var lexicon = Lexicon(
            symbols: symbols, merges: try merges(vocabulary, symbols), scanner: PieceScanner(preTokenizer),
            symbolOfByte: try byteSymbols(symbols, unknown: vocabulary.unknown))
        lexicon.takesWholePieces = preTokenizer.takesWholePieces
        return lexicon
    }

    private static func merges(
        _ vocabulary: Vocabulary, _ symbols: SymbolTable
    ) throws(TokenizerError) -> MergeTable {
        var table = MergeTable(capacity: vocabulary.merges.count)
        var tokens = Set<String>()
        var bytes: [UInt8] = []
        for (index, text) in vocabulary.merges.enumerated() {
            let scalars = text.unicodeScalars
            guard let space = scalars.dropFirst().firstIndex(of: " ") else {
                throw .malformedMerge(index: index, text: text)
            }
            bytes.removeAll(keepingCapacity: true)
            guard ByteAlphabet.shared.append(text[..<space].unicodeScalars, to: &bytes) else {
                throw .malformedMerge(index: index, text: text)
            }
            let leftBytes = bytes.count
            guard ByteAlphabet.shared.append(text[scalars.index(after: space)...].unicodeScalars, to: &bytes),
                bytes.count > leftBytes
            else { throw .malformedMerge(index: index, text: text) }
            let left = symbols.find(bytes.span, 0..<leftBytes)
            let right = symbols.find(bytes.span, leftBytes..<bytes.count)
            let result = symbols.find(bytes.span, 0..<bytes.count)
            guard left >= 0, right >= 0, result >= 0 else {
                // A merge that leads to a special token is real, but must not be applied to text.
                if tokens.isEmpty { tokens = Set(vocabulary.tokens) }
                let (left, right) = (String(text[..<space]), String(text[scalars.index(after: space)...]))
                guard tokens.isSuperset(of: [left, right, left + right]) else {
                    throw .mergeOfUnknownToken(index: index, text: text)
                }
                continue
            }
            table.insert(left: left, right: right, Merge(rank: UInt32(truncatingIfNeeded: index), result: result))
        }
        return table
    }

    /// One symbol for each byte; bytes that valid UTF-8 never has may lack one.
    private static func byteSymbols(_ symbols: SymbolTable, unknown: Int32?) throws(TokenizerError) -> [Int32] {
        var symbolOfByte: [Int32] = []
        for byte in UInt8.min...UInt8.max {
            let bytes = [byte]
            let symbol = symbols.find(bytes.span, 0..<1)
            let occurs = byte < 0xC0 || (0xC2...0xF4).contains(byte)
            guard let symbol = symbol >= 0 ? symbol : occurs ? unknown : 0 else { throw .missingByte(byte) }
            symbolOfByte.append(symbol)
        }
        return symbolOfByte
    }
}
