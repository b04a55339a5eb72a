// Reading and writing manifests: one, all of them, and the usage that questions leave behind.

import LMDB
import Locks

extension DocumentStore {
    /// The manifests of an owner's documents (of all owners when nil), by owner and name; expired ones and those whose
    /// manifest is damaged are left out (`quarantined()` names the latter).
    public func manifests(owner: UInt32? = nil) throws(StoreError) -> [Manifest] {
        var manifests: [Manifest] = []
        try forEachManifest(owner: owner) { _, manifest in
            if case .success(let manifest) = manifest, !manifest.isExpired(atSeconds: now) {
                manifests.append(manifest)
            }
        }
        return manifests
    }

    /// Writes the usage noted since the last flush, in one transaction.
    public func flushUsage() throws(StoreError) {
        let usage = state.withLock(\.usage)
        guard !usage.isEmpty else { return }
        try write { transaction throws(StoreError) in
            for (key, usage) in usage {
                // Deleted since: nothing to note. Damaged: it stays as it is, for whoever opens it to be told.
                guard let manifest = try? storedManifest(key, in: transaction.lmdb) else { continue }
                try put(manifest.adding(usage), key: key, in: &transaction)
            }
        }
        state.withLock { state in
            for (key, flushed) in usage {
                guard let current = state.usage[key] else { continue }
                let later = current.hits - flushed.hits
                state.usage[key] = later > 0 ? Usage(lastUsedSeconds: current.lastUsedSeconds, hits: later) : nil
            }
        }
    }

    /// The manifest as a question sees it: with the usage that is not written yet.
    func readManifest(
        _ key: DocumentKey, in transaction: borrowing ReadTransaction
    ) throws(StoreError) -> Manifest? {
        let manifest: Result<Manifest, StoreError>
        do throws(LMDBError) {
            guard let value = try transaction.value(forKey: RecordFormat.manifestKey(key), in: manifestsDatabase)
            else { return nil }
            manifest = ManifestRecord.decoded(value, key: key)
        } catch { throw storeError(error) }
        return withUsage(try manifest.get(), key: key)
    }

    /// The manifest as it is stored.
    func storedManifest(
        _ key: DocumentKey, in transaction: borrowing WriteTransaction
    ) throws(StoreError) -> Manifest? {
        let manifest: Result<Manifest, StoreError>
        do throws(LMDBError) {
            guard let value = try transaction.value(forKey: RecordFormat.manifestKey(key), in: manifestsDatabase)
            else { return nil }
            manifest = ManifestRecord.decoded(value, key: key)
        } catch { throw storeError(error) }
        return try manifest.get()
    }

    /// Visits every manifest of an owner (all owners when nil), in order of owner and name.
    private func forEachManifest(
        owner: UInt32?, _ body: (DocumentKey, Result<Manifest, StoreError>) -> Void
    ) throws(StoreError) {
        try mapped { () throws(LMDBError) in
            let transaction = try environment.read()
            var cursor = try transaction.cursor(in: manifestsDatabase)
            var found = try cursor.seek(to: owner.map(RecordFormat.bigEndian) ?? [])
            while found {
                // A key that is none was not written here; nothing can be asked of it by name.
                if let key = RecordFormat.documentKey(cursor.key) {
                    if let owner, key.owner != owner { return }
                    body(key, ManifestRecord.decoded(cursor.value, key: key).map { withUsage($0, key: key) })
                }
                found = try cursor.next()
            }
        }
    }

    func withUsage(_ manifest: Manifest, key: DocumentKey) -> Manifest {
        let (usage, bytes) = state.withLock { ($0.usage[key], $0.shelf.entries[key]?.bytes) }
        var manifest = usage.map(manifest.adding) ?? manifest
        // What it was when it was written is not what every version counted.
        manifest.storedBytes = bytes ?? manifest.storedBytes
        return manifest
    }

    /// Writes a manifest and its line, and says so to the index.
    func put(
        _ manifest: Manifest, key: DocumentKey, in transaction: inout StoreTransaction
    ) throws(StoreError) {
        let value = try ManifestRecord.encode(manifest)
        let line = line(of: manifest, value: unsafe value.span.bytes)
        let name = RecordFormat.manifestKey(key)
        do throws(LMDBError) {
            unsafe try transaction.lmdb.put(value.span.bytes, forKey: name, in: manifestsDatabase)
            unsafe try transaction.lmdb.put(line.encoded.span.bytes, forKey: name, in: linesDatabase)
        } catch { throw storeError(error) }
        transaction.changes.append(.placed(key, line.entry))
    }

    /// Deletes a manifest, and so the document; false when there is none.
    ///
    /// Its records are garbage from then on.
    func removeManifest(_ key: DocumentKey, in transaction: inout StoreTransaction) throws(StoreError) -> Bool {
        let name = RecordFormat.manifestKey(key)
        do throws(LMDBError) {
            guard try transaction.lmdb.delete(name, in: manifestsDatabase) else { return false }
            try transaction.lmdb.delete(name, in: linesDatabase)
        } catch { throw storeError(error) }
        transaction.changes.append(.removed(key))
        return true
    }
}

extension Manifest {
    func adding(_ usage: DocumentStore.Usage) -> Manifest {
        var manifest = self
        manifest.lastUsedSeconds = max(lastUsedSeconds, usage.lastUsedSeconds)
        manifest.hits = hits.addingReportingOverflow(usage.hits).partialValue
        return manifest
    }
}
