// What the store holds, and in how much space.

import LMDB
import Locks

import struct Synchronization.Atomic

/// What the store holds, and in how much space.
public struct StoreStatistics: Equatable, Sendable {
    /// Documents, expired and quarantined ones included.
    public var documents: Int
    /// Documents that were found damaged and set aside.
    public var quarantinedDocuments: Int
    /// What the documents take, as each of them says; the quota bounds it.
    public var storedBytes: Int
    /// What the trees of documents and their lines take in the file, documents being written included.
    public var treeBytes: Int
    /// The most that they may take, when that is bounded.
    public var quotaBytes: Int?
    /// Space in the file that later documents will use.
    public var freeBytes: Int
    /// The size of the data file, which shrinks only by compaction.
    public var fileBytes: Int
    /// The most that the data file can grow to.
    public var mapBytes: Int
    /// Documents open for reading, each of which pins the pages freed since.
    public var openDocuments: Int
    /// How long the oldest of them has been open; 0 when none is.
    public var oldestReaderSeconds: Double
    /// Records without a manifest that were deleted when the store was opened.
    public var collectedRecords: Int
    /// Readers that had died without ending, cleared since and when the store was opened.
    public var clearedReaders: Int
}

extension DocumentStore {
    /// The size of the store.
    public func statistics() throws(StoreError) -> StoreStatistics {
        try mapped { () throws(LMDBError) in
            let transaction = try environment.read()
            let documents = try transaction.statistics(of: manifestsDatabase).entries
            let info = try environment.info()
            return StoreStatistics(
                documents: documents, quarantinedDocuments: state.withLock(\.quarantine.count),
                storedBytes: storedBytes(), treeBytes: try treeBytes(in: transaction), quotaBytes: limits.quotaBytes,
                freeBytes: try environment.freePages() * info.pageBytes, fileBytes: info.fileBytes,
                mapBytes: info.mapBytes, openDocuments: openDocuments.load(ordering: .relaxed),
                oldestReaderSeconds: oldestReaderSeconds(), collectedRecords: collectedRecords,
                clearedReaders: clearedReaders.load(ordering: .relaxed))
        }
    }

    /// How long the oldest open document has been open; 0 when none is.
    public func oldestReaderSeconds() -> Double {
        guard let oldest = state.withLock({ $0.readers.values.min() }) else { return 0 }
        return (ContinuousClock.now - oldest) / .seconds(1)
    }

    private func treeBytes(in transaction: borrowing ReadTransaction) throws(LMDBError) -> Int {
        var pages = 0
        for database in [manifestsDatabase, recordsDatabase, linesDatabase] {
            pages += try transaction.statistics(of: database).pages
        }
        return pages * pageBytes
    }
}
