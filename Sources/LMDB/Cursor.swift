// A cursor: the way through a database in key order, bound to the transaction it came from.

import CLMDB
import Glibc

/// A position in a database, in key order; its views are valid until it moves.
@safe public struct Cursor: ~Copyable, ~Escapable {
    private let handle: OpaquePointer
    private let environment: Environment
    private var currentKey = unsafe MDB_val()
    private var currentValue = unsafe MDB_val()

    @_lifetime(immortal)
    init(handle: OpaquePointer, environment: Environment) {
        unsafe self.handle = handle
        self.environment = environment
    }

    deinit { unsafe mdb_cursor_close(handle) }

    static func open(
        in database: Database, _ transaction: OpaquePointer, _ environment: Environment
    ) throws(LMDBError) -> OpaquePointer {
        var opened: OpaquePointer?
        let code = unsafe mdb_cursor_open(transaction, database.index, &opened)
        guard code == 0, let opened = unsafe opened else { throw environment.error(code) }
        return unsafe opened
    }

    /// Moves to the first key that is not less than `key`; false when there is none.
    ///
    /// An empty key is the beginning.
    @_lifetime(self: copy self)
    public mutating func seek(to key: [UInt8]) throws(LMDBError) -> Bool {
        guard !key.isEmpty else { return try move(MDB_FIRST) }
        let handle = unsafe handle
        var (foundKey, foundValue) = unsafe (MDB_val(), MDB_val())
        let code = unsafe withKey(key) { wanted in
            let code = unsafe mdb_cursor_get(handle, &wanted, &foundValue, MDB_SET_RANGE)
            unsafe foundKey = wanted
            return code
        }
        unsafe (currentKey, currentValue) = (foundKey, foundValue)
        return try found(code)
    }

    /// Moves to the next key; false at the end.
    @_lifetime(self: copy self)
    public mutating func next() throws(LMDBError) -> Bool {
        try move(MDB_NEXT)
    }

    /// Moves to the last key; false when the database is empty.
    @_lifetime(self: copy self)
    public mutating func last() throws(LMDBError) -> Bool {
        try move(MDB_LAST)
    }

    /// Deletes the entry under the cursor; the cursor then stands at the next one.
    ///
    /// False at the end.
    ///
    /// `.system(EACCES)` in a read transaction.
    @_lifetime(self: copy self)
    public mutating func delete() throws(LMDBError) -> Bool {
        try unsafe environment.overflowPages?.mend(currentValue)
        try unsafe environment.check(mdb_cursor_del(handle, 0))
        return try move(MDB_GET_CURRENT)
    }

    /// The key under the cursor.
    public var key: RawSpan {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(RawSpan(_unsafeBytes: Self.bytes(currentKey)), borrowing: self) }
    }

    /// The value under the cursor, in place.
    public var value: RawSpan {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(RawSpan(_unsafeBytes: Self.bytes(currentValue)), borrowing: self) }
    }

    @_lifetime(self: copy self)
    private mutating func move(_ operation: MDB_cursor_op) throws(LMDBError) -> Bool {
        var (foundKey, foundValue) = unsafe (currentKey, currentValue)
        let code = unsafe mdb_cursor_get(handle, &foundKey, &foundValue, operation)
        unsafe (currentKey, currentValue) = (foundKey, foundValue)
        return try found(code)
    }

    @_lifetime(self: copy self)
    private mutating func found(_ code: Int32) throws(LMDBError) -> Bool {
        if code == 0 { return true }
        unsafe (currentKey, currentValue) = (MDB_val(), MDB_val())
        // After the last entry was deleted, MDB_GET_CURRENT has no entry to return: EINVAL, or MDB_NOTFOUND.
        if code == MDB_NOTFOUND || code == EINVAL { return false }
        throw environment.error(code)
    }

    private static func bytes(_ value: MDB_val) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_data == nil ? 0 : value.mv_size)
    }
}
