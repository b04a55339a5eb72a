// Reading and writing manifests: one, all of them, and the usage that questions leave behind.

import LMDB
import Locks

extension DocumentStore {
    /// Writes the usage noted since the last flush, in one transaction.
    public func flushUsage() throws(StoreError) {
        let usage = state.withLock(\.usage)
        guard !usage.isEmpty else { return }
        try write { transaction throws(StoreError) in
            for (key, usage) in usage {
                // Deleted since: nothing to note. Damaged: it stays as it is, for whoever opens it to be told.
                guard let manifest = try? storedManifest(key, in: transaction) else { continue }
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
    func forEachManifest(
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
        guard let usage = state.withLock({ $0.usage[key] }) else { return manifest }
        return manifest.adding(usage)
    }

    func put(
        _ manifest: Manifest, key: DocumentKey, in transaction: inout WriteTransaction
    ) throws(StoreError) {
        let value = try ManifestRecord.encode(manifest)
        do {
            unsafe try transaction.put(value.span.bytes, forKey: RecordFormat.manifestKey(key), in: manifestsDatabase)
        } catch { throw storeError(error) }
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
