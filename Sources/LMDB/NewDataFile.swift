// A new data file appears whole or not at all: LMDB writes its first pages in place, and a crash then would leave a
// file that cannot be told from one whose end was lost.

import CLMDB
import Glibc

/// Makes an empty data file aside and moves it into its place.
enum NewDataFile {
    static func create(in directory: String, mapBytes: Int) throws(LMDBError) {
        let (aside, name) = (directory + "/new", "/data.mdb")
        unsafe unlink(aside + name)  // what a crash left
        guard unsafe mkdir(aside, 0o700) == 0 || errno == EEXIST else { throw .system(errno: errno) }
        defer { unsafe rmdir(aside) }
        do throws(LMDBError) {
            try write(in: aside, mapBytes: mapBytes)
            try sync(aside + name, O_RDONLY)
            guard unsafe rename(aside + name, directory + name) == 0 else { throw .system(errno: errno) }
            try sync(directory, O_RDONLY | O_DIRECTORY)
        } catch {
            unsafe unlink(aside + name)
            throw error
        }
    }

    private static func write(in directory: String, mapBytes: Int) throws(LMDBError) {
        var created: OpaquePointer?
        var code = unsafe mdb_env_create(&created)
        guard code == 0, let handle = unsafe created else { throw LMDBError(code: code, fileDescriptor: nil) }
        defer { unsafe mdb_env_close(handle) }
        code = unsafe mdb_env_set_mapsize(handle, max(mapBytes, 1 << 16))
        // Nobody else knows of the file yet, so that it needs no lock.
        if code == 0 { code = unsafe mdb_env_open(handle, directory, UInt32(MDB_NOLOCK), 0o600) }
        guard code == 0 else { throw LMDBError(code: code, fileDescriptor: nil) }
    }

    private static func sync(_ path: String, _ flags: Int32) throws(LMDBError) {
        let file = unsafe open(path, flags | O_CLOEXEC)
        guard file >= 0 else { throw .system(errno: errno) }
        defer { close(file) }
        guard fsync(file) == 0 else { throw LMDBError(code: errno, fileDescriptor: file) }
    }
}
