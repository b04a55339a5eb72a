// Encodes runs of text between special tokens: cuts each into pieces, looks those up, merges the new ones.

private import HeapModule

/// The state of one encoding: scratch space and the pieces met so far.
///
/// Not shared, so it needs no lock.
struct RunEncoder {
    /// Up to this many symbols the best merge is found by looking at all of them; beyond, by a heap, so that a hostile
    /// piece costs n log n instead of n².
    private static let longestScanSymbols = 48

    private let lexicon: Lexicon
    private var symbols: [Int32] = []
    /// Merge of each symbol with its right neighbour.
    private var merges: [Merge] = []

    init(_ lexicon: Lexicon) { self.lexicon = lexicon }

    /// Appends the ids of a run of `text`, valid UTF-8.
    ///
    /// - Parameter cache: what was met in other runs of this text, of which the ids are in this output.
    mutating func encode(
        _ run: Range<Int>, of text: borrowing Span<UInt8>, _ cache: inout PieceCache, into output: inout [Int32]
    ) {
        let characters = text.extracting(run)
        var start = run.lowerBound
        var cursor = PieceScanner.Cursor()
        while start < run.upperBound {
            let end = lexicon.scanner.end(from: start - run.lowerBound, in: characters, &cursor)
            let piece = start..<run.lowerBound + end
            let hash = PieceHash.of(text, piece)
            if let ids = cache.find(hash, piece, in: text) {
                for index in ids { output.append(output[index]) }
            } else {
                let first = output.count
                encode(piece: piece, of: text, into: &output)
                cache.insert(hash, piece, ids: first..<output.count)
            }
            start = piece.upperBound
        }
    }

    private mutating func encode(piece: Range<Int>, of text: borrowing Span<UInt8>, into output: inout [Int32]) {
        if lexicon.takesWholePieces {
            let symbol = lexicon.symbols.find(text, piece)
            if symbol >= 0 { return output.append(symbol) }
        }
        split(piece, of: text)
        if symbols.count > Self.longestScanSymbols { mergeByHeap() } else { mergeByScan() }
        for symbol in symbols {
            if symbol < lexicon.tokenCount {
                output.append(symbol)
            } else {
                output.append(contentsOf: lexicon.spellings[Int(symbol) - lexicon.tokenCount])
            }
        }
    }

    /// Fills `symbols` with the piece's bytes or characters.
    private mutating func split(_ piece: Range<Int>, of text: borrowing Span<UInt8>) {
        symbols.removeAll(keepingCapacity: true)
        guard lexicon.splitsIntoCharacters else {
            for index in piece { symbols.append(lexicon.symbolOfByte[Int(text[index])]) }
            return
        }
        var start = piece.lowerBound
        while start < piece.upperBound {
            var end = start + 1
            while end < piece.upperBound, text[end] & 0xC0 == 0x80 { end += 1 }
            let symbol = lexicon.symbols.find(text, start..<end)
            if symbol >= 0 {
                symbols.append(symbol)
            } else {
                lexicon.spelling(of: start..<end, in: text, into: &symbols)
            }
            start = end
        }
    }

    private mutating func findMerges() {
        merges.removeAll(keepingCapacity: true)
        for index in symbols.indices.dropLast() {
            merges.append(lexicon.merges.merge(left: symbols[index], right: symbols[index + 1]))
        }
        merges.append(.none)
    }

    private mutating func mergeByScan() {
        findMerges()
        while true {
            var best = 0
            for index in merges.indices where merges[index].rank < merges[best].rank { best = index }
            guard best < merges.count, merges[best] != .none else { return }
            symbols[best] = merges[best].result
            symbols.remove(at: best + 1)
            merges.remove(at: best)
            if best + 1 < symbols.count {
                merges[best] = lexicon.merges.merge(left: symbols[best], right: symbols[best + 1])
            }
            if best > 0 { merges[best - 1] = lexicon.merges.merge(left: symbols[best - 1], right: symbols[best]) }
        }
    }

