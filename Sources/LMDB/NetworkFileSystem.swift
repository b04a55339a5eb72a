// File systems over which memory maps and locks do not hold.

import CLMDB
import Glibc

/// File systems on which LMDB must not be used ("even between processes on the same host", lmdb.h).
public enum NetworkFileSystem {
    /// The name of a refused file system by its magic number (statfs(2)), or nil for any other.
    public static func name(ofType type: UInt32) -> String? {
        switch type {
        case 0x6969: "NFS"
        case 0x517B, 0xFF53_4D42, 0xFE53_4D42: "SMB/CIFS"
        case 0x0102_1997: "9p"
        case 0x6573_5546: "FUSE"
        case 0x00C3_6400: "Ceph"
        case 0x5346_414F, 0x6B41_4653: "AFS"
        default: nil
        }
    }

    /// Refuses a directory on one of them.
    static func refuse(_ directory: String) throws(LMDBError) {
        var system = CLMDB.statfs()
        guard unsafe statfs(directory, &system) == 0 else { throw .system(errno: errno) }
        if let kind = name(ofType: UInt32(truncatingIfNeeded: system.f_type)) {
            throw .networkFileSystem(directory: directory, kind: kind)
        }
    }
}
