// What is left of a document that the store deleted: when and why, so that its owner is told.

import LMDB
import Locks

/// Why a document that its owner did not delete is gone.
public struct Tombstone: Equatable, Sendable {
    /// Why it was deleted.
    public enum Reason: UInt8, Sendable {
        /// Its time to live was over.
        case expired = 0
        /// It had been used least recently, and a document of its owner needed the room.
        case quota = 1
    }

    /// Why it was deleted.
    public var reason: Reason
    /// Unix time at which it was.
    public var seconds: Int
    /// Unix time of its last use.
    public var lastUsedSeconds: Int
    /// The bytes it took.
    public var bytes: Int

    // Value: reason u8, seven zeros, seconds u64, last use u64, bytes u64, XXH3-64 of the 32 bytes before.
    private static let byteCount = 40

    var encoded: [UInt8] {
        var writer = LittleEndianWriter()
        writer.append(UInt64(reason.rawValue))
        for number in [seconds, lastUsedSeconds, bytes] { writer.append(Int64(number)) }
        unsafe writer.append(RecordFormat.checksum(writer.bytes.span.bytes))
        return writer.bytes
    }

    /// Reads one; nil when it is damaged.
    init?(_ value: RawSpan) {
        guard value.byteCount == Self.byteCount,
            RecordFormat.number(value, at: 32) == RecordFormat.checksum(value.extracting(0..<32)),
            let reason = Reason(rawValue: RecordFormat.number(value, at: 0))
        else { return nil }
        func number(_ offset: Int) -> Int { Int(truncatingIfNeeded: RecordFormat.number(value, at: offset) as Int64) }
        self.reason = reason
        (seconds, lastUsedSeconds, bytes) = (number(8), number(16), number(24))
    }

    init(reason: Reason, seconds: Int, _ entry: Shelf.Entry) {
        (self.reason, self.seconds) = (reason, seconds)
        (lastUsedSeconds, bytes) = (entry.lastUsedSeconds, entry.bytes)
    }
}

extension DocumentStore {
    /// Tombstones that one user may have, the oldest of which go beyond that: as many as a page of the list has.
    static let maximumTombstones = 1_000

    /// Why a document is gone, as long as that is remembered; nil when it is there or was never.
    public func tombstone(_ key: DocumentKey) throws(StoreError) -> Tombstone? {
        let transaction = try beginRead()
        do throws(LMDBError) {
            guard let value = try transaction.value(forKey: RecordFormat.manifestKey(key), in: tombstonesDatabase)
            else { return nil }
            return Tombstone(value).flatMap { isRemembered($0) ? $0 : nil }
        } catch { throw storeError(error) }
    }

    /// The tombstones of a user after a name, in their order, at most so many.
    public func tombstones(
        owner: UInt32, after name: String? = nil, limit: Int = .max
    ) throws(StoreError) -> [(key: DocumentKey, tombstone: Tombstone)] {
        var found: [(key: DocumentKey, tombstone: Tombstone)] = []
        try forEachTombstone(from: RecordFormat.position(owner: owner, after: name)) { key, tombstone in
            guard key.owner == owner, found.count < limit else { return false }
            if isRemembered(tombstone) { found.append((key, tombstone)) }
            return true
        }
        return found
    }

    /// Says why a document is not there: `.notFound`, or `.reclaimed` as long as that is remembered.
    public func missing(_ key: DocumentKey) throws(StoreError) -> StoreError {
        // One that has expired may not be deleted yet.
        let expired = state.withLock { $0.shelf.entries[key] }.flatMap { entry in
            entry.hasExpired(by: now) ? Tombstone(reason: .expired, seconds: entry.expiresSeconds ?? now, entry) : nil
        }
        if let expired { return .reclaimed(name: key.name, expired) }
        return try tombstone(key).map { .reclaimed(name: key.name, $0) } ?? .notFound(name: key.name)
    }

    /// Forgets tombstones that are too old or too many.
    func clearTombstones() throws(StoreError) {
        var (old, kept): ([DocumentKey], [UInt32: [(DocumentKey, Int)]]) = ([], [:])
        try forEachTombstone(from: []) { key, tombstone in
            if isRemembered(tombstone) {
                kept[key.owner, default: []].append((key, tombstone.seconds))
            } else {
                old.append(key)
            }
            return true
        }
        for tombstones in kept.values where tombstones.count > Self.maximumTombstones {
            old += tombstones.sorted { $0.1 < $1.1 }.dropLast(Self.maximumTombstones).map(\.0)
        }
        if old.isEmpty { return }
        try write { transaction throws(StoreError) in
            for key in old { try removeTombstone(key, in: &transaction) }
        }
    }

    func putTombstone(
        _ tombstone: Tombstone, _ key: DocumentKey, in transaction: inout StoreTransaction
    ) throws(StoreError) {
        guard limits.tombstoneSeconds > 0 else { return }
        do throws(LMDBError) {
            unsafe try transaction.lmdb.put(
                tombstone.encoded.span.bytes, forKey: RecordFormat.manifestKey(key), in: tombstonesDatabase)
        } catch { throw storeError(error) }
    }

    /// Forgets why a document is gone; false when nothing is known.
    @discardableResult
    func removeTombstone(_ key: DocumentKey, in transaction: inout StoreTransaction) throws(StoreError) -> Bool {
        do throws(LMDBError) {
            return try transaction.lmdb.delete(RecordFormat.manifestKey(key), in: tombstonesDatabase)
        } catch { throw storeError(error) }
    }

    private func isRemembered(_ tombstone: Tombstone) -> Bool {
        now - tombstone.seconds < limits.tombstoneSeconds
    }

    private func forEachTombstone(
        from start: [UInt8], _ body: (DocumentKey, Tombstone) -> Bool
    ) throws(StoreError) {
        try mapped { () throws(LMDBError) in
            let transaction = try environment.read()
            var cursor = try transaction.cursor(in: tombstonesDatabase)
            var found = try cursor.seek(to: start)
            while found {
                if let key = RecordFormat.documentKey(cursor.key), let tombstone = Tombstone(cursor.value),
                    !body(key, tombstone)
                {
                    return
                }
                found = try cursor.next()
            }
        }
    }
}
