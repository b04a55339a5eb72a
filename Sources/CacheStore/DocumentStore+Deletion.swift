// Deleting documents: one by name, and what is left of it; which have expired.

import LMDB
import Locks

extension DocumentStore {
    /// Deletes a document, or what is left to be said of one; false when there is neither.
    ///
    /// Whoever has it open reads on undisturbed.
    @discardableResult
    public func delete(_ key: DocumentKey) throws(StoreError) -> Bool {
        let (isDeleted, wasKnown) = try write { transaction throws(StoreError) in
            let wasKnown = try removeTombstone(key, in: &transaction)
            return (try delete(key, onlyGeneration: nil, in: &transaction), wasKnown)
        }
        if isDeleted { forget([key]) }
        return isDeleted || wasKnown
    }

    /// Deletes the documents that have expired, and leaves word of it.
    func deleteExpired() throws(StoreError) -> [Reclaim] {
        var acts: [Reclaim] = []
        for key in state.withLock({ $0.shelf.expired(by: now) }) {
            let act = try write { transaction throws(StoreError) -> Reclaim? in
                // Used or changed since.
                guard let entry = state.withLock({ $0.shelf.entries[key] }), entry.hasExpired(by: now),
                    try delete(key, onlyGeneration: entry.generation, in: &transaction)
                else { return nil }
                try putTombstone(
                    Tombstone(reason: .expired, seconds: entry.expiresSeconds ?? now, entry), key, in: &transaction)
                return .expired(key, bytes: entry.bytes)
            }
            guard let act else { continue }
            forget([key])
            acts.append(act)
        }
        return acts
    }

    /// Deletes a document as part of a transaction; false when it is not there, or of another generation.
    func delete(
        _ key: DocumentKey, onlyGeneration: UInt64?, in transaction: inout StoreTransaction
    ) throws(StoreError) -> Bool {
        let old: UInt64?
        do throws(LMDBError) {
            old = try generation(ofManifest: RecordFormat.manifestKey(key), in: transaction.lmdb)
            if let onlyGeneration, old != onlyGeneration { return false }
        } catch { throw storeError(error) }
        guard try removeManifest(key, in: &transaction) else { return false }
        do throws(LMDBError) {
            try removeMark(key, in: &transaction.lmdb)
            if let old { try deleteRecords(of: old, in: &transaction.lmdb) }
        } catch { throw storeError(error) }
        return true
    }

    /// Forgets in memory what was deleted on disk.
    func forget(_ keys: [DocumentKey]) {
        state.withLock { state in
            for key in keys {
                state.usage[key] = nil
                state.quarantine[key] = nil
            }
        }
        collectLeftovers()
    }

    /// The generation that a stored manifest names; nil when there is none or its header is damaged.
    func generation(
        ofManifest key: [UInt8], in transaction: borrowing WriteTransaction
    ) throws(LMDBError) -> UInt64? {
        guard let value = try transaction.value(forKey: key, in: manifestsDatabase) else { return nil }
        return ManifestRecord.generation(of: value)
    }

    /// Deletes a generation's records as part of a transaction; what exceeds its bound is left over.
    func deleteRecords(of generation: UInt64, in transaction: inout WriteTransaction) throws(LMDBError) {
        let step = try GarbageCollection.deleteSome(of: generation, in: recordsDatabase, &transaction)
        state.withLock { _ = $0.verified.remove(generation) }
        if !step.isDone { state.withLock { _ = $0.garbage.insert(generation) } }
    }

    /// Deletes the records of a generation that no manifest names.
    func discard(generation: UInt64) {
        state.withLock { _ = $0.garbage.insert(generation) }
        collectLeftovers()
    }

    /// Tries to delete what is left over; what fails (a full disk) is tried again at the next write or start.
    func collectLeftovers() {
        for generation in state.withLock(\.garbage) {
            do throws(LMDBError) {
                try GarbageCollection.deleteAll(of: generation, in: recordsDatabase, environment)
                state.withLock { _ = $0.garbage.remove(generation) }
            } catch { return }
        }
    }
}
