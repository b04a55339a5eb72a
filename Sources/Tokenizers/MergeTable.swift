// Which two neighbouring symbols merge, into what, and in which order.

/// A merge's rank (smaller goes first) and the symbol it makes, packed so that comparing compares ranks.
struct Merge: Sendable, Equatable {
    let packed: UInt64

    static let none = Merge(packed: .max)

    init(packed: UInt64) { self.packed = packed }

    init(rank: UInt32, result: Int32) { packed = UInt64(rank) << 32 | UInt64(UInt32(bitPattern: result)) }

    var rank: UInt32 { UInt32(truncatingIfNeeded: packed >> 32) }
    var result: Int32 { Int32(truncatingIfNeeded: packed) }
}

/// Hash table from (left symbol, right symbol) to their merge.
struct MergeTable: Sendable {
    /// Pairs of words: key, packed merge.
    ///
    /// Open addressing, at most half full; a free slot's key is `.max` (symbols are never negative, so no pair has that
    /// key).
    private var slots: [UInt64]
    private var mask: Int
    private var count = 0

    /// Creates a table with room for `capacity` merges before it grows.
    init(capacity: Int) {
        var size = 16
        while size < capacity * 2 { size *= 2 }
        slots = [UInt64](repeating: .max, count: size * 2)
        mask = size - 1
    }

    /// Adds a merge; of two for one pair the better-ranked stays.
    mutating func insert(left: Int32, right: Int32, _ merge: Merge) {
        if (count + 1) * 4 > slots.count { grow() }
        let key = Self.key(left, right)
        let slot = self.slot(for: key)
        if slots[slot] == key {
            slots[slot + 1] = min(slots[slot + 1], merge.packed)
        } else {
            slots[slot] = key
            slots[slot + 1] = merge.packed
            count += 1
        }
    }

    /// The merge of two neighbours, or `.none`.
    func merge(left: Int32, right: Int32) -> Merge {
        let key = Self.key(left, right)
        let slot = self.slot(for: key)
        return slots[slot] == key ? Merge(packed: slots[slot + 1]) : .none
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    private func slot(for key: UInt64) -> Int {
        var index = Int(truncatingIfNeeded: (key ^ (key >> 29)) &* 0x9E37_79B9_7F4A_7C15 >> 32) & mask
        while true {
            let stored = slots[index &* 2]
            if stored == key || stored == .max { return index &* 2 }
            index = (index &+ 1) & mask
        }
    }

    private mutating func grow() {
        let old = slots
        slots = [UInt64](repeating: .max, count: old.count * 2)
        mask = slots.count / 2 - 1
        for index in stride(from: 0, to: old.count, by: 2) where old[index] != .max {
            let slot = self.slot(for: old[index])
            slots[slot] = old[index]
            slots[slot + 1] = old[index + 1]
        }
    }
}
