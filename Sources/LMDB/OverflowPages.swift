// The headers of the pages that hold large values: what LMDB frees when a value goes is what they say, unchecked.

import CLMDB
import Glibc

/// Puts damaged headers of values' pages right before LMDB believes them.
///
/// The check at start leaves these pages out, one for each value; the trees, which it has checked, say what must stand
/// in them. A header that says otherwise would have LMDB free the pages of another value.
struct OverflowPages {
    /// Where the data file is mapped.
    private let map: UInt
    private let mapBytes: Int
    private let pageBytes: Int
    private let file: Int32

    /// `MDB_page`: number u64, pad u16, flags u16, pages u32, all in the machine's order.
    private static let headerBytes = 16
    private static let overflowFlag: UInt16 = 4

    /// Finds the map by a leaf of the main tree, whose number the check at start has compared with its place; nil where
    /// pages are larger than the system's, so that an address does not show where one begins.
    init?(_ environment: OpaquePointer, info: EnvironmentInfo, file: Int32) throws(LMDBError) {
        guard info.pageBytes <= sysconf(Int32(_SC_PAGESIZE)) else { return nil }
        (mapBytes, pageBytes, self.file) = (info.mapBytes, info.pageBytes, file)
        var begun: OpaquePointer?
        var code = unsafe mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &begun)
        guard code == 0, let transaction = unsafe begun else { throw LMDBError(code: code, fileDescriptor: file) }
        defer { unsafe mdb_txn_abort(transaction) }
        var opened: OpaquePointer?
        code = unsafe mdb_cursor_open(transaction, 1, &opened)  // MAIN_DBI: the names of the databases
        guard code == 0, let cursor = unsafe opened else { throw LMDBError(code: code, fileDescriptor: file) }
        defer { unsafe mdb_cursor_close(cursor) }
        var (key, value) = unsafe (MDB_val(), MDB_val())
        code = unsafe mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
        guard code == 0, let address = unsafe key.mv_data else { return nil }
        let leaf = UInt(bitPattern: address) & ~UInt(info.pageBytes - 1)
        guard let page = unsafe UnsafePointer<UInt64>(bitPattern: leaf) else { return nil }
        map = leaf &- UInt(truncatingIfNeeded: unsafe page.pointee) &* UInt(info.pageBytes)
    }

    /// Rewrites the header of a value's first page when it is not what it must be.
    ///
    /// The bytes follow from the tree alone, so that writing them outside a transaction, once or again, is safe.
    func mend(_ value: MDB_val) throws(LMDBError) {
        let address = UInt(bitPattern: unsafe value.mv_data)
        guard address >= map, address - map < UInt(mapBytes) else { return }  // on the heap: this transaction's own
        let offset = Int(address - map)
        // Values in a leaf lie behind its entries' own headers, never right behind the page's.
        guard offset % pageBytes == Self.headerBytes else { return }
        let page = UInt64(offset / pageBytes)
        let pages = unsafe UInt32((Self.headerBytes - 1 + value.mv_size) / pageBytes + 1)
        let start = unsafe UnsafeRawPointer(bitPattern: address - UInt(Self.headerBytes))
        guard let start = unsafe start else { return }
        if unsafe start.load(as: UInt64.self) == page,
            unsafe start.load(fromByteOffset: 10, as: UInt16.self) == Self.overflowFlag,
            unsafe start.load(fromByteOffset: 12, as: UInt32.self) == pages
        {
            return
        }
        var header: (UInt64, UInt16, UInt16, UInt32) = (page, 0, Self.overflowFlag, pages)
        let written = unsafe pwrite(file, &header, Self.headerBytes, off_t(offset - Self.headerBytes))
        guard written == Self.headerBytes else {
            throw LMDBError(code: written < 0 ? errno : EIO, fileDescriptor: file)
        }
    }
}
