// Deleting documents: one by name, and what is left of it; which have expired.

import LMDB
import Locks

extension DocumentStore {
    /// Deletes a document; false when there is none.
    ///
    /// Whoever has it open reads on undisturbed.
    @discardableResult
    public func delete(_ key: DocumentKey) throws(StoreError) -> Bool {
        try delete(key, onlyGeneration: nil)
    }

    /// The documents that have expired by a Unix time.
    func expired(atSeconds now: Int) throws(StoreError) -> [(key: DocumentKey, manifest: Manifest)] {
        var expired: [(key: DocumentKey, manifest: Manifest)] = []
        try forEachManifest(owner: nil) { key, manifest in
            if case .success(let manifest) = manifest, manifest.isExpired(atSeconds: now) {
                expired.append((key, manifest))
            }
        }
        return expired
    }

    func delete(_ key: DocumentKey, onlyGeneration: UInt64?) throws(StoreError) -> Bool {
        let isDeleted = try write { transaction throws(StoreError) in
            do throws(LMDBError) {
                let manifestKey = RecordFormat.manifestKey(key)
                let old = try generation(ofManifest: manifestKey, in: transaction)
                if let onlyGeneration, old != onlyGeneration { return false }
                guard try transaction.delete(manifestKey, in: manifestsDatabase) else { return false }
                try removeMark(key, in: &transaction)
                if let old { try deleteRecords(of: old, in: &transaction) }
                return true
            } catch { throw storeError(error) }
        }
        if isDeleted {
            state.withLock { state in
                state.usage[key] = nil
                state.quarantine[key] = nil
            }
            collectLeftovers()
        }
        return isDeleted
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
