// The documents on disk: found by owner and name, written once, read from the memory map.

import Glibc
import LMDB
import Locks

import struct Synchronization.Atomic

/// A directory of documents; one per process and directory.
///
/// Its methods may be called from any thread.
///
/// Writes are whole transactions on the calling thread, one after the other; reads never wait for them. A write that
/// fails (disk full, an I/O error, map full) has not happened, and the store goes on; only after `.failed` it must be
/// opened again.
public final class DocumentStore: Sendable {
    /// Address space for the data file: enough for any disk this is meant for, and no cost until it is used.
    public static let defaultMapBytes = 256 << 30
    /// Documents open at once: LMDB's reader slots, 64 bytes each.
    public static let defaultMaxReaders = 512

    /// How much space the store may take.
    public let limits: StoreLimits
    /// What was compacted when the store was opened, if anything was.
    public let compaction: Compaction?
    let environment: Environment
    let manifestsDatabase: Database
    let recordsDatabase: Database
    let quarantineDatabase: Database
    let linesDatabase: Database
    let tombstonesDatabase: Database
    /// Where in 64 bytes LMDB starts the values it gives pages of their own, as measured in the map.
    let valueOffset: Int
    let pageBytes: Int
    let maximumValueBytes: Int
    let state: Mutex<State>
    /// Held for the length of a write.
    let writer = Mutex<Void>(())
    let openDocuments = Atomic<Int>(0)
    let clearedReaders = Atomic<Int>(0)
    let changes = Atomic<UInt64>(0)
    let collectedRecords: Int
    let directory: StoreDirectory
    let truncate: Truncating
    private let clock: @Sendable () -> Int
    private let mapBytes: Int
    private let maxReaders: Int

    /// What lives in memory only.
    struct State {
        var nextGeneration: UInt64
        /// What is stored, and who used what last.
        var shelf = Shelf()
        /// Usage since the last flush.
        var usage: [DocumentKey: Usage] = [:]
        /// Generations no manifest names whose records could not all be deleted yet.
        var garbage: Set<UInt64> = []
        /// Generations whose checksums were compared since the store was opened.
        var verified: Set<UInt64> = []
        /// Documents set aside, as the quarantine database has them.
        var quarantine: [DocumentKey: Quarantine] = [:]
        /// When each open document was opened.
        var readers: [UInt64: ContinuousClock.Instant] = [:]
        var nextReader: UInt64 = 0
    }

    struct Usage {
        var lastUsedSeconds: Int
        var hits: Int
    }

    /// Opens the store in a directory, creating it (mode 0700) if it is missing, checks its structure, collects
    /// garbage, and compacts it when that pays.
    ///
    /// Throws `.inUse` when another store is open there, `.damagedStore` when the file's structure is damaged or its
    /// end is missing, and refuses directories of other users and network file systems. The map size counts for good
    /// as long as the store is open.
    ///
    /// - Parameter truncate: says what a document keeps under a smaller budget; without it none is shrunk.
    public convenience init(
        directory: String, mapBytes: Int = defaultMapBytes, maxReaders: Int = defaultMaxReaders,
        limits: StoreLimits = StoreLimits(), clock: @escaping @Sendable () -> Int = { time(nil) },
        truncate: @escaping Truncating = { _, _ in nil }
    ) throws(StoreError) {
        try self.init(
            directory: directory, mapBytes: mapBytes, maxReaders: maxReaders,
            maximumValueBytes: RecordFormat.maximumValueBytes, limits: limits, clock: clock, truncate: truncate)
    }

    /// As above, with a smaller bound of a value, so that tests see heads split.
    package init(
        directory path: String, mapBytes: Int, maxReaders: Int, maximumValueBytes: Int,
        limits: StoreLimits = StoreLimits(), clock: @escaping @Sendable () -> Int,
        truncate: @escaping Truncating = { _, _ in nil }
    ) throws(StoreError) {
        directory = try StoreDirectory(path: path)
        let opened: OpenedEnvironment
        let collection: GarbageCollection.Outcome
        let quarantine: [DocumentKey: Quarantine]
        Compaction.removeLeftover(in: path)
        (opened, compaction) = try Self.openEnvironment(
            in: directory, mapBytes: mapBytes, maxReaders: maxReaders, limits: limits)
        // Before anything is collected: what is garbage in one format may be a document in another.
        guard opened.formatVersion == RecordFormat.version else {
            throw .format(found: opened.formatVersion, supported: RecordFormat.version)
        }
        do throws(LMDBError) {
            collection = try GarbageCollection.run(
                opened.environment, manifests: opened.manifests, records: opened.records)
            quarantine = try Quarantine.all(in: opened.quarantine, opened.environment)
        } catch {
            throw StoreError(error, directory: path, mapBytes: mapBytes, maxReaders: maxReaders)
        }
        environment = opened.environment
        (manifestsDatabase, recordsDatabase) = (opened.manifests, opened.records)
        quarantineDatabase = opened.quarantine
        (linesDatabase, tombstonesDatabase) = (opened.lines, opened.tombstones)
        (valueOffset, pageBytes) = (opened.valueOffset, opened.pageBytes)
        collectedRecords = collection.collectedRecords
        clearedReaders.store(opened.clearedReaders, ordering: .relaxed)
        state = Mutex(State(nextGeneration: collection.nextGeneration, quarantine: quarantine))
        (self.mapBytes, self.maxReaders, self.maximumValueBytes) = (mapBytes, maxReaders, maximumValueBytes)
        (self.limits, self.clock, self.truncate) = (limits, clock, truncate)
        try fillShelf()
    }

