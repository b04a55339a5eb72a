// Giving freed space back to the disk: a copy without it, put in the file's place.

import Glibc
import LMDB

/// What a compaction did.
public struct Compaction: Equatable, Sendable {
    /// The size of the data file before.
    public var bytesBefore: Int
    /// Its size now.
    public var bytesAfter: Int

    /// A store is compacted at its start when this much of it is free, and at least half of it: copying then costs no
    /// more than what it gives back.
    public static let worthwhileBytes = 64 << 20

    /// Whether compaction pays for so much free space in a file.
    static func pays(freeBytes: Int, fileBytes: Int) -> Bool {
        freeBytes >= worthwhileBytes && freeBytes >= fileBytes / 2
    }

    private static let side = "/data.mdb.compacted"

    /// Removes what a crash during a compaction left.
    static func removeLeftover(in directory: String) { unsafe unlink(directory + side) }

    /// Writes a compact copy beside the data file, durably; `replace` puts it in place once the environment is closed.
    static func copy(_ environment: Environment, in directory: String) throws(LMDBError) {
        removeLeftover(in: directory)
        do throws(LMDBError) {
            try environment.copyCompacted(to: directory + side)
        } catch {
            removeLeftover(in: directory)
            throw error
        }
    }

    static func replace(in directory: String, bytesBefore: Int) throws(StoreError) -> Compaction {
        let path = directory + "/data.mdb"
        guard unsafe rename(directory + side, path) == 0 else {
            let reason = errno
            removeLeftover(in: directory)
            throw .system(call: "rename", path: path, errno: reason)
        }
        let folder = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .system(call: "open", path: directory, errno: errno) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw .system(call: "fsync", path: directory, errno: errno) }
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw .system(call: "stat", path: path, errno: errno) }
        return Compaction(bytesBefore: bytesBefore, bytesAfter: Int(status.st_size))
    }
}

extension DocumentStore {
    /// Whether a directory has a store in it.
    public static func exists(in directory: String) -> Bool { unsafe access(directory + "/data.mdb", F_OK) == 0 }

    /// Gives the free space of a store that nobody has open back to the disk, which needs room for what is in use.
    ///
    /// A crash leaves the store as it was or as it will be. Throws what opening does, and `.diskReserved`.
    public static func compact(
        directory path: String, mapBytes: Int = defaultMapBytes, limits: StoreLimits = StoreLimits()
    ) throws(StoreError) -> Compaction {
        let directory = try StoreDirectory(path: path)
        let bytesBefore: Int
        do {
            let opened: OpenedEnvironment
            let free: Int
            do throws(LMDBError) {
                opened = try OpenedEnvironment(directory: path, mapBytes: mapBytes, maxReaders: 8)
                bytesBefore = try opened.environment.info().fileBytes
                free = try opened.environment.freePages() * opened.pageBytes
            } catch { throw StoreError(error, directory: path, mapBytes: mapBytes, maxReaders: 8) }
            guard opened.formatVersion == RecordFormat.version else {
                throw .format(found: opened.formatVersion, supported: RecordFormat.version)
            }
            let spare = try directory.freeBytes() - limits.minimumFreeDiskBytes
            guard spare >= bytesBefore - free else {
                throw .diskReserved(
                    directory: path, neededBytes: bytesBefore - free, availableBytes: max(spare, 0))
            }
            do throws(LMDBError) {
                try Compaction.copy(opened.environment, in: path)
            } catch { throw StoreError(error, directory: path, mapBytes: mapBytes, maxReaders: 8) }
        }
        return try Compaction.replace(in: path, bytesBefore: bytesBefore)
    }

    /// Compacts a store that is about to be opened when that pays; nil when it does not, or did not succeed.
    static func compactIfWorthwhile(
        _ opened: OpenedEnvironment, in directory: borrowing StoreDirectory, limits: StoreLimits
    ) -> Int? {
        guard limits.compactsAtStart, opened.formatVersion == RecordFormat.version,
            let structure = opened.environment.structure, let info = try? opened.environment.info()
        else { return nil }
        let free = (structure.freePages + structure.lostPages) * info.pageBytes
        guard Compaction.pays(freeBytes: free, fileBytes: info.fileBytes),
            let spare = try? directory.freeBytes(), spare - limits.minimumFreeDiskBytes >= info.fileBytes - free,
            (try? Compaction.copy(opened.environment, in: directory.path)) != nil
        else { return nil }
        return info.fileBytes
    }
}
