// What liblmdb and the system under it can refuse, one case for each code.

import CLMDB
import Glibc

/// An error of the key-value store; the cases mirror the codes of `lmdb.h`.
public enum LMDBError: Error, Equatable, Sendable, CustomStringConvertible {
    /// `MDB_KEYEXIST`: the key is there already and was not to be replaced.
    case keyExists
    /// `MDB_NOTFOUND`: no such key.
    case notFound
    /// `MDB_PAGE_NOTFOUND`: a page that the tree names is missing.
    case pageNotFound
    /// `MDB_CORRUPTED`: a page has the wrong type.
    case corrupted
    /// `MDB_PANIC`: the meta page could not be written; the environment must be opened again.
    case panic
    /// `MDB_VERSION_MISMATCH`: written by another version of the library, or a damaged header.
    case versionMismatch
    /// `MDB_INVALID`: not a database file.
    case invalidFile
    /// `MDB_MAP_FULL`: the map has no room for the pages of the transaction.
    case mapFull
    /// `MDB_DBS_FULL`: more named databases than the environment was opened for.
    case databasesFull
    /// `MDB_READERS_FULL`: every reader slot is taken.
    case readersFull
    /// `MDB_TXN_FULL`: one transaction changed too many pages.
    case transactionFull
    /// `MDB_MAP_RESIZED`: another process has grown the map.
    case mapResized
    /// `MDB_BAD_TXN`: the transaction failed before and can only be aborted.
    case badTransaction
    /// `MDB_BAD_VALSIZE`: an empty or oversized key, or a value of 4 GiB or more.
    case badValueSize
    /// Any other code of the library, such as `MDB_CURSOR_FULL`.
    case library(code: Int32)
    /// The file system has no room: `ENOSPC`, `EDQUOT`, or `EIO` from a short write on a full disk.
    case diskFull
    /// The environment is open in this process already; a second one would break its locks.
    case alreadyOpen(directory: String)
    /// The directory lies on a file system over which memory maps and locks do not hold (lmdb.h, "Caveats").
    case networkFileSystem(directory: String, kind: String)
    /// The thread holds the write transaction already; waiting for it would never end.
    case nestedWrite
    /// The structure of the data file is damaged; it was not mapped.
    case damagedFile(problem: String)
    /// The data file is shorter than what it holds; it was not mapped, since reading beyond its end kills the process.
    case truncatedFile(fileBytes: Int, neededBytes: Int)
    /// The data file is no longer at its path: what is written to it now would be lost with the process.
    case removedFile(path: String, descriptor: Int32)
    /// The data file was cut under the map: reading what is missing would kill the process.
    case shortenedFile(path: String, fileBytes: Int, neededBytes: Int)
    /// An error of the operating system.
    case system(errno: Int32)

    /// One sentence: the cause, and the mend where there is one.
    public var description: String {
        switch self {
        case .keyExists: "the key is in the database already"
        case .notFound: "the key is not in the database"
        case .pageNotFound: "the database is damaged: a page that its tree names is missing"
        case .corrupted: "the database is damaged: a page has the wrong type"
        case .panic: "writing the meta page failed, so that the database cannot be used until it is opened again"
        case .versionMismatch:
            "the file was written by another version of LMDB, or its header is damaged; restore it or move it away"
        case .invalidFile: "the file is not an LMDB database; restore it or move it away"
        case .mapFull: "the memory map is full; delete something, or open it with a larger map"
        case .databasesFull: "more named databases than the environment was opened for"
        case .readersFull: "every reader slot is taken; try again when a reader has finished"
        case .transactionFull: "one transaction changed too many pages"
        case .mapResized: "another process has grown the map"
        case .badTransaction: "the transaction has failed before and can only be aborted"
        case .badValueSize: "the key is empty or longer than 511 bytes, or the value is 4 GiB or larger"
        case .library(let code): "LMDB: \(Self.text(code)) (\(code))"
        case .diskFull: "the disk is full; free some space and try again"
        case .alreadyOpen(let directory): "\(directory) is open in this process already"
        case .networkFileSystem(let directory, let kind): "\(directory) is on \(kind); use a local disk"
        case .nestedWrite: "this thread holds the write transaction already"
        case .removedFile(let path, let descriptor):
            """
            \(path) was removed or replaced while it was open; what it held can be saved until the daemon ends, with \
            `cp /proc/\(getpid())/fd/\(descriptor) \(path).saved`, and put back in its place before the next start
            """
        case .shortenedFile(let path, let fileBytes, let neededBytes):
            "\(path) was cut to \(fileBytes) bytes of \(neededBytes) while it was open; restore it from a backup and "
                + "start caked again"
        case .damagedFile(let problem): "the structure of data.mdb is damaged (\(problem))"
        case .truncatedFile(let fileBytes, let neededBytes):
            "data.mdb has \(fileBytes) bytes and needs \(neededBytes): its end is missing"
        case .system(let errno): "\(Self.text(errno)) (errno \(errno))"
        }
    }

    /// The error of a return code; `fileDescriptor` tells a full disk from a failing one.
    ///
    /// A full disk makes `mdb_txn_commit` return `EIO` after a short write (`mdb_page_flush`), so `EIO` is looked up
    /// with `fstatvfs`.
    init(code: Int32, fileDescriptor: Int32?) {
        switch code {
        case MDB_KEYEXIST: self = .keyExists
        case MDB_NOTFOUND: self = .notFound
        case MDB_PAGE_NOTFOUND: self = .pageNotFound
        case MDB_CORRUPTED: self = .corrupted
        case MDB_PANIC: self = .panic
        case MDB_VERSION_MISMATCH: self = .versionMismatch
        case MDB_INVALID: self = .invalidFile
        case MDB_MAP_FULL: self = .mapFull
        case MDB_DBS_FULL: self = .databasesFull
        case MDB_READERS_FULL: self = .readersFull
        case MDB_TXN_FULL: self = .transactionFull
        case MDB_MAP_RESIZED: self = .mapResized
        case MDB_BAD_TXN: self = .badTransaction
        case MDB_BAD_VALSIZE: self = .badValueSize
        case ENOSPC, EDQUOT: self = .diskFull
        case EIO: self = Self.isFull(fileDescriptor) ? .diskFull : .system(errno: EIO)
        case ..<0: self = .library(code: code)
        default: self = .system(errno: code)
        }
    }

    /// Below this much free space an `EIO` is taken for a full disk: a commit writes at least some pages.
    private static let fullDiskBytes: UInt64 = 1 << 20

    private static func isFull(_ fileDescriptor: Int32?) -> Bool {
        guard let fileDescriptor else { return false }
        var status = statvfs()
        guard unsafe fstatvfs(fileDescriptor, &status) == 0 else { return false }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return !overflow && bytes < fullDiskBytes
    }

    private static func text(_ code: Int32) -> String {
        guard let text = unsafe mdb_strerror(code) else { return "unknown error" }
        return unsafe String(cString: text)
    }
}
