// Staying within the space that was given: a check before work begins, and room made while a document is written.

import Glibc
import LMDB
import Synchronization

extension DocumentStore {
    /// Pages that staging leaves alone, so that deleting still has the few it needs when the map is full.
    private static let reservedPages = 256

    /// Refuses a document that cannot be stored whatever is reclaimed, before work is wasted on it.
    ///
    /// - Parameter bytes: an upper estimate, such as `CacheShape.estimatedBytes`.
    /// - Throws: `.overQuota`, `.diskReserved` or `.full`, saying what is needed and what there is.
    public func checkRoom(bytes: Int, for key: DocumentKey) throws(StoreError) {
        let shortage = try shortage(bytes: bytes)
        guard shortage.bytes > 0 else { return }
        let reclaimable = try candidates(for: key).reduce(0) { $0 + $1.manifest.storedBytes }
        if reclaimable < shortage.bytes { throw shortage.error(reclaimable: reclaimable) }
    }

    /// Makes room for some bytes: expired documents go, then others are shrunk and deleted, least recently used first.
    ///
    /// Nothing is touched when all of it would not be enough. Documents that are being read give their pages back when
    /// their readers have finished.
    func makeRoom(bytes: Int, for key: DocumentKey?, acts: inout [Reclaim]) throws(StoreError) {
        guard try shortage(bytes: bytes).bytes > 0 else { return }
        collectLeftovers()
        acts += try reclaimExpired()
        let shortage = try shortage(bytes: bytes)
        guard shortage.bytes > 0 else { return }
        let candidates = try candidates(for: key)
        let reclaimable = candidates.reduce(0) { $0 + $1.manifest.storedBytes }
        if reclaimable < shortage.bytes { throw shortage.error(reclaimable: reclaimable) }
        for (candidate, manifest) in candidates where candidate != key {
            var budget = manifest.budget
            let floor = limits.floor(ofBudget: manifest.shrinkage?.originalBudget ?? budget)
            // Halving, so that a document is rewritten a few times at most, each time for as much as is left.
            while budget > floor, try self.shortage(bytes: bytes).bytes > 0 {
                let target = max(floor, budget / 2)
                guard let act = try shrink(candidate, generation: manifest.id, toBudget: target),
                    case .shrunk(_, _, let reached, _) = act
                else { break }
                acts.append(act)
                budget = reached
            }
        }
        for (candidate, manifest) in candidates where try self.shortage(bytes: bytes).bytes > 0 {
            let before = try storedBytes()
            guard try delete(candidate, onlyGeneration: manifest.id) else { continue }
            acts.append(.deleted(candidate, bytes: max(0, before - (try storedBytes()))))
        }
        let left = try self.shortage(bytes: bytes)
        if left.bytes > 0 { throw left.error(reclaimable: 0) }
    }

    /// Everything that keeps a store in order, to be called every minute or so; says what was reclaimed.
    ///
    /// Clears what dead readers left, finishes what was left over, reclaims expired documents, and what a smaller quota
    /// than before demands.
    public func maintain() throws(StoreError) -> [Reclaim] {
        let cleared = try mapped { () throws(LMDBError) in try environment.clearStaleReaders() }
        clearedReaders.add(cleared, ordering: .relaxed)
        collectLeftovers()
        try finishTrimming()
        var acts = try reclaimExpired()
        if let quota = limits.quotaBytes, try storedBytes() > quota {
            do throws(StoreError) {
                try makeRoom(bytes: 0, for: nil, acts: &acts)
            } catch .overQuota {}  // what is left is pinned
        }
        return acts
    }

    private func reclaimExpired() throws(StoreError) -> [Reclaim] {
        var acts: [Reclaim] = []
        for (key, manifest) in try expired(atSeconds: now) where try delete(key, onlyGeneration: manifest.id) {
            acts.append(.expired(key, bytes: manifest.storedBytes))
        }
        return acts
    }

    /// What may be reclaimed for a document, least recently used first; its own predecessor last.
    private func candidates(for key: DocumentKey?) throws(StoreError) -> [(key: DocumentKey, manifest: Manifest)] {
        var candidates: [(key: DocumentKey, manifest: Manifest)] = []
        try forEachManifest(owner: nil) { key, manifest in
            if case .success(let manifest) = manifest, !manifest.pinned { candidates.append((key, manifest)) }
        }
        func rank(_ candidate: (key: DocumentKey, manifest: Manifest)) -> (Int, Int, UInt64) {
            (candidate.key == key ? 1 : 0, candidate.manifest.lastUsedSeconds, candidate.manifest.id)
        }
        return candidates.sorted { rank($0) < rank($1) }
    }

    func storedBytes() throws(StoreError) -> Int {
        try mapped { () throws(LMDBError) in try storedBytes(in: environment.read()) }
    }

    // MARK: What is short

    /// By how much some bytes exceed what there is, and of what.
    private struct Shortage {
        var bytes: Int
        /// The error when so much more can be had by reclaiming.
        var error: (Int) -> StoreError

        func error(reclaimable: Int) -> StoreError { error(reclaimable) }
    }

    /// The greatest of the shortages of quota, disk and map; none is negative.
    private func shortage(bytes: Int) throws(StoreError) -> Shortage {
        // The tree's own pages: a branch here and there, and a leaf for each few dozen records.
        let needed = bytes == 0 ? 0 : bytes + bytes / 64 + 8 * pageBytes
        let stored = try storedBytes()
        var shortage = Shortage(bytes: 0, error: { _ in .diskFull(directory: self.directory.path) })
        if let quota = limits.quotaBytes, stored + needed > quota {
            shortage = Shortage(
                bytes: stored + needed - quota,
                error: { .overQuota(neededBytes: needed, availableBytes: quota - stored + $0) })
        }
        if bytes == 0 { return shortage }
        let info = try mapped { () throws(LMDBError) in try environment.info() }
        let untouched = info.mapBytes - (info.usedPages + Self.reservedPages) * pageBytes
        let spare = try directory.freeBytes() - limits.minimumFreeDiskBytes
        if untouched >= needed, spare >= needed { return shortage }
        // What the file has free is written to before it grows, as far as it comes in long enough runs.
        let free = try mapped { () throws(LMDBError) in try environment.freePages() } * pageBytes
        if needed - free - untouched > shortage.bytes {
            let mapBytes = info.mapBytes
            shortage = Shortage(bytes: needed - free - untouched, error: { _ in .full(mapBytes: mapBytes) })
        }
        if needed - free - max(spare, 0) > shortage.bytes {
            shortage = Shortage(
                bytes: needed - free - max(spare, 0),
                error: {
                    .diskReserved(
                        directory: self.directory.path, neededBytes: needed,
                        availableBytes: free + max(spare, 0) + $0)
                })
        }
        return shortage
    }
}
