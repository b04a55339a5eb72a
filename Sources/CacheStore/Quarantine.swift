// The mark of a damaged document: it stays until the document is replaced, deleted, or found whole again.

import LMDB
import Locks

/// Why a document was set aside.
public struct Quarantine: Equatable, Sendable {
    /// The generation that was damaged; 0 when its manifest could not say.
    public var generation: UInt64
    /// Unix time at which it was found.
    public var seconds: Int
    /// What was found.
    public var reason: String

    // Value: generation u64, seconds u64, XXH3-64 of the reason and the 16 bytes before u64, reason in UTF-8.
    private static let headerBytes = 24

    var encoded: [UInt8] {
        var writer = LittleEndianWriter()
        writer.append(generation)
        writer.append(UInt64(bitPattern: Int64(seconds)))
        let text = Array(reason.utf8)
        let covered = writer.bytes + text
        unsafe writer.append(RecordFormat.checksum(covered.span.bytes))
        return writer.bytes + text
    }

    /// Reads a mark; one that is damaged itself still sets its document aside.
    static func decoded(_ value: RawSpan) -> Quarantine {
        guard value.byteCount >= headerBytes else { return Quarantine(generation: 0, seconds: 0, reason: "unknown") }
        let bytes = RecordFormat.copy(value)
        let covered = Array(bytes[..<16] + bytes[headerBytes...])
        let checksum = unsafe RecordFormat.checksum(covered.span.bytes)
        guard RecordFormat.number(value, at: 16) == checksum else {
            return Quarantine(generation: 0, seconds: 0, reason: "unknown")
        }
        return Quarantine(
            generation: RecordFormat.number(value, at: 0),
            seconds: Int(truncatingIfNeeded: RecordFormat.number(value, at: 8) as UInt64),
            reason: String(decoding: bytes[headerBytes...], as: UTF8.self))
    }

    /// All marks of a store.
    static func all(in database: Database, _ environment: Environment) throws(LMDBError) -> [DocumentKey: Quarantine] {
        let transaction = try environment.read()
        var cursor = try transaction.cursor(in: database)
        var marks: [DocumentKey: Quarantine] = [:]
        var found = try cursor.seek(to: [])
        while found {
            if let key = RecordFormat.documentKey(cursor.key) { marks[key] = decoded(cursor.value) }
            found = try cursor.next()
        }
        return marks
    }
}

extension DocumentStore {
    /// Why a document is quarantined, or nil.
    public func quarantine(_ key: DocumentKey) -> Quarantine? { state.withLock { $0.quarantine[key] } }

    /// Runs what reads a document; damage sets the document aside.
    func quarantining<Result>(
        _ key: DocumentKey, generation: UInt64 = 0, _ body: () throws(StoreError) -> Result
    ) throws(StoreError) -> Result {
        do throws(StoreError) {
            return try body()
        } catch .corrupt(_, let problem) {
            setAside(key, Quarantine(generation: generation, seconds: now, reason: problem))
            throw .quarantined(name: key.name, reason: problem)
        }
    }

    /// Remembers a document's damage, on disk when that can be written to.
    private func setAside(_ key: DocumentKey, _ mark: Quarantine) {
        // Somebody may have replaced the document since it was read: the mark is for the generation that was damaged.
        try? write { transaction throws(StoreError) in
            do throws(LMDBError) {
                let current = try self.generation(ofManifest: RecordFormat.manifestKey(key), in: transaction.lmdb)
                guard mark.generation == 0 || current == mark.generation else { return }
                state.withLock { $0.quarantine[key] = mark }
                unsafe try transaction.lmdb.put(
                    mark.encoded.span.bytes, forKey: RecordFormat.manifestKey(key), in: quarantineDatabase)
            } catch { throw storeError(error) }
        }
    }

    /// Removes a document's mark as part of a transaction; the caller removes the one in memory when that commits.
    func removeMark(_ key: DocumentKey, in transaction: inout WriteTransaction) throws(LMDBError) {
        guard state.withLock({ $0.quarantine[key] }) != nil else { return }
        try transaction.delete(RecordFormat.manifestKey(key), in: quarantineDatabase)
    }
}
