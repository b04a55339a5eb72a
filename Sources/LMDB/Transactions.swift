// Read and write transactions; what they return is a view into the map that cannot outlive them.

import CLMDB
import Glibc
import Synchronization

/// A snapshot of the environment: nothing that is written after it began is seen, nothing it sees is overwritten.
///
/// It may move between threads (`MDB_NOTLS`), but is used by one at a time. The views it returns point into the map,
/// and leaking one is a compile error.
@safe public struct ReadTransaction: ~Copyable, @unchecked Sendable {
    // Unchecked: it has one owner, who may hand it on (MDB_NOTLS).
    let environment: Environment
    let handle: OpaquePointer

    init(environment: Environment, handle: OpaquePointer) {
        self.environment = environment
        unsafe self.handle = handle
    }

    deinit { unsafe mdb_txn_abort(handle) }

    /// The value of a key in place, or nil.
    @_lifetime(borrow self)
    public borrowing func value(forKey key: [UInt8], in database: Database) throws(LMDBError) -> RawSpan? {
        guard let bytes = try unsafe lookUp(key, in: database, handle, environment) else { return nil }
        return unsafe _overrideLifetime(RawSpan(_unsafeBytes: bytes), borrowing: self)
    }

    /// A cursor over a database.
    @_lifetime(borrow self)
    public borrowing func cursor(in database: Database) throws(LMDBError) -> Cursor {
        let opened = try unsafe Cursor.open(in: database, handle, environment)
        return unsafe _overrideLifetime(Cursor(handle: opened, environment: environment), borrowing: self)
    }

    /// The size of a database.
    public borrowing func statistics(of database: Database) throws(LMDBError) -> DatabaseStatistics {
        var statistics = MDB_stat()
        try environment.check(unsafe mdb_stat(handle, database.index, &statistics))
        return DatabaseStatistics(
            entries: statistics.ms_entries,
            pages: statistics.ms_branch_pages + statistics.ms_leaf_pages + statistics.ms_overflow_pages)
    }
}

/// The write transaction: all of it happens at `commit()`, or nothing.
///
/// Every change is `mutating`, so that no view into a page survives the page's being rewritten. It is bound to its
/// thread, and so not `Sendable`.
@safe public struct WriteTransaction: ~Copyable {
    let environment: Environment
    private var handle: OpaquePointer?

    init(environment: Environment, handle: OpaquePointer) {
        self.environment = environment
        unsafe self.handle = handle
    }

    deinit {
        guard let handle = unsafe handle else { return }
        environment.writer.store(0, ordering: .relaxed)
        unsafe mdb_txn_abort(handle)
    }

    /// Makes the changes durable; on an error none of them has happened, unless the data file was removed meanwhile.
    public consuming func commit() throws(LMDBError) {
        try environment.checkFile()
        let open = try unsafe live()
        unsafe handle = nil  // mdb_txn_commit frees the transaction, also when it fails
        environment.writer.store(0, ordering: .relaxed)
        try unsafe environment.check(mdb_txn_commit(open))
        try environment.checkFile()
    }

    /// The value of a key, in place or as this transaction has changed it, or nil.
    @_lifetime(borrow self)
    public borrowing func value(forKey key: [UInt8], in database: Database) throws(LMDBError) -> RawSpan? {
        guard let bytes = try unsafe lookUp(key, in: database, live(), environment) else { return nil }
        return unsafe _overrideLifetime(RawSpan(_unsafeBytes: bytes), borrowing: self)
    }

    /// Stores a value, replacing one that is there.
    public mutating func put(_ value: RawSpan, forKey key: [UInt8], in database: Database) throws(LMDBError) {
        try reserve(byteCount: value.byteCount, forKey: key, in: database) { destination in
            unsafe value.withUnsafeBytes { source in
                unsafe destination.withUnsafeMutableBytes { unsafe $0.copyMemory(from: source) }
            }
        }
    }

    /// Makes room for a value and has it filled in place (`MDB_RESERVE`), sparing a copy of it.
    ///
    /// The room is not zeroed and its alignment says nothing about the value's in the map: until the commit it is
    /// on the heap. All of it must be written.
    public mutating func reserve(
        byteCount: Int, forKey key: [UInt8], in database: Database, _ fill: (inout MutableRawSpan) -> Void
    ) throws(LMDBError) {
        let open = try unsafe live()
        try unsafe mend(key, in: database, open)
        var data = unsafe MDB_val(mv_size: byteCount, mv_data: nil)
        let code = unsafe withKey(key) { key in
            unsafe mdb_put(open, database.index, &key, &data, UInt32(MDB_RESERVE))
        }
        try environment.check(code)
        guard byteCount > 0, let room = unsafe data.mv_data else { return }
        let bytes = unsafe UnsafeMutableRawBufferPointer(start: room, count: byteCount)
        var span = unsafe MutableRawSpan(_unsafeBytes: bytes)
        fill(&span)
    }

    /// Deletes a key; false when it was not there.
    @discardableResult
    public mutating func delete(_ key: [UInt8], in database: Database) throws(LMDBError) -> Bool {
        let open = try unsafe live()
        try unsafe mend(key, in: database, open)
        let code = unsafe withKey(key) { key in unsafe mdb_del(open, database.index, &key, nil) }
        if code == MDB_NOTFOUND { return false }
        try environment.check(code)
        return true
    }

    /// A cursor over a database, which may delete; nothing else touches the transaction while it lives.
    @_lifetime(&self)
    public mutating func cursor(in database: Database) throws(LMDBError) -> Cursor {
        let opened = try unsafe Cursor.open(in: database, live(), environment)
        return unsafe _overrideLifetime(Cursor(handle: opened, environment: environment), mutating: &self)
    }

    /// Puts the header of the value's pages right before LMDB frees what it says.
    private borrowing func mend(
        _ key: [UInt8], in database: Database, _ transaction: OpaquePointer
    ) throws(LMDBError) {
        guard let pages = environment.overflowPages,
            let old = try unsafe lookUp(key, in: database, transaction, environment)
        else { return }
        let start = unsafe UnsafeMutableRawPointer(mutating: old.baseAddress)
        try unsafe pages.mend(MDB_val(mv_size: old.count, mv_data: start))
    }

    private borrowing func live() throws(LMDBError) -> OpaquePointer {
        guard let handle = unsafe handle else { throw .badTransaction }
        return unsafe handle
    }
}

/// Lends a key to a C call.
func withKey<Result>(_ key: [UInt8], _ body: (inout MDB_val) -> Result) -> Result {
    unsafe key.withUnsafeBytes { bytes in
        // LMDB takes keys by a mutable pointer and does not write through it.
        var value = unsafe MDB_val(
            mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        return unsafe body(&value)
    }
}

/// `mdb_get`; the bytes are valid until the transaction ends or, in a write transaction, changes something.
@unsafe private func lookUp(
    _ key: [UInt8], in database: Database, _ transaction: OpaquePointer, _ environment: Environment
) throws(LMDBError) -> UnsafeRawBufferPointer? {
    var data = unsafe MDB_val()
    let code = unsafe withKey(key) { key in unsafe mdb_get(transaction, database.index, &key, &data) }
    if code == MDB_NOTFOUND { return nil }
    try environment.check(code)
    return unsafe UnsafeRawBufferPointer(start: data.mv_data, count: data.mv_size)
}
