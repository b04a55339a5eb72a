// Staying within the space that was given: every user within a share of the quota, and the disk within what is free.
//
// Room is made in the transaction that needs it: whatever a document pushes out is shrunk or deleted in the moment in
// which the document exists, so that one that fails changes no other.

import Glibc
import LMDB
import Locks

import struct Synchronization.Atomic

extension DocumentStore {
    /// Pages that staging leaves alone, so that deleting still has the few it needs when the map is full.
    private static let reservedPages = 256
    /// What maintenance frees in one transaction: its list of pages lies in memory until it commits.
    private static let transactionBytes = 256 << 20

    // MARK: What there is room for

    /// Refuses a document that cannot be stored whatever is reclaimed, before work is wasted on it.
    ///
    /// - Parameters:
    ///   - bytes: an upper estimate, such as `CacheShape.estimatedBytes`.
    ///   - pinned: whether it is to be pinned.
    /// - Throws: `.overQuota`, `.overPinShare`, `.diskReserved` or `.full`, saying what is needed and what there is.
    public func checkRoom(bytes: Int, for key: DocumentKey, pinned: Bool = false) throws(StoreError) {
        if pinned { try checkPin(bytes: bytes, for: key) }
        try checkQuota(bytes: bytes, for: key)
        try checkDisk(bytes: bytes)
    }

    /// Refuses bytes that no reclaiming brings within the quota.
    func checkQuota(bytes: Int, for key: DocumentKey) throws(StoreError) {
        _ = try excess(bytes: bytes, for: key)
    }

    /// Refuses to pin more than a user's share.
    func checkPin(bytes: Int, for key: DocumentKey) throws(StoreError) {
        let (held, share) = state.withLock { state in
            let old = state.shelf.entries[key].map { $0.isPinned ? $0.bytes : 0 } ?? 0
            return (
                (state.shelf.holdings[key.owner]?.pinnedBytes ?? 0) - old,
                limits.shareBytes(users: state.shelf.users(with: key.owner))
            )
        }
        guard let share, held + bytes > share else { return }
        throw .overPinShare(neededBytes: bytes, pinnedBytes: held, shareBytes: share)
    }

    /// By how much a user's documents must shrink for one of so many bytes to stand under a key.
    ///
    /// A user may hold their share, or what they hold already when that is more, and all users together the quota.
    private func excess(bytes: Int, for key: DocumentKey) throws(StoreError) -> Int {
        guard let quota = limits.quotaBytes else { return 0 }
        let (shelf, old) = state.withLock { ($0.shelf.bytes, $0.shelf.entries[key]) }
        let (held, free, users) = state.withLock { state in
            let holding = state.shelf.holdings[key.owner] ?? Shelf.Holding()
            let own = old.map { $0.isPinned || $0.isDamaged ? 0 : $0.bytes } ?? 0
            return (
                holding.bytes, state.shelf.reclaimableBytes(of: key.owner) - own, state.shelf.users(with: key.owner)
            )
        }
        let limit = max(limits.shareBytes(users: users) ?? quota, held)
        let added = bytes - (old?.bytes ?? 0)
        let excess = max(0, held + added - limit, shelf + added - quota)
        if excess > free {
            let room = min(limit - held, quota - shelf) + (old?.bytes ?? 0) + free
            throw .overQuota(
                neededBytes: bytes, availableBytes: max(0, room), shareBytes: limit < quota ? limit : nil)
        }
        return excess
    }

    /// Refuses bytes that neither the file's free pages nor the disk have room for; nothing is reclaimed for them.
    func checkDisk(bytes: Int) throws(StoreError) {
        // The tree's own pages: a branch here and there, and a leaf for each few dozen records.
        let needed = bytes + bytes / 64 + 8 * pageBytes
        let info = try mapped { () throws(LMDBError) in try environment.info() }
        let untouched = info.mapBytes - (info.usedPages + Self.reservedPages) * pageBytes
        let spare = try directory.freeBytes() - limits.minimumFreeDiskBytes
        if untouched >= needed, spare >= needed { return }
        // What the file has free is written to before it grows, as far as it comes in long enough runs.
        let free = try mapped { () throws(LMDBError) in try environment.freePages() } * pageBytes
        if needed > free + untouched { throw .full(mapBytes: info.mapBytes) }
        if needed > free + max(spare, 0) {
            throw .diskReserved(
                directory: directory.path, neededBytes: needed, availableBytes: free + max(spare, 0))
        }
    }

    // MARK: Making room

    /// Shrinks and deletes a user's documents, least recently used first, until one of so many bytes has room under a
    /// key: as part of the transaction that writes it.
    func makeRoom(
        bytes: Int, for key: DocumentKey, in transaction: inout StoreTransaction
    ) throws(StoreError) -> [Reclaim] {
        try free(try excess(bytes: bytes, for: key), of: key.owner, but: key, in: &transaction)
    }

