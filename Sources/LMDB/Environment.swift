// One LMDB environment: a directory with a data file, mapped into memory, with one writer and many readers.

import CLMDB
import Glibc
import Locks

import struct Synchronization.Atomic

/// A named database of an environment, opened when the environment was.
public struct Database: Hashable, Sendable {
    let index: MDB_dbi
}

/// The size of an environment and of its map (`MDB_envinfo` and `MDB_stat`).
public struct EnvironmentInfo: Equatable, Sendable {
    /// The size of a page in bytes.
    public var pageBytes: Int
    /// The size of the map: the most that the data file can grow to.
    public var mapBytes: Int
    /// The pages of the map up to the last one in use, free pages between them included.
    public var usedPages: Int
    /// The reader slots of the lock file.
    public var maxReaders: Int
    /// The size of the data file.
    public var fileBytes: Int
}

/// The size of one database (`MDB_stat`).
public struct DatabaseStatistics: Equatable, Sendable {
    /// The number of keys.
    public var entries: Int
    /// The pages that hold the tree and its values.
    public var pages: Int
}

/// An open LMDB environment, without `WRITEMAP`, synced at each commit, its readers free to move between threads.
///
/// Opening one directory twice in a process succeeds in LMDB and silently breaks its locks, so it is refused here.
@safe public final class Environment: @unchecked Sendable {
    // Unchecked: LMDB locks its environment itself (lmdb.h, MDB_NOTLS).
    /// Directories open in this process, by device and inode.
    private static let registry = Mutex<Set<FileIdentity>>([])

    let handle: OpaquePointer
    let overflowPages: OverflowPages?
    /// The thread that holds the write transaction, or 0.
    let writer = Atomic<UInt>(0)
    /// What the check of the data file found when it was opened; nil for a new one.
    public let structure: DataFileStructure?
    private let databases: [String: Database]
    private let identity: FileIdentity
    /// The data file as it was opened.
    private let path: String
    private let file: Int32
    private let fileIdentity: FileIdentity
    /// Its largest size so far: LMDB never makes it smaller.
    private let knownBytes = Atomic<Int>(0)

    /// Opens the environment in a directory, and its databases, creating what is missing with mode 0600.
    ///
    /// - Parameters:
    ///   - directory: an existing directory on a local file system.
    ///   - mapBytes: the most that the data file can grow to; address space, not disk. Set once: LMDB lets a map be
    ///     resized under a live reader, whose pointers then dangle.
    ///   - maxReaders: read transactions that may be open at once.
    ///   - databases: the names of all databases.
    public init(directory: String, mapBytes: Int, maxReaders: Int, databases names: [String]) throws(LMDBError) {
        try NetworkFileSystem.refuse(directory)
        let identity = try FileIdentity(path: directory)
        let isNew = Self.registry.withLock { $0.insert(identity).inserted }
        guard isNew else { throw .alreadyOpen(directory: directory) }
        do throws(LMDBError) {
            structure = try DataFileCheck.check(directory: directory, databases: names)
            if structure == nil { try NewDataFile.create(in: directory, mapBytes: mapBytes) }
            let opened = try unsafe Self.open(
                directory: directory, mapBytes: mapBytes, maxReaders: maxReaders, databaseCount: names.count)
            do throws(LMDBError) {
                self.databases = try unsafe Self.openDatabases(names, in: opened)
                path = directory + "/data.mdb"
                file = try unsafe Self.fileDescriptor(opened)
                fileIdentity = try FileIdentity(path: path)
                overflowPages = try unsafe OverflowPages(opened, info: Self.info(opened, file: file), file: file)
            } catch {
                unsafe mdb_env_close(opened)
                throw error
            }
            unsafe handle = opened
            self.identity = identity
        } catch {
            _ = Self.registry.withLock { $0.remove(identity) }
            throw error
        }
    }

