// A vocabulary compiled for encoding: symbols, merges, and where pieces end. Both algorithms end up in this form.

/// What the encoder needs to know.
///
/// SentencePiece's algorithm is byte pair encoding whose merges are all the ways of splitting each token in two, ranked
/// by falling score of the token; so one encoder serves both, and they differ in the first symbols only: bytes, or
/// characters with bytes as a fallback.
struct Lexicon: Sendable {
    /// Longest token in bytes.
    ///
    /// The longest ones in use have 256; the bound keeps a hostile vocabulary from taking quadratic time.
    static let longestTokenBytes = 1024

    /// Bytes of all tokens by id (empty for control tokens), then characters that occur only inside tokens.
    var symbols: SymbolTable
    var merges: MergeTable
    var scanner: PieceScanner
    /// Symbol of each byte: byte-level BPE's first symbols, SentencePiece's fallback.
    var symbolOfByte: [Int32]
    /// First symbols are characters (SentencePiece), not bytes.
    var splitsIntoCharacters = false
    /// SentencePiece without a token for every byte: a character that cannot be spelt becomes this one token.
    var unknownCharacter: Int32?
    /// A piece that is a token needs no merging (Llama 3 is defined so).
    var takesWholePieces = false
    /// Symbols from here on are characters, not tokens; `spellings` has their tokens.
    var tokenCount: Int
    var spellings: [[Int32]] = []

    /// Compiles a vocabulary whose kinds have been filled in.
    init(_ vocabulary: Vocabulary, kinds: [Vocabulary.Kind]) throws(TokenizerError) {
        switch vocabulary.algorithm {
        case .byteLevelBPE(let preTokenizer):
            self = try Self.byteLevel(vocabulary, kinds, preTokenizer)
        case .sentencePiece:
            self = try Self.sentencePiece(vocabulary, kinds)
        }
    }

    /// First symbols of a character that is no symbol itself.
    func spelling(of character: Range<Int>, in text: borrowing Span<UInt8>, into output: inout [Int32]) {
        let start = output.count
        for index in character {
            let symbol = symbolOfByte[Int(text[index])]
            if symbol == unknownCharacter {
                output.removeLast(output.count - start)
                return output.append(symbol)
            }
            output.append(symbol)
        }
    }

    init(symbols: SymbolTable, merges: MergeTable, scanner: PieceScanner, symbolOfByte: [Int32]) {
        self.symbols = symbols
        self.merges = merges
        self.scanner = scanner
        self.symbolOfByte = symbolOfByte
        tokenCount = symbols.count
    }

    /// Appends a token to the symbols, refusing one that is too long.
    static func append(_ bytes: [UInt8], indexed: Bool, to symbols: inout SymbolTable) throws(TokenizerError) {
        guard bytes.count <= longestTokenBytes else {
            throw .tokenTooLong(
                id: Int32(truncatingIfNeeded: symbols.count), bytes: bytes.count, maximum: longestTokenBytes)
        }
        symbols.append(bytes, indexed: indexed)
    }
}
