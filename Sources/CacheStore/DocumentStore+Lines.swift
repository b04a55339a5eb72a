// Listing documents by their lines, and filling the index from them when the store is opened.

import LMDB
import Locks

/// A document that was set aside.
public struct QuarantinedDocument: Equatable, Sendable {
    /// What it is found by.
    public var key: DocumentKey
    /// What was found.
    public var reason: String
    /// What it is, when its manifest is intact.
    public var manifest: Manifest?
}

/// A document in a list.
public enum ListedDocument: Sendable {
    /// One that can be opened, as far as is known.
    case sound(DocumentLine)
    /// One that was set aside.
    case damaged(QuarantinedDocument)
}

extension DocumentStore {
    /// The documents of an owner after a name, in the order of their names, at most so many; expired ones are left out,
    /// and damaged ones unless they are asked for.
    public func list(
        owner: UInt32, after name: String? = nil, limit: Int = .max, withDamaged: Bool = true
    ) throws(StoreError) -> [ListedDocument] {
        var (listed, damaged): ([ListedDocument], [DocumentKey: String]) = ([], [:])
        let marks = state.withLock(\.quarantine)
        try forEachLine(from: RecordFormat.position(owner: owner, after: name)) { key, line in
            guard key.owner == owner, listed.count < limit else { return false }
            switch line {
            case .success(let line):
                if line.entry.hasExpired(by: now) { break }
                if let mark = marks[key] {
                    guard withDamaged else { break }
                    damaged[key] = mark.reason
                }
                listed.append(.sound(line))
            case .failure(let error):
                guard withDamaged else { break }
                damaged[key] = marks[key]?.reason ?? error.problem
                listed.append(.damaged(QuarantinedDocument(key: key, reason: damaged[key] ?? "", manifest: nil)))
            }
            return true
        }
        if damaged.isEmpty { return listed }
        return try listed.map { document throws(StoreError) in
            guard case .sound(let line) = document, let key = try? DocumentKey(owner: owner, name: line.name),
                let reason = damaged[key]
            else { return document }
            let manifest = try? readManifest(key, in: beginRead())
            return .damaged(QuarantinedDocument(key: key, reason: reason, manifest: manifest))
        }
    }

    /// The quarantined documents of an owner (of all owners when nil), by owner and name.
    public func quarantined(owner: UInt32? = nil) throws(StoreError) -> [QuarantinedDocument] {
        var documents: [QuarantinedDocument] = []
        let owners = if let owner { [owner] } else { try everyOwner() }
        for owner in owners {
            for case .damaged(let document) in try list(owner: owner) { documents.append(document) }
        }
        return documents
    }

    private func everyOwner() throws(StoreError) -> [UInt32] {
        Set(try keys(owner: nil).map(\.owner)).sorted()
    }

    /// The keys of all documents of an owner (of all owners when nil), by owner and name.
    func keys(owner: UInt32?) throws(StoreError) -> [DocumentKey] {
        var keys: [DocumentKey] = []
        try mapped { () throws(LMDBError) in
            let transaction = try environment.read()
            var cursor = try transaction.cursor(in: manifestsDatabase)
            var found = try cursor.seek(to: owner.map(RecordFormat.bigEndian) ?? [])
            while found {
                if let key = RecordFormat.documentKey(cursor.key) {
                    if let owner, key.owner != owner { return }
                    keys.append(key)
                }
                found = try cursor.next()
            }
        }
        return keys
    }

    // MARK: Lines

    /// The line of a manifest that is stored as this value.
    func line(of manifest: Manifest, value: RawSpan) -> DocumentLine {
        DocumentLine(
            manifest, manifestBytes: value.byteCount, checksum: ManifestRecord.checksum(of: value),
            footprint: footprint, limits: limits)
    }

    var footprint: Footprint {
        Footprint(pageBytes: pageBytes, valueOffset: valueOffset, maximumValueBytes: maximumValueBytes)
    }

    /// Visits the documents from a key on, in order of owner and name, until `body` says stop.
    private func forEachLine(
        from start: [UInt8], _ body: (DocumentKey, Result<DocumentLine, StoreError>) -> Bool
    ) throws(StoreError) {
        try mapped { () throws(LMDBError) in
            let transaction = try environment.read()
            var cursor = try transaction.cursor(in: manifestsDatabase)
            var found = try cursor.seek(to: start)
            while found {
                // A key that is none was not written here; nothing can be asked of it by name.
                if let key = RecordFormat.documentKey(cursor.key) {
                    let stored = try storedLine(key, manifest: cursor.value, in: transaction)
                    let line = stored.map { .success($0) } ?? madeLine(key, manifest: cursor.value)
                    guard body(key, line.map { withUsage($0, key: key) }) else { return }
                }
                found = try cursor.next()
            }
        }
    }

