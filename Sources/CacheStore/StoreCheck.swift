// Whether a store can be opened, found out without opening it: beside a daemon that runs, for instance.

import Glibc
import LMDB

/// What there is in a directory that a store is to be opened in.
public enum StoreCheck: Equatable, Sendable {
    /// Nothing yet: the store will be made there.
    case missing
    /// A store that is open; whether it is sound its daemon has looked at.
    case inUse
    /// A store that opens.
    case sound
}

extension DocumentStore {
    /// Says whether opening the store in a directory would succeed, and changes nothing there.
    ///
    /// Reads the pages that opening reads. Throws what opening would, but for a full disk.
    public static func check(directory: String) throws(StoreError) -> StoreCheck {
        if unsafe access(directory, F_OK) != 0, errno == ENOENT { return .missing }
        try StoreDirectory.check(directory)
        guard unsafe access(directory, R_OK | W_OK | X_OK) == 0 else {
            throw .system(call: "access", path: directory, errno: errno)
        }
        if StoreDirectory.isLocked(directory) { return .inUse }
        let format: [UInt8]?
        do throws(LMDBError) {
            format = try Environment.look(
                in: directory, databases: OpenedEnvironment.databases, database: "format", key: RecordFormat.formatKey)
        } catch {
            // A daemon that was started meanwhile may have written to it while it was read.
            if StoreDirectory.isLocked(directory) { return .inUse }
            throw StoreError(
                error, directory: directory, mapBytes: defaultMapBytes, maxReaders: defaultMaxReaders)
        }
        guard let format else { return .missing }
        let version = RecordFormat.formatVersion(format.span.bytes) ?? 0
        guard version == RecordFormat.version else {
            throw .format(found: version, supported: RecordFormat.version)
        }
        return .sound
    }
}
