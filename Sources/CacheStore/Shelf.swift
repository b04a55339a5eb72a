// What is stored, in memory: who holds how much, and who used what last. Every write keeps it, so that room is found
// without a walk over the store.

/// The index of a store's documents.
struct Shelf {
    /// What is known of a document without its manifest.
    struct Entry: Equatable, Sendable {
        var generation: UInt64
        /// Average entries kept for each layer and KV head.
        var budget: Int
        /// What it takes of the quota.
        var bytes: Int
        /// What shrinking it to the floor would give back; 0 for nothing worth it.
        var shrinkableBytes: Int
        var lastUsedSeconds: Int
        var ttlSeconds: Int?
        var isPinned: Bool
        /// Whether its records still hold entries that its manifest no longer counts.
        var isTrimming: Bool
        /// Whether its manifest cannot be read, so that nothing may be decided about it.
        var isDamaged = false

        func hasExpired(by now: Int) -> Bool { expiresSeconds.map { $0 <= now } ?? false }

        /// As `Manifest.expiresSeconds`.
        var expiresSeconds: Int? {
            guard !isPinned, let ttlSeconds else { return nil }
            let (time, overflow) = lastUsedSeconds.addingReportingOverflow(ttlSeconds)
            return overflow ? nil : time
        }
    }

    /// What a committed transaction did.
    enum Change: Sendable {
        case placed(DocumentKey, Entry)
        case removed(DocumentKey)
    }

    /// One user's documents.
    struct Holding {
        var documents = 0
        var bytes = 0
        var pinnedBytes = 0
        /// What may not be reclaimed: what is pinned or damaged.
        var fixedBytes = 0
        fileprivate var reclaimable = RecencyList()
        fileprivate var shrinkable = RecencyList()
    }

    private(set) var entries: [DocumentKey: Entry] = [:]
    private(set) var holdings: [UInt32: Holding] = [:]
    private(set) var bytes = 0
    private(set) var trimming: Set<DocumentKey> = []
    /// No document expires before this.
    private var nextExpirySeconds = Int.max

    /// The documents that a store holds when it is opened.
    init(_ found: [(key: DocumentKey, entry: Entry)] = []) {
        for (key, entry) in found.sorted(by: { Self.order($0.entry) < Self.order($1.entry) }) { place(key, entry) }
    }

    private static func order(_ entry: Entry) -> (Int, UInt64) { (entry.lastUsedSeconds, entry.generation) }

    mutating func apply(_ change: Change) {
        switch change {
        case .placed(let key, let entry): place(key, entry)
        case .removed(let key): remove(key)
        }
    }

    // MARK: What was used last

    /// Notes that a document was used.
    mutating func use(_ key: DocumentKey, seconds: Int) {
        guard var entry = entries[key] else { return }
        entry.lastUsedSeconds = max(entry.lastUsedSeconds, seconds)
        entries[key] = entry
        arrange(key, entry)
    }

    /// Notes that nothing is to be had from a document by shrinking it.
    mutating func giveUpShrinking(_ key: DocumentKey) {
        entries[key]?.shrinkableBytes = 0
        holdings[key.owner]?.shrinkable.remove(key)
    }

    /// A user's documents that may be reclaimed, least recently used first, until they come to some bytes.
    func reclaimable(of owner: UInt32, but excluded: DocumentKey?, bytes: Int) -> [(key: DocumentKey, entry: Entry)] {
        prefix(of: holdings[owner]?.reclaimable, but: excluded, until: bytes, by: \.bytes)
    }

    /// The same of those that may be shrunk.
    func shrinkable(of owner: UInt32, but excluded: DocumentKey?, bytes: Int) -> [(key: DocumentKey, entry: Entry)] {
        prefix(of: holdings[owner]?.shrinkable, but: excluded, until: bytes, by: \.shrinkableBytes)
    }

    private func prefix(
        of list: RecencyList?, but excluded: DocumentKey?, until bytes: Int, by size: KeyPath<Entry, Int>
    ) -> [(key: DocumentKey, entry: Entry)] {
        guard let list else { return [] }
        var (found, sum, next): ([(key: DocumentKey, entry: Entry)], Int, DocumentKey?) = ([], 0, list.first)
        while sum < bytes, let key = next {
            next = list.next(after: key)
            guard key != excluded, let entry = entries[key] else { continue }
            found.append((key, entry))
            sum += entry[keyPath: size]
        }
        return found
    }

    /// The documents that have expired by a Unix time.
    mutating func expired(by now: Int) -> [DocumentKey] {
        guard nextExpirySeconds <= now else { return [] }
        var (found, next): ([DocumentKey], Int) = ([], .max)
        for (key, entry) in entries {
            guard let expires = entry.expiresSeconds, !entry.isDamaged else { continue }
            if expires <= now { found.append(key) }
            // One that cannot be deleted now is looked at again.
            next = min(next, max(expires, now + 1))
        }
        nextExpirySeconds = next
        return found
    }

    // MARK: Who holds how much

    /// The users who have documents, this one counted in.
    func users(with owner: UInt32) -> Int { holdings.count + (holdings[owner] == nil ? 1 : 0) }

    /// What a user's documents would give back if all went that may.
    func reclaimableBytes(of owner: UInt32) -> Int { holdings[owner].map { $0.bytes - $0.fixedBytes } ?? 0 }

    private mutating func place(_ key: DocumentKey, _ entry: Entry) {
        let old = entries.updateValue(entry, forKey: key)
        count(key, old, by: -1)
        count(key, entry, by: 1)
        if entry.isTrimming { trimming.insert(key) } else { trimming.remove(key) }
        if let expires = entry.expiresSeconds { nextExpirySeconds = min(nextExpirySeconds, expires) }
        // What only notes a use that was noted before keeps its place.
        let isSame = old.map { Self.order($0) == Self.order(entry) && $0.isPinned == entry.isPinned } ?? false
        if !isSame || old?.shrinkableBytes != entry.shrinkableBytes { arrange(key, entry) }
    }

    private mutating func remove(_ key: DocumentKey) {
        guard let old = entries.removeValue(forKey: key) else { return }
        count(key, old, by: -1)
        trimming.remove(key)
        holdings[key.owner]?.reclaimable.remove(key)
        holdings[key.owner]?.shrinkable.remove(key)
        if holdings[key.owner]?.documents == 0 { holdings[key.owner] = nil }
    }

    private mutating func count(_ key: DocumentKey, _ entry: Entry?, by sign: Int) {
        guard let entry else { return }
        bytes += sign * entry.bytes
        holdings[key.owner, default: Holding()].documents += sign
        holdings[key.owner]?.bytes += sign * entry.bytes
        if entry.isPinned { holdings[key.owner]?.pinnedBytes += sign * entry.bytes }
        if entry.isPinned || entry.isDamaged { holdings[key.owner]?.fixedBytes += sign * entry.bytes }
    }

    private mutating func arrange(_ key: DocumentKey, _ entry: Entry) {
        let isFree = !entry.isPinned && !entry.isDamaged
        if isFree {
            holdings[key.owner]?.reclaimable.use(key)
        } else {
            holdings[key.owner]?.reclaimable.remove(key)
        }
        if isFree, entry.shrinkableBytes > 0 {
            holdings[key.owner]?.shrinkable.use(key)
        } else {
            holdings[key.owner]?.shrinkable.remove(key)
        }
    }
}
