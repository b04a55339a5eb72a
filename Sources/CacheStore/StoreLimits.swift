// How much space a store may take, and what it may do to stay within it.

import API
import LMDB

/// The bounds of a store; a new store has none but its map.
public struct StoreLimits: Equatable, Sendable {
    /// The most that documents may take, records and manifests together; nil for as much as the map holds.
    public var quotaBytes: Int?
    /// How much of it one user may hold; what is above is reclaimed of that user's documents only.
    public var userShare: UserShare
    /// Disk space that is left to others: nothing is written that would take the file system below it.
    public var minimumFreeDiskBytes: Int
    /// The share of its first budget below which a document is not shrunk; 1 for never shrinking.
    public var shrinkFloor: Double
    /// Whether a store is compacted when it is opened and that pays (`Compaction.pays`).
    public var compactsAtStart: Bool
    /// How long it is remembered why a document is gone; 0 for not at all.
    public var tombstoneSeconds: Int

    /// States the bounds.
    public init(
        quotaBytes: Int? = nil, userShare: UserShare = .all, minimumFreeDiskBytes: Int = 0, shrinkFloor: Double = 0.25,
        compactsAtStart: Bool = true, tombstoneSeconds: Int = 7 * 86_400
    ) {
        (self.quotaBytes, self.userShare, self.minimumFreeDiskBytes) = (quotaBytes, userShare, minimumFreeDiskBytes)
        (self.shrinkFloor, self.compactsAtStart) = (shrinkFloor, compactsAtStart)
        self.tombstoneSeconds = tombstoneSeconds
    }

    /// What one of so many users may hold; nil without a quota.
    func shareBytes(users: Int) -> Int? {
        guard let quotaBytes else { return nil }
        return switch userShare {
        case .all: quotaBytes
        case .equal: quotaBytes / (users + 1)
        case .bytes(let bytes): min(bytes, quotaBytes)
        case .fraction(let share): Int(Double(quotaBytes) * min(max(share, 0), 1))
        }
    }

    /// The smallest budget that a document of a first budget is shrunk to.
    func floor(ofBudget budget: Int) -> Int {
        guard shrinkFloor.isFinite, shrinkFloor < 1 else { return budget }
        return max(1, Int((Double(budget) * max(shrinkFloor, 0)).rounded(.up)))
    }
}

/// What was done to a document for the sake of space: one value for each act, to be logged and counted.
public enum Reclaim: Equatable, Sendable, CustomStringConvertible {
    /// Its time to live was over.
    case expired(DocumentKey, bytes: Int)
    /// Its last entries in rank order were dropped; it answers as if written with the smaller budget.
    case shrunk(DocumentKey, fromBudget: Int, toBudget: Int, bytes: Int)
    /// It had been used least recently, and a document of its owner needed the room.
    case deleted(DocumentKey, bytes: Int)

    /// The document.
    public var key: DocumentKey {
        switch self {
        case .expired(let key, _), .shrunk(let key, _, _, _), .deleted(let key, _): key
        }
    }

    /// The bytes that were freed.
    public var bytes: Int {
        switch self {
        case .expired(_, let bytes), .shrunk(_, _, _, let bytes), .deleted(_, let bytes): bytes
        }
    }

    /// One sentence for a log.
    public var description: String {
        switch self {
        case .expired(let key, let bytes): "\(key) expired: \(bytes) bytes freed"
        case .shrunk(let key, let from, let to, let bytes):
            "\(key) was shrunk from a budget of \(from) to \(to): \(bytes) bytes freed"
        case .deleted(let key, let bytes): "\(key), least recently used, was deleted: \(bytes) bytes freed"
        }
    }
}

/// What a document keeps under a smaller budget: the first entries of every head.
public struct Truncation: Equatable, Sendable {
    /// The budget that is met: the one asked for, or the smallest that the document can have when that is more.
    public var budget: Int
    /// Entries kept, `[layers][kvHeads]`, none above what the document holds.
    public var counts: [[Int]]
    /// Entries per layer and KV head that each layer is given, `[layers]` or empty.
    public var layerBudgets: [Double]
    /// Whether the preferences were unusable and the budgets uniform.
    public var preferenceFellBack: Bool

    /// States what is kept.
    public init(budget: Int, counts: [[Int]], layerBudgets: [Double] = [], preferenceFellBack: Bool = false) {
        (self.budget, self.counts, self.layerBudgets) = (budget, counts, layerBudgets)
        self.preferenceFellBack = preferenceFellBack
    }
}

/// Says what a document keeps under a smaller budget, or nil when it cannot be made smaller.
///
/// The store knows ranks and counts only; how a budget is shared is its user's business.
public typealias Truncating = @Sendable (OpenDocument, _ budget: Int) -> Truncation?

/// What became of a document that was shrunk; part of its manifest.
public struct Shrinkage: Codable, Equatable, Sendable {
    /// Why a document was shrunk.
    public enum Reason: String, Codable, Sendable {
        /// A document of its owner needed the room.
        case quota
        /// Its owner asked for it.
        case request
    }

    /// The budget that the document was written with.
    public var originalBudget: Int
    /// Unix time of the last time it was shrunk.
    public var seconds: Int
    /// Whether records still hold dropped entries, whose space is freed next.
    public var isTrimming: Bool
    /// Why it was shrunk last; nil where an older version did not say.
    public var reason: Reason?

    /// States what became of it.
    public init(originalBudget: Int, seconds: Int, isTrimming: Bool, reason: Reason? = nil) {
        (self.originalBudget, self.seconds, self.isTrimming) = (originalBudget, seconds, isTrimming)
        self.reason = reason
    }
}

extension CacheShape {
    /// An upper estimate of what a document of an average budget takes in a store, before it is read.
    ///
    /// Every record's pages and padding are counted; `storedBytes` of the manifest says later what it was.
    public func estimatedBytes(budget: Int, textBytes: Int, pageBytes: Int = 4096) -> Int {
        func pages(_ bytes: Int) -> Int { (bytes / pageBytes + 1) * pageBytes }
        let entries = min(max(budget, 0), tokens)
        let parts = entries / RecordFormat.maximumEntries + 1
        // A page, its header and the gaps between parts come on top of every record's entries.
        let head = 8 * entries + keyBytes(entries: entries) + valueBytes(entries: entries) + parts * (pageBytes + 512)
        return layers * kvHeads * head + pages(textBytes) + pages(4 * tokens)
            + pages(layers * (kvHeads * 8 + 64) + 8192)
    }
}
