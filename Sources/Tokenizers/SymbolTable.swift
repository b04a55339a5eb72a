// The byte strings of all symbols, stored end to end, with an index from bytes to id.

/// Symbols (tokens, and characters that only occur inside tokens) as bytes, by id and by content.
///
/// Compares bytes, never `String`s: Swift's strings are equal under canonical equivalence, and tokens are not.
struct SymbolTable: Sendable {
    private var bytes: [UInt8] = []
    private var ends: [Int] = []
    /// Open addressing with linear probing; -1 is free.
    ///
    /// At most half full.
    private var slots: [Int32]
    private var mask: Int
    /// Bytes of the longest indexed symbol: longer strings need no look-up.
    private(set) var longestIndexedBytes = 0
    private var indexed = 0

    /// Creates a table with room for `capacity` indexed symbols before it grows.
    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [Int32](repeating: -1, count: size)
        mask = size - 1
    }

    var count: Int { ends.count }

    /// The bytes of a symbol.
    func range(of id: Int32) -> Range<Int> {
        let id = Int(id)
        return (id == 0 ? 0 : ends[id - 1])..<ends[id]
    }

    /// All symbols' bytes; `range(of:)` says where each lies.
    var storage: [UInt8] { bytes }

    /// Adds a symbol under the next id; only an indexed one is found by its bytes, and of equal ones the first.
    @discardableResult
    mutating func append(_ symbol: [UInt8], indexed isIndexed: Bool) -> Int32 {
        let id = Int32(truncatingIfNeeded: ends.count)
        bytes.append(contentsOf: symbol)
        ends.append(bytes.count)
        guard isIndexed, !symbol.isEmpty, find(symbol.span, 0..<symbol.count) < 0 else { return id }
        if (indexed + 1) * 2 > slots.count { grow() }
        insert(id)
        indexed += 1
        longestIndexedBytes = max(longestIndexedBytes, symbol.count)
        return id
    }

    /// The symbol whose bytes are `text[range]`, or -1.
    func find(_ text: borrowing Span<UInt8>, _ range: Range<Int>) -> Int32 {
        guard range.count <= longestIndexedBytes else { return -1 }
        var slot = hashSlot(PieceHash.of(text, range))
        while true {
            let id = slots[slot]
            if id < 0 { return -1 }
            let stored = self.range(of: id)
            if stored.count == range.count, matches(stored, text, range) { return id }
            slot = (slot + 1) & mask
        }
    }

    private func matches(_ stored: Range<Int>, _ text: borrowing Span<UInt8>, _ range: Range<Int>) -> Bool {
        for offset in 0..<range.count where bytes[stored.lowerBound + offset] != text[range.lowerBound + offset] {
            return false
        }
        return true
    }

    private func hashSlot(_ hash: UInt64) -> Int { Int(truncatingIfNeeded: hash >> 32) & mask }

    private mutating func insert(_ id: Int32) {
        var slot = hashSlot(PieceHash.of(bytes.span, range(of: id)))
        while slots[slot] >= 0 { slot = (slot + 1) & mask }
        slots[slot] = id
    }

    private mutating func grow() {
        let old = slots
        slots = [Int32](repeating: -1, count: old.count * 2)
        mask = slots.count - 1
        for id in old where id >= 0 { insert(id) }
    }
}

/// Hash of a short run of bytes: FNV-1a, finished by a multiplication so that the high half is well mixed.
enum PieceHash {
    static func of(_ text: borrowing Span<UInt8>, _ range: Range<Int>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in range { hash = (hash ^ UInt64(text[index])) &* 0x0000_0100_0000_01B3 }
        return (hash ^ (hash >> 29)) &* 0x9E37_79B9_7F4A_7C15
    }
}
