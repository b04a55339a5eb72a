// Where the tokens of a document stand in the text they were made of.

/// Where tokens stand in the text they were made of.
package enum TokenPlaces {
    /// The first byte of every token and the end of the text: `pieces.count + 1` numbers that never fall.
    ///
    /// A token may hold something of the template before or behind the text, or a space that encoding puts first; of
    /// such a token only what is in the text counts, and of one that is nowhere nothing.
    ///
    /// - Parameters:
    ///   - pieces: the bytes of each token.
    ///   - prefixTokens: how many of them stand before the text.
    package static func offsets(of pieces: [[UInt8]], in text: [UInt8], prefixTokens: Int) -> [Int] {
        // A template may leave out white space that the text begins with.
        var place = 0
        if pieces.count > prefixTokens, let first = pieces[prefixTokens...].first(where: { !$0.isEmpty }) {
            let start = text.firstIndex { !isSpace($0) } ?? 0
            if !starts(text[...], with: first[...]), starts(text[start...], with: first[...]) { place = start }
        }
        var offsets: [Int] = []
        offsets.reserveCapacity(pieces.count + 1)
        for (index, piece) in pieces.enumerated() {
            offsets.append(place)
            guard index >= prefixTokens, place < text.count else { continue }
            place += shared(piece, text[place...])
        }
        return offsets + [text.count]
    }

    /// How many of the rest's first bytes a token covers.
    private static func shared(_ piece: [UInt8], _ rest: ArraySlice<UInt8>) -> Int {
        for skipped in piece.indices where starts(rest, with: piece[skipped...]) { return piece.count - skipped }
        // The text ends inside the token.
        return piece.count > rest.count && starts(piece[...], with: rest) ? rest.count : 0
    }

    private static func starts(_ bytes: ArraySlice<UInt8>, with other: ArraySlice<UInt8>) -> Bool {
        bytes.count >= other.count && bytes.prefix(other.count) == other
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