    /// Opens the environment, compacted when that pays.
    private static func openEnvironment(
        in directory: borrowing StoreDirectory, mapBytes: Int, maxReaders: Int, limits: StoreLimits
    ) throws(StoreError) -> (OpenedEnvironment, Compaction?) {
        func open() throws(StoreError) -> OpenedEnvironment {
            do throws(LMDBError) {
                return try OpenedEnvironment(directory: path, mapBytes: mapBytes, maxReaders: maxReaders)
            } catch {
                throw StoreError(error, directory: path, mapBytes: mapBytes, maxReaders: maxReaders)
            }
        }
        let path = directory.path
        let bytesBefore: Int
        do {
            let opened = try open()
            guard let before = compactIfWorthwhile(opened, in: directory, limits: limits) else { return (opened, nil) }
            bytesBefore = before
        }
        // The environment is closed: a file is never replaced under its map.
        let compaction = try Compaction.replace(in: path, bytesBefore: bytesBefore)
        return (try open(), compaction)
    }

    // MARK: Looking

    /// The manifest of a document, or nil when there is none (or it has expired); that of a quarantined document too.
    ///
    /// Throws `.quarantined` when it is damaged itself.
    public func manifest(_ key: DocumentKey) throws(StoreError) -> Manifest? {
        let transaction = try beginRead()
        guard let manifest = try quarantining(key, { () throws(StoreError) in try readManifest(key, in: transaction) })
        else { return nil }
        return manifest.isExpired(atSeconds: clock()) ? nil : manifest
    }

    /// Opens a document for reading, without copying it.
    ///
    /// The first time since the store was opened, all its checksums are compared: XXH3 takes some 0.1 s for a GiB that
    /// is in memory, and the disk's time for one that is not.
    ///
    /// - Parameter budget: reads only what this budget keeps, when it is smaller than the document's own.
    /// - Throws: `.notFound`, `.quarantined`, or `.mismatch` naming the first field in which the fingerprints differ.
    public func open(
        _ key: DocumentKey, fingerprint: [String: String], budget: Int? = nil
    ) throws(StoreError) -> OpenDocument {
        let document = try openUnchecked(key, fingerprint: fingerprint)
        guard let budget, budget < document.manifest.budget, let truncation = truncate(document, budget) else {
            return document
        }
        return try document.truncated(truncation)
    }

    /// Opens a document as it is stored; `fingerprint` nil asks for none.
    func openUnchecked(_ key: DocumentKey, fingerprint: [String: String]?) throws(StoreError) -> OpenDocument {
        let transaction = try beginRead()
        let found = try quarantining(key) { () throws(StoreError) in try readManifest(key, in: transaction) }
        guard let manifest = found, !manifest.isExpired(atSeconds: now) else { throw try missing(key) }
        if let quarantine = quarantine(key) { throw .quarantined(name: key.name, reason: quarantine.reason) }
        if let fingerprint, let difference = Manifest.difference(stored: manifest.fingerprint, current: fingerprint) {
            throw difference
        }
        let isVerified = state.withLock { $0.verified.contains(manifest.id) }
        let snapshot = Snapshot(store: self, transaction: transaction)
        return try quarantining(key, generation: manifest.id) { () throws(StoreError) in
            let document = try OpenDocument(manifest: manifest, snapshot: snapshot)
            if !isVerified {
                try document.verify()
                state.withLock { _ = $0.verified.insert(manifest.id) }
            }
            return document
        }
    }

    // MARK: Writing

