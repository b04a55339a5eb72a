// The documents on disk: found by owner and name, written once, read from the memory map.

import Glibc
import LMDB
import Synchronization

/// What the store holds, and in how much space.
public struct StoreStatistics: Equatable, Sendable {
    /// Documents, expired ones not yet collected included.
    public var documents: Int
    /// What the documents' records and manifests take.
    public var storedBytes: Int
    /// Space in the file that later documents will use.
    public var freeBytes: Int
    /// The size of the data file, which never shrinks.
    public var fileBytes: Int
    /// The most that the data file can grow to.
    public var mapBytes: Int
    /// Documents open for reading, each of which pins the pages freed since.
    public var openDocuments: Int
    /// Records without a manifest that were deleted when the store was opened.
    public var collectedRecords: Int
}

/// A directory of documents; one per process and directory.
///
/// Its methods may be called from any thread.
///
/// Writes are whole transactions on the calling thread, one after the other; reads never wait for them. A write that
/// fails (disk full, an I/O error, map full) has not happened, and the store goes on.
public final class DocumentStore: Sendable {
    /// Address space for the data file: enough for any disk this is meant for, and no cost until it is used.
    public static let defaultMapBytes = 256 << 30
    /// Documents open at once: LMDB's reader slots, 64 bytes each.
    public static let defaultMaxReaders = 512

    let environment: Environment
    let manifestsDatabase: Database
    let recordsDatabase: Database
    /// Where in 64 bytes LMDB starts the values it gives pages of their own, as measured in the map.
    let valueOffset: Int
    let pageBytes: Int
    let maximumValueBytes: Int
    let state: Mutex<State>
    let openDocuments = Atomic<Int>(0)
    private let clock: @Sendable () -> Int
    private let mapBytes: Int
    private let maxReaders: Int
    private let collectedRecords: Int
    private let directory: StoreDirectory

    /// What lives in memory only.
    struct State {
        var nextGeneration: UInt64
        /// Usage since the last flush.
        var usage: [DocumentKey: Usage] = [:]
        /// Generations no manifest names whose records could not all be deleted yet.
        var garbage: Set<UInt64> = []
    }

    struct Usage {
        var lastUsedSeconds: Int
        var hits: Int
    }

    /// Opens the store in a directory, creating it (mode 0700) if it is missing, and collects garbage.
    ///
    /// Throws `.inUse` when another store is open there, and refuses directories of other users and network file
    /// systems. The map size counts for good as long as the store is open.
    public convenience init(
        directory: String, mapBytes: Int = defaultMapBytes, maxReaders: Int = defaultMaxReaders,
        clock: @escaping @Sendable () -> Int = { time(nil) }
    ) throws(StoreError) {
        try self.init(
            directory: directory, mapBytes: mapBytes, maxReaders: maxReaders,
            maximumValueBytes: RecordFormat.maximumValueBytes, clock: clock)
    }

    /// As above, with a smaller bound of a value, so that tests see heads split.
    package init(
        directory path: String, mapBytes: Int, maxReaders: Int, maximumValueBytes: Int,
        clock: @escaping @Sendable () -> Int
    ) throws(StoreError) {
        directory = try StoreDirectory(path: path)
        let opened: OpenedEnvironment
        let collection: GarbageCollection.Outcome
        do throws(LMDBError) {
            opened = try OpenedEnvironment(directory: path, mapBytes: mapBytes, maxReaders: maxReaders)
        } catch {
            throw StoreError(error, directory: path, mapBytes: mapBytes, maxReaders: maxReaders)
        }
        // Before anything is collected: what is garbage in one format may be a document in another.
        guard opened.formatVersion == RecordFormat.version else {
            throw .format(found: opened.formatVersion, supported: RecordFormat.version)
        }
        do throws(LMDBError) {
            collection = try GarbageCollection.run(
                opened.environment, manifests: opened.manifests, records: opened.records)
        } catch {
            throw StoreError(error, directory: path, mapBytes: mapBytes, maxReaders: maxReaders)
        }
        environment = opened.environment
        (manifestsDatabase, recordsDatabase) = (opened.manifests, opened.records)
        (valueOffset, pageBytes) = (opened.valueOffset, opened.pageBytes)
        collectedRecords = collection.collectedRecords
        state = Mutex(State(nextGeneration: collection.nextGeneration))
        (self.mapBytes, self.maxReaders, self.maximumValueBytes) = (mapBytes, maxReaders, maximumValueBytes)
        self.clock = clock
    }

    // MARK: Looking

    /// The manifests of an owner's documents (of all owners when nil), by owner and name; expired and damaged ones
    /// are left out (`damagedDocuments()` names the latter).
    public func manifests(owner: UInt32? = nil) throws(StoreError) -> [Manifest] {
        let now = clock()
        var manifests: [Manifest] = []
        try forEachManifest(owner: owner) { _, manifest in
            if case .success(let manifest) = manifest, !manifest.isExpired(atSeconds: now) {
                manifests.append(manifest)
            }
        }
        return manifests
    }

