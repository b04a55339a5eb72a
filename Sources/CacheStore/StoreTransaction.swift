// One write of the store: whole or not at all, on disk and in the index alike.

import LMDB
import Locks

import struct Synchronization.Atomic

/// A write transaction, and what it will have changed in the index once it has happened.
struct StoreTransaction: ~Copyable {
    var lmdb: WriteTransaction
    var changes: [Shelf.Change] = []
}

extension DocumentStore {
    /// Runs one write transaction; it is aborted when `body` throws.
    ///
    /// LMDB has one writer at a time anyway; the lock makes the index part of what it writes, so that what `body` finds
    /// there is as it says until the transaction has happened.
    func write<Result>(
        _ body: (inout StoreTransaction) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        var result: Result?
        try writer.withLock { _ throws(StoreError) in
            let lmdb: WriteTransaction
            do throws(LMDBError) { lmdb = try environment.write() } catch { throw storeError(error) }
            var transaction = StoreTransaction(lmdb: lmdb)
            result = try body(&transaction)
            let changes = transaction.changes
            do throws(LMDBError) { try transaction.lmdb.commit() } catch { throw storeError(error) }
            state.withLock { state in for change in changes { state.shelf.apply(change) } }
            self.changes.add(1, ordering: .releasing)
        }
        guard let result else { preconditionFailure("a write without an error has a result") }
        return result
    }
}