    /// Symbols form a linked list; heap entries are rank and position, so equal ranks merge from the left, and an entry
    /// whose rank is no longer its position's is stale.
    private mutating func mergeByHeap() {
        findMerges()
        let count = symbols.count
        var next = Array(1...count)
        var previous = Array(-1..<count - 1)
        var entries: [UInt64] = []
        for position in merges.indices where merges[position] != .none { entries.append(entry(at: position)) }
        var heap = Heap(entries)
        while let top = heap.popMin() {
            let position = Int(top & 0xFFFF_FFFF)
            guard merges[position] != .none, merges[position].rank == UInt32(top >> 32) else { continue }
            let absorbed = next[position]
            symbols[position] = merges[position].result
            next[position] = next[absorbed]
            merges[absorbed] = .none
            symbols[absorbed] = -1
            if next[position] < count {
                previous[next[position]] = position
                merges[position] = lexicon.merges.merge(left: symbols[position], right: symbols[next[position]])
                if merges[position] != .none { heap.insert(entry(at: position)) }
            } else {
                merges[position] = .none
            }
            let before = previous[position]
            if before >= 0 {
                merges[before] = lexicon.merges.merge(left: symbols[before], right: symbols[position])
                if merges[before] != .none { heap.insert(entry(at: before)) }
            }
        }
        symbols.removeAll { $0 < 0 }
    }

    private func entry(at position: Int) -> UInt64 { UInt64(merges[position].rank) << 32 | UInt64(position) }
}

/// Pieces met earlier in the text, by content.
///
/// An entry points to where the text had the piece and the output has its ids, so nothing is copied; each slot has one
/// entry and a newer piece replaces it, so that memory is bounded and there is nothing to evict.
struct PieceCache {
    /// Slots of the cache (16 bytes each): the words of a long document, small enough for a second-level cache.
    static let maximumSlots = 1 << 15
    /// Longer pieces hardly occur twice.
    static let longestCachedBytes = 128

    private struct Slot {
        var hash: UInt32 = 0
        var textStart: UInt32 = 0
        var firstID: UInt32 = 0
        var bytes: UInt16 = 0
        var ids: UInt16 = 0
    }

    private var slots: [Slot]
    private let mask: Int

    /// Creates a cache for a text of this size; positions beyond 4 GiB are not cached.
    init(textBytes: Int) {
        var count = 16
        while count < Self.maximumSlots, count * 4 < textBytes { count *= 2 }
        slots = [Slot](repeating: Slot(), count: count)
        mask = count - 1
    }

    /// Where in the output the ids of this piece stand.
    func find(_ hash: UInt64, _ piece: Range<Int>, in text: borrowing Span<UInt8>) -> Range<Int>? {
        let slot = slots[Int(truncatingIfNeeded: hash >> 32) & mask]
        guard slot.hash == UInt32(truncatingIfNeeded: hash), Int(slot.bytes) == piece.count else { return nil }
        let start = Int(slot.textStart)
        for offset in 0..<piece.count where text[start + offset] != text[piece.lowerBound + offset] { return nil }
        return Int(slot.firstID)..<Int(slot.firstID) + Int(slot.ids)
    }

    mutating func insert(_ hash: UInt64, _ piece: Range<Int>, ids: Range<Int>) {
        guard piece.count <= Self.longestCachedBytes, piece.upperBound <= Int(UInt32.max),
            ids.upperBound <= Int(UInt32.max)
        else { return }
        slots[Int(truncatingIfNeeded: hash >> 32) & mask] = Slot(
            hash: UInt32(truncatingIfNeeded: hash), textStart: UInt32(truncatingIfNeeded: piece.lowerBound),
            firstID: UInt32(truncatingIfNeeded: ids.lowerBound), bytes: UInt16(truncatingIfNeeded: piece.count),
            ids: UInt16(truncatingIfNeeded: ids.count))
    }
}