    /// The documents whose manifest cannot be read, and why.
    public func damagedDocuments() throws(StoreError) -> [(key: DocumentKey, error: StoreError)] {
        var damaged: [(DocumentKey, StoreError)] = []
        try forEachManifest(owner: nil) { key, manifest in
            if case .failure(let error) = manifest { damaged.append((key, error)) }
        }
        return damaged
    }

    /// The manifest of a document, or nil when there is none (or it has expired); `.corrupt` when it is damaged.
    public func manifest(_ key: DocumentKey) throws(StoreError) -> Manifest? {
        let transaction = try beginRead()
        guard let manifest = try readManifest(key, in: transaction) else { return nil }
        return manifest.isExpired(atSeconds: clock()) ? nil : manifest
    }

    /// Opens a document for reading, without copying it.
    ///
    /// Throws `.notFound`, `.mismatch` naming the first field in which the fingerprints differ, or `.corrupt`.
    public func open(_ key: DocumentKey, fingerprint: [String: String]) throws(StoreError) -> OpenDocument {
        let transaction = try beginRead()
        guard let manifest = try readManifest(key, in: transaction), !manifest.isExpired(atSeconds: clock()) else {
            throw .notFound(name: key.name)
        }
        if let difference = Manifest.difference(stored: manifest.fingerprint, current: fingerprint) {
            throw difference
        }
        return try OpenDocument(store: self, manifest: manifest, transaction: transaction)
    }

    /// The size of the store.
    public func statistics() throws(StoreError) -> StoreStatistics {
        try mapped { () throws(LMDBError) in
            let transaction = try environment.read()
            let manifests = try transaction.statistics(of: manifestsDatabase)
            let records = try transaction.statistics(of: recordsDatabase)
            let info = try environment.info()
            return StoreStatistics(
                documents: manifests.entries, storedBytes: (manifests.pages + records.pages) * info.pageBytes,
                freeBytes: try environment.freePages() * info.pageBytes, fileBytes: info.fileBytes,
                mapBytes: info.mapBytes, openDocuments: openDocuments.load(ordering: .relaxed),
                collectedRecords: collectedRecords)
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
    /// Counts as a use.
    public func update(_ key: DocumentKey, ttlSeconds: Int?, pinned: Bool) throws(StoreError) -> Manifest {
        let manifest = try write { transaction throws(StoreError) in
            guard var manifest = try storedManifest(key, in: transaction),
                !withUsage(manifest, key: key).isExpired(atSeconds: clock())
            else { throw .notFound(name: key.name) }
            (manifest.ttlSeconds, manifest.pinned) = (ttlSeconds, pinned)
            manifest.lastUsedSeconds = max(manifest.lastUsedSeconds, clock())
            if let problem = manifest.problem() { throw .invalidManifest(problem) }
            try put(manifest, key: key, in: &transaction)
            return manifest
        }
        return withUsage(manifest, key: key)
    }

    /// Notes that a document has answered a question; in memory until `flushUsage()`, so that a question is no write.
    public func touch(_ key: DocumentKey) {
        let now = clock()
        state.withLock { state in
            // Only names that exist are touched; the bound is for a caller that does otherwise.
            guard state.usage[key] != nil || state.usage.count < 65_536 else { return }
            let hits = state.usage[key]?.hits ?? 0
            state.usage[key] = Usage(lastUsedSeconds: now, hits: hits + 1)
        }
    }

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

    var now: Int { clock() }

    // MARK: Transactions

    func beginRead() throws(StoreError) -> ReadTransaction {
        do { return try environment.read() } catch { throw storeError(error) }
    }

    /// Runs one write transaction; it is aborted when `body` throws.
    func write<Result>(
        _ body: (inout WriteTransaction) throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        var transaction: WriteTransaction
        do { transaction = try environment.write() } catch { throw storeError(error) }
        let result = try body(&transaction)
        do { try transaction.commit() } catch { throw storeError(error) }
        return result
    }

    func mapped<Result>(_ body: () throws(LMDBError) -> Result) throws(StoreError) -> Result {
        do { return try body() } catch { throw storeError(error) }
    }

    func storeError(_ error: LMDBError) -> StoreError {
        StoreError(error, directory: directory.path, mapBytes: mapBytes, maxReaders: maxReaders)
    }

    // MARK: Manifests

    /// The manifest as a question sees it: with the usage that is not written yet.
    private func readManifest(
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

    private func withUsage(_ manifest: Manifest, key: DocumentKey) -> Manifest {
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

extension StoreError {
    /// The store's words for an error of the database.
    init(_ error: LMDBError, directory: String, mapBytes: Int, maxReaders: Int) {
        switch error {
        case .mapFull: self = .full(mapBytes: mapBytes)
        case .diskFull: self = .diskFull(directory: directory)
        case .readersFull: self = .tooManyReaders(limit: maxReaders)
        case .networkFileSystem(_, let kind): self = .networkFileSystem(directory: directory, kind: kind)
        case .alreadyOpen: self = .inUse(directory: directory)
        default: self = .database(error)
        }
    }
}
