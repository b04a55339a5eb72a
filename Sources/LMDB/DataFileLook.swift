// One look into a data file that its owner does not notice: no lock, no write.

import CLMDB

extension Environment {
    /// What stands under a key of one of a data file's databases, whose structure is checked first; nil where there is
    /// no data file.
    ///
    /// Whoever writes to the file meanwhile is not held up, but may make a sound file look damaged.
    public static func look(
        in directory: String, databases names: [String], database: String, key: [UInt8]
    ) throws(LMDBError) -> [UInt8]? {
        try NetworkFileSystem.refuse(directory)
        guard try DataFileCheck.check(directory: directory, databases: names) != nil else { return nil }
        var created: OpaquePointer?
        var code = unsafe mdb_env_create(&created)
        guard code == 0, let environment = unsafe created else { throw LMDBError(code: code, fileDescriptor: nil) }
        defer { unsafe mdb_env_close(environment) }
        func check(_ code: Int32) throws(LMDBError) {
            if code != 0 { throw LMDBError(code: code, fileDescriptor: nil) }
        }
        try check(unsafe mdb_env_set_maxdbs(environment, 1))
        try check(unsafe mdb_env_open(environment, directory, UInt32(MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS), 0))
        var begun: OpaquePointer?
        code = unsafe mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &begun)
        guard code == 0, let transaction = unsafe begun else { throw LMDBError(code: code, fileDescriptor: nil) }
        defer { unsafe mdb_txn_abort(transaction) }
        var index: MDB_dbi = 0
        try check(unsafe mdb_dbi_open(transaction, database, 0, &index))
        var bytes = key
        var value = unsafe MDB_val()
        code = unsafe bytes.withUnsafeMutableBytes { buffer in
            var name = unsafe MDB_val(mv_size: buffer.count, mv_data: buffer.baseAddress)
            return unsafe mdb_get(transaction, index, &name, &value)
        }
        try check(code)
        return unsafe Array(UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size))
    }
}