    /// Begins a document; nothing of it is seen before its `commit`.
    ///
    /// One of the same key stays until then.
    public func begin(_ key: DocumentKey, shape: CacheShape) throws(StoreError) -> StagedDocument {
        try shape.validate()
        let generation = state.withLock { state in
            defer { state.nextGeneration += 1 }
            return state.nextGeneration
        }
        return StagedDocument(store: self, key: key, shape: shape, generation: generation)
    }

    /// Changes how long a document lives: nil keeps it for ever.
    ///
    /// Counts as a use. Throws `.overPinShare` when that would pin more than its owner may.
    public func update(_ key: DocumentKey, ttlSeconds: Int?, pinned: Bool) throws(StoreError) -> Manifest {
        let manifest = try quarantining(key) { () throws(StoreError) in
            try write { transaction throws(StoreError) in
                guard var manifest = try storedManifest(key, in: transaction.lmdb),
                    !withUsage(manifest, key: key).isExpired(atSeconds: now)
                else { throw try missing(key) }
                if pinned, !manifest.pinned {
                    let bytes = state.withLock { $0.shelf.entries[key]?.bytes ?? 0 }
                    try checkPin(bytes: bytes, for: key)
                }
                (manifest.ttlSeconds, manifest.pinned) = (ttlSeconds, pinned)
                manifest.lastUsedSeconds = max(manifest.lastUsedSeconds, now)
                if let problem = manifest.problem() { throw .invalidManifest(problem) }
                try put(manifest, key: key, in: &transaction)
                return manifest
            }
        }
        return withUsage(manifest, key: key)
    }

    /// Gives a document another name; whoever has it open reads on.
    ///
    /// Throws `.nameTaken` where there is a document of that name, and `.quarantined` for one that is damaged.
    public func rename(_ key: DocumentKey, to other: DocumentKey) throws(StoreError) -> Manifest {
        let manifest = try quarantining(key) { () throws(StoreError) in
            try write { transaction throws(StoreError) in
                if let quarantine = quarantine(key) { throw .quarantined(name: key.name, reason: quarantine.reason) }
                guard var manifest = try storedManifest(key, in: transaction.lmdb).map({ withUsage($0, key: key) }),
                    !manifest.isExpired(atSeconds: now)
                else { throw try missing(key) }
                guard state.withLock({ $0.shelf.entries[other] }) == nil else { throw .nameTaken(name: other.name) }
                (manifest.owner, manifest.name) = (other.owner, other.name)
                _ = try removeManifest(key, in: &transaction)
                try removeTombstone(other, in: &transaction)
                try put(manifest, key: other, in: &transaction)
                return manifest
            }
        }
        state.withLock { $0.usage[key] = nil }
        return withUsage(manifest, key: other)
    }

    /// Notes that a document has answered a question; in memory until `flushUsage()`, so that a question is no write.
    public func touch(_ key: DocumentKey) {
        let now = clock()
        state.withLock { state in
            // Only names that exist are touched; the bound is for a caller that does otherwise.
            guard state.usage[key] != nil || state.usage.count < 65_536 else { return }
            let hits = state.usage[key]?.hits ?? 0
            state.usage[key] = Usage(lastUsedSeconds: now, hits: hits + 1)
            state.shelf.use(key, seconds: now)
        }
    }

    /// Throws `.lost` when the database file was removed, replaced or cut since the store was opened.
    public func checkFile() throws(StoreError) {
        do { try environment.checkFile() } catch { throw storeError(error) }
    }

    var now: Int { clock() }

    // MARK: Transactions

    func beginRead() throws(StoreError) -> ReadTransaction {
        do { return try environment.read() } catch { throw storeError(error) }
    }

    func mapped<Result>(_ body: () throws(LMDBError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch { throw storeError(error) }
    }

    func storeError(_ error: LMDBError) -> StoreError {
        StoreError(error, directory: directory.path, mapBytes: mapBytes, maxReaders: maxReaders)
    }
}

extension StoreError {
    /// The store's words for an error of the database.
    init(_ error: LMDBError, directory: String, mapBytes: Int, maxReaders: Int) {
        switch error {
        case .mapFull: self = .full(mapBytes: mapBytes)
        case .diskFull: self = .diskFull(directory: directory)
        case .readersFull: self = .tooManyReaders(limit: maxReaders)
        case .networkFileSystem(_, let kind): self = .networkFileSystem(directory: directory, kind: kind)
        case .alreadyOpen: self = .inUse(directory: directory)
        case .corrupted, .pageNotFound, .damagedFile, .truncatedFile:
            self = .damagedStore(directory: directory, problem: error.description)
        case .removedFile, .shortenedFile: self = .lost(problem: error.description)
        case .panic: self = .failed(directory: directory)
        default: self = .database(error)
        }
    }
}