    private func free(
        _ bytes: Int, of owner: UInt32, but excluded: DocumentKey?, in transaction: inout StoreTransaction
    ) throws(StoreError) -> [Reclaim] {
        if bytes <= 0 { return [] }
        var shrunk = try shrinks(bytes, of: owner, but: excluded, in: transaction.lmdb)
        var freed = shrunk.reduce(0) { $0 + $1.freedBytes }
        var acts: [Reclaim] = []
        if freed < bytes {
            // Not enough: the least recently used go altogether, also those that were to be shrunk.
            for (key, entry) in state.withLock({ $0.shelf.reclaimable(of: owner, but: excluded, bytes: bytes) })
            where freed < bytes {
                guard try delete(key, onlyGeneration: entry.generation, in: &transaction) else { continue }
                try putTombstone(Tombstone(reason: .quota, seconds: now, entry), key, in: &transaction)
                let planned = shrunk.firstIndex { $0.key == key }.map { shrunk.remove(at: $0).freedBytes } ?? 0
                freed += entry.bytes - planned
                acts.append(.deleted(key, bytes: entry.bytes))
            }
        }
        for shrink in shrunk { try put(shrink.manifest, key: shrink.key, in: &transaction) }
        return shrunk.map(\.act) + acts
    }

    /// What is to be shrunk for some bytes, as far as that goes.
    private func shrinks(
        _ bytes: Int, of owner: UInt32, but excluded: DocumentKey?, in transaction: borrowing WriteTransaction
    ) throws(StoreError) -> [PlannedShrink] {
        var (planned, freed): ([PlannedShrink], Int) = ([], 0)
        // The estimate of what they give back may be too high.
        let candidates = state.withLock { $0.shelf.shrinkable(of: owner, but: excluded, bytes: 2 * bytes) }
        for (key, entry) in candidates where freed < bytes {
            guard let shrink = try plannedShrink(key, entry, bytes: bytes - freed) else {
                state.withLock { $0.shelf.giveUpShrinking(key) }
                continue
            }
            planned.append(shrink)
            freed += shrink.freedBytes
        }
        return planned
    }

    /// Finishes in memory and on disk what a transaction reclaimed; what fails is finished by maintenance.
    func finish(_ acts: [Reclaim]) {
        var deleted: [DocumentKey] = []
        for act in acts {
            switch act {
            case .deleted(let key, _): deleted.append(key)
            case .shrunk(let key, _, _, _):
                if let entry = state.withLock({ $0.shelf.entries[key] }) {
                    try? trim(key, generation: entry.generation)
                }
            case .expired: break
            }
        }
        if !deleted.isEmpty { forget(deleted) }
    }

    // MARK: Maintenance

    /// Everything that keeps a store in order, to be called every minute or so; says what was reclaimed.
    ///
    /// Clears what dead readers left, finishes what was left over, reclaims expired documents, and what a smaller quota
    /// than before demands.
    public func maintain() throws(StoreError) -> [Reclaim] {
        let cleared = try mapped { () throws(LMDBError) in try environment.clearStaleReaders() }
        clearedReaders.add(cleared, ordering: .relaxed)
        collectLeftovers()
        try finishTrimming()
        try clearTombstones()
        return try deleteExpired() + meetQuota()
    }

    /// Reclaims what exceeds a quota that is smaller than it was: what users hold above their share, the most first,
    /// and where that is not enough, what they hold.
    private func meetQuota() throws(StoreError) -> [Reclaim] {
        guard let quota = limits.quotaBytes, storedBytes() > quota else { return [] }
        let holdings = state.withLock(\.shelf.holdings)
        let share = limits.shareBytes(users: holdings.count) ?? quota
        var acts: [Reclaim] = []
        for floor in [share, 0] {
            let users = holdings.sorted { ($0.value.bytes, $1.key) > ($1.value.bytes, $0.key) }
            for (owner, _) in users { acts += try reclaim(fromUser: owner, downTo: floor, quota: quota) }
        }
        return acts
    }

    private func reclaim(fromUser owner: UInt32, downTo floor: Int, quota: Int) throws(StoreError) -> [Reclaim] {
        var acts: [Reclaim] = []
        while true {
            let (held, stored) = state.withLock { ($0.shelf.holdings[owner]?.bytes ?? 0, $0.shelf.bytes) }
            let bytes = min(held - floor, stored - quota, Self.transactionBytes)
            if bytes <= 0 { return acts }
            let done = try write { transaction throws(StoreError) in
                try free(bytes, of: owner, but: nil, in: &transaction)
            }
            // What is left is pinned.
            if done.isEmpty { return acts }
            finish(done)
            acts += done
        }
    }

    func storedBytes() -> Int { state.withLock(\.shelf.bytes) }
}

/// A document that is to be shrunk.
struct PlannedShrink {
    var key: DocumentKey
    /// As it will be.
    var manifest: Manifest
    var fromBudget: Int
    var freedBytes: Int

    var act: Reclaim { .shrunk(key, fromBudget: fromBudget, toBudget: manifest.budget, bytes: freedBytes) }
}