    /// Throws when the data file is no longer at its path, or shorter than it was: asked before every transaction and
    /// around every commit, since LMDB itself would go on.
    public func checkFile() throws(LMDBError) {
        let known = knownBytes.load(ordering: .relaxed)
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw .system(errno: errno) }
        guard status.st_size >= known else {
            throw .shortenedFile(path: path, fileBytes: Int(status.st_size), neededBytes: known)
        }
        knownBytes.max(Int(status.st_size), ordering: .relaxed)
        guard status.st_nlink > 0, (try? FileIdentity(path: path)) == fileIdentity else {
            throw .removedFile(path: path, descriptor: file)
        }
    }

    deinit {
        unsafe mdb_env_close(handle)
        _ = Self.registry.withLock { [identity] in $0.remove(identity) }
    }

    private static func open(
        directory: String, mapBytes: Int, maxReaders: Int, databaseCount: Int
    ) throws(LMDBError) -> OpaquePointer {
        var created: OpaquePointer?
        let code = unsafe mdb_env_create(&created)
        guard code == 0, let handle = unsafe created else { throw LMDBError(code: code, fileDescriptor: nil) }
        let steps: [() -> Int32] = [
            { unsafe mdb_env_set_mapsize(handle, max(mapBytes, 1 << 16)) },
            { unsafe mdb_env_set_maxreaders(handle, UInt32(clamping: max(maxReaders, 1))) },
            { unsafe mdb_env_set_maxdbs(handle, UInt32(clamping: databaseCount)) },
            { unsafe mdb_env_open(handle, directory, UInt32(MDB_NOTLS), 0o600) },
        ]
        for step in steps {
            let code = step()
            if code != 0 {
                unsafe mdb_env_close(handle)
                throw LMDBError(code: code, fileDescriptor: nil)
            }
        }
        return unsafe handle
    }

    private static func openDatabases(
        _ names: [String], in environment: OpaquePointer
    ) throws(LMDBError) -> [String: Database] {
        var begun: OpaquePointer?
        var code = unsafe mdb_txn_begin(environment, nil, 0, &begun)
        guard code == 0, let transaction = unsafe begun else { throw LMDBError(code: code, fileDescriptor: nil) }
        var databases: [String: Database] = [:]
        for name in names {
            var index: MDB_dbi = 0
            code = unsafe mdb_dbi_open(transaction, name, UInt32(MDB_CREATE), &index)
            if code != 0 {
                unsafe mdb_txn_abort(transaction)
                throw LMDBError(code: code, fileDescriptor: nil)
            }
            databases[name] = Database(index: index)
        }
        code = unsafe mdb_txn_commit(transaction)
        guard code == 0 else { throw LMDBError(code: code, fileDescriptor: nil) }
        return databases
    }

    /// A database by the name it was opened with; `.notFound` for any other.
    public func database(_ name: String) throws(LMDBError) -> Database {
        guard let database = databases[name] else { throw .notFound }
        return database
    }

    /// Begins a read transaction: a snapshot that pins its pages until it ends.
    public func read() throws(LMDBError) -> ReadTransaction {
        try checkFile()
        var begun: OpaquePointer?
        let code = unsafe mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &begun)
        guard code == 0, let transaction = unsafe begun else { throw error(code) }
        return unsafe ReadTransaction(environment: self, handle: transaction)
    }

    /// Begins the write transaction, waiting for the one before it; it must end on the thread that began it.
    public func write() throws(LMDBError) -> WriteTransaction {
        let thread = UInt(pthread_self())
        guard writer.load(ordering: .relaxed) != thread else { throw .nestedWrite }
        try checkFile()
        var begun: OpaquePointer?
        let code = unsafe mdb_txn_begin(handle, nil, 0, &begun)
        guard code == 0, let transaction = unsafe begun else { throw error(code) }
        writer.store(thread, ordering: .relaxed)
        return unsafe WriteTransaction(environment: self, handle: transaction)
    }

    /// Frees the slots of readers whose process died, which would pin their pages for ever; returns how many.
    @discardableResult
    public func clearStaleReaders() throws(LMDBError) -> Int {
        var dead: Int32 = 0
        try check(unsafe mdb_reader_check(handle, &dead))
        return Int(dead)
    }

    /// The sizes of the environment as of its last commit.
    public func info() throws(LMDBError) -> EnvironmentInfo {
        try unsafe Self.info(handle, file: Self.fileDescriptor(handle))
    }

    private static func info(_ handle: OpaquePointer, file: Int32) throws(LMDBError) -> EnvironmentInfo {
        var info = unsafe MDB_envinfo()
        var code = unsafe mdb_env_info(handle, &info)
        var statistics = MDB_stat()
        if code == 0 { code = unsafe mdb_env_stat(handle, &statistics) }
        guard code == 0 else { throw LMDBError(code: code, fileDescriptor: file) }
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { throw .system(errno: errno) }
        return unsafe EnvironmentInfo(
            pageBytes: Int(statistics.ms_psize), mapBytes: info.me_mapsize, usedPages: info.me_last_pgno + 1,
            maxReaders: Int(info.me_maxreaders), fileBytes: Int(status.st_size))
    }

    /// Writes what a reader sees now to a new file, without free pages and durably (`MDB_CP_COMPACT`).
    public func copyCompacted(to path: String) throws(LMDBError) {
        let file = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .system(errno: errno) }
        defer { close(file) }
        let code = unsafe mdb_env_copyfd2(handle, file, UInt32(MDB_CP_COMPACT))
        guard code == 0 else { throw LMDBError(code: code, fileDescriptor: file) }
        guard fsync(file) == 0 else { throw LMDBError(code: errno, fileDescriptor: file) }
    }

    /// The pages that earlier transactions have freed; those that a reader still pins are counted too.
    public func freePages() throws(LMDBError) -> Int {
        let transaction = try read()
        var cursor = try transaction.cursor(in: Database(index: 0))  // FREE_DBI: transaction → count and page numbers
        var pages = 0
        var found = try cursor.seek(to: [])
        while found {
            pages += Self.listLength(cursor.value)
            found = try cursor.next()
        }
        return pages
    }

    /// A free list is a count and that many page numbers.
    private static func listLength(_ list: RawSpan) -> Int {
        guard list.byteCount >= MemoryLayout<Int>.size else { return 0 }
        return unsafe list.unsafeLoadUnaligned(fromByteOffset: 0, as: Int.self)
    }

    func check(_ code: Int32) throws(LMDBError) {
        if code != 0 { throw error(code) }
    }

    func error(_ code: Int32) -> LMDBError {
        LMDBError(code: code, fileDescriptor: unsafe try? Self.fileDescriptor(handle))
    }

    private static func fileDescriptor(_ handle: OpaquePointer) throws(LMDBError) -> Int32 {
        var file: Int32 = -1
        let code = unsafe mdb_env_get_fd(handle, &file)
        guard code == 0 else { throw LMDBError(code: code, fileDescriptor: nil) }
        return file
    }
}

/// A file by device and inode, whatever path led to it.
private struct FileIdentity: Hashable {
    let device: UInt
    let inode: UInt

    init(path: String) throws(LMDBError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw .system(errno: errno) }
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
    }
}
