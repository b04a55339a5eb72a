// The order in which a layer's entries would be kept: always-kept ones first, then by falling indicator.

/// Entries of one (layer, KV head), best first: evicting is truncating.
public struct RankedEntries: Sendable, Equatable {
    /// Document positions: protected start, window, then by falling indicator, ties to the lower position.
    public private(set) var positions: [UInt32]
    /// The indicator of each entry, never rising; +∞ for those that are always kept (Ω in the paper).
    public private(set) var indicators: [Float]

    /// How many entries there are.
    public var count: Int { positions.count }

    /// Restates entries that were ranked before, as a store keeps them.
    public init(positions: [UInt32], indicators: [Float]) {
        precondition(positions.count == indicators.count, "every entry has a position and an indicator")
        self.positions = positions
        self.indicators = indicators
    }

    package init(_ alwaysKept: AlwaysKept, room: Int) {
        positions = []
        indicators = []
        positions.reserveCapacity(alwaysKept.count + room)
        indicators.reserveCapacity(alwaysKept.count + room)
        for position in alwaysKept.start { append(position, .infinity) }
        for position in alwaysKept.window { append(position, .infinity) }
    }

    package mutating func append(_ position: Int, _ indicator: Float) {
        positions.append(UInt32(truncatingIfNeeded: position))
        indicators.append(indicator)
    }

    /// Keeps the best `count`, and gives the memory of the others back.
    package mutating func truncate(to count: Int) {
        guard count < positions.count else { return }
        positions = Array(positions.prefix(count))
        indicators = Array(indicators.prefix(count))
    }
}

/// The ranking of one layer: per head, and across heads where they compete.
package struct RankedLayer: Sendable, Equatable {
    package private(set) var heads: [RankedEntries]
    /// Evictable entries kept, per head on average.
    package private(set) var kept: Int
    /// Entries at the start of each head's ranking that no budget evicts.
    package let alwaysKept: Int
    /// Where heads compete: whose each entry is, best first over all heads.
    private var order: [UInt16]?

    /// Ranks a layer's entries and keeps `kept` evictable ones per head (on average, if heads compete).
    ///
    /// - Parameter indicator: `[kvHeads, tokens]`, its columns the document's first tokens; or empty (all equal).
    package init(
        indicator: [Float], kvHeads: Int, alwaysKept: AlwaysKept, kept: Int, shares: Method.HeadShares
    ) {
        let columns = indicator.count / kvHeads
        func score(_ head: Int, _ position: Int) -> Float {
            indicator.isEmpty ? 0 : indicator[head * columns + position]
        }
        let evictable = alwaysKept.evictable
        var rooms = [Int](repeating: kept, count: kvHeads)
        if case .compete(let safeguard) = shares {
            let all = evictable.flatMap { position in
                (0..<kvHeads).map { RankKey(indicator: score($0, position), index: position * kvHeads + $0) }
            }
            let safe = min(evictable.count, HeadRanking.safe(safeguard, of: kept))
            var won = [Int](repeating: 0, count: kvHeads)
            for key in RankKey.best(kept * kvHeads, of: all) { won[key.index % kvHeads] += 1 }
            rooms = won.map { max($0, safe) }
        }
        heads = rooms.enumerated().map { head, room in
            let candidates = evictable.map { RankKey(indicator: score(head, $0), index: $0) }
            var entries = RankedEntries(alwaysKept, room: room)
            for key in RankKey.best(room, of: candidates) { entries.append(key.index, score(head, key.index)) }
            return entries
        }
        self.alwaysKept = alwaysKept.count
        self.kept = kept
        compete(shares)
    }

    /// Takes up a ranking that was kept; the order across heads is found again from the indicators.
    package init(heads: [RankedEntries], alwaysKept: Int, shares: Method.HeadShares) {
        self.heads = heads
        self.alwaysKept = alwaysKept
        kept = heads.reduce(0) { $0 + $1.count - alwaysKept } / heads.count
        compete(shares)
    }

    private mutating func compete(_ shares: Method.HeadShares) {
        guard case .compete(let safeguard) = shares else { return }
        let keys = heads.enumerated().map { head, entries in
            (alwaysKept..<entries.count).map { rank in
                RankKey(
                    indicator: entries.indicators[rank], index: Int(entries.positions[rank]) * heads.count + head)
            }
        }
        let order = HeadRanking.order(keys, kept: kept, safeguard: safeguard)
        var counts = [Int](repeating: alwaysKept, count: heads.count)
        for head in order { counts[Int(head)] += 1 }
        self.order = order
        truncate(toCounts: counts)
    }

    /// Evicts down to a smaller budget; a larger one changes nothing.
    package mutating func truncate(to kept: Int) {
        guard kept < self.kept else { return }
        let evicted = self.kept - kept
        self.kept = kept
        var counts = heads.map { $0.count - evicted }
        if let order {
            let remaining = order.count - evicted * heads.count
            counts = heads.map(\.count)
            for head in order[remaining...] { counts[Int(head)] -= 1 }
            self.order = Array(order[..<remaining])
        }
        truncate(toCounts: counts)
    }

    /// Evicts each head down to so many entries, always-kept ones included.
    package mutating func truncate(toCounts counts: [Int]) {
        for head in heads.indices { heads[head].truncate(to: counts[head]) }
    }
}

/// An entry's place in the order as one number: falling indicator, then rising index.
package struct RankKey: Comparable, Sendable {
    private let bits: UInt64

    /// - Parameter index: below 2³²; what breaks ties.
    package init(indicator: Float, index: Int) {
        // IEEE bits order like the numbers once negative ones are flipped; not-a-number ranks last, −0 equals 0.
        let pattern = (indicator + 0).bitPattern
        let rising = indicator.isNaN ? 0 : pattern >> 31 == 0 ? pattern | 1 << 31 : ~pattern
        bits = UInt64(~rising) << 32 | UInt64(index)
    }

    package var index: Int { Int(bits & 0xffff_ffff) }

    package static func < (one: RankKey, other: RankKey) -> Bool { one.bits < other.bits }

    /// The first `count` keys in order, without sorting the others: a histogram of the leading bits finds the cut.
    package static func best(_ count: Int, of keys: [RankKey]) -> ArraySlice<RankKey> {
        guard count < keys.count else { return keys.sorted()[...] }
        guard count > 0 else { return [] }
        var histogram = [Int](repeating: 0, count: 1 << 16)
        for key in keys { histogram[Int(key.bits >> 48)] += 1 }
        var cut = 0
        var covered = histogram[0]
        while covered < count {
            cut += 1
            covered += histogram[cut]
        }
        return keys.filter { $0.bits >> 48 <= cut }.sorted().prefix(count)
    }
}