    /// The stored line, where it is that of the manifest and the manifest is what was written.
    private func storedLine(
        _ key: DocumentKey, manifest: RawSpan, in transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> DocumentLine? {
        guard let value = try transaction.value(forKey: RecordFormat.manifestKey(key), in: linesDatabase),
            let line = DocumentLine(value, key: key), ManifestRecord.isIntact(manifest),
            line.id == ManifestRecord.generation(of: manifest),
            line.manifestChecksum == ManifestRecord.checksum(of: manifest), line.floor == limits.shrinkFloor
        else { return nil }
        return line
    }

    private func madeLine(_ key: DocumentKey, manifest value: RawSpan) -> Result<DocumentLine, StoreError> {
        ManifestRecord.decoded(value, key: key).map { line(of: $0, value: value) }
    }

    private func withUsage(_ line: DocumentLine, key: DocumentKey) -> DocumentLine {
        guard let usage = state.withLock({ $0.usage[key] }) else { return line }
        var line = line
        line.lastUsedSeconds = max(line.lastUsedSeconds, usage.lastUsedSeconds)
        line.hits = line.hits.addingReportingOverflow(usage.hits).partialValue
        return line
    }

    // MARK: The index

    /// Fills the index when the store is opened, and mends the lines: a store of an older version has none.
    func fillShelf() throws(StoreError) {
        var found: [(key: DocumentKey, entry: Shelf.Entry)] = []
        var (fresh, stale): ([(DocumentKey, DocumentLine)], [[UInt8]]) = ([], [])
        try mapped { () throws(LMDBError) in
            let transaction = try environment.read()
            var cursor = try transaction.cursor(in: manifestsDatabase)
            var isThere = try cursor.seek(to: [])
            while isThere {
                if let key = RecordFormat.documentKey(cursor.key) {
                    if let line = try storedLine(key, manifest: cursor.value, in: transaction) {
                        found.append((key, line.entry))
                    } else if case .success(let line) = madeLine(key, manifest: cursor.value) {
                        found.append((key, line.entry))
                        fresh.append((key, line))
                    } else {
                        let generation = ManifestRecord.generation(of: cursor.value) ?? 0
                        let bytes = try recordBytes(of: generation, in: transaction)
                        found.append((key, Shelf.Entry(damaged: generation, bytes: bytes)))
                    }
                }
                isThere = try cursor.next()
            }
            stale = try keysOfLines(without: Set(found.map { RecordFormat.manifestKey($0.key) }), in: transaction)
        }
        let shelf = Shelf(found)
        state.withLock { $0.shelf = shelf }
        // On a full disk they are made again next time.
        try? mendLines(fresh, stale)
    }

    private func keysOfLines(
        without known: Set<[UInt8]>, in transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [[UInt8]] {
        var stale: [[UInt8]] = []
        var cursor = try transaction.cursor(in: linesDatabase)
        var found = try cursor.seek(to: [])
        while found {
            let key = RecordFormat.copy(cursor.key)
            if !known.contains(key) { stale.append(key) }
            found = try cursor.next()
        }
        return stale
    }

    private func mendLines(_ fresh: [(DocumentKey, DocumentLine)], _ stale: [[UInt8]]) throws(StoreError) {
        if fresh.isEmpty, stale.isEmpty { return }
        try write { transaction throws(StoreError) in
            do throws(LMDBError) {
                for key in stale { try transaction.lmdb.delete(key, in: linesDatabase) }
                for (key, line) in fresh {
                    unsafe try transaction.lmdb.put(
                        line.encoded.span.bytes, forKey: RecordFormat.manifestKey(key), in: linesDatabase)
                }
            } catch { throw storeError(error) }
        }
    }

    /// What the records of a generation take, by a walk over them.
    private func recordBytes(
        of generation: UInt64, in transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Int {
        var bytes = 0
        var cursor = try transaction.cursor(in: recordsDatabase)
        var found = try cursor.seek(to: RecordFormat.generationKey(generation))
        while found, RecordFormat.generation(ofKey: cursor.key) == generation {
            bytes += cursor.value.byteCount + Footprint.lineBytes
            found = try cursor.next()
        }
        return bytes
    }
}

extension Shelf.Entry {
    /// A document of which only the size is known.
    init(damaged generation: UInt64, bytes: Int) {
        self.init(
            generation: generation, budget: 0, bytes: bytes, shrinkableBytes: 0, lastUsedSeconds: 0,
            ttlSeconds: nil, isPinned: false, isTrimming: false, isDamaged: true)
    }
}
