// Which file something was read from, and whether it is still as it was.

import Glibc

/// A file and its state: device, inode, size, and the time of its last change to the nanosecond.
public struct FileIdentity: Equatable, Sendable {
    /// The path it was found at.
    public let path: String
    /// Its size.
    public let bytes: Int
    private let device: UInt
    private let inode: UInt
    private let changedSeconds: Int
    private let changedNanoseconds: Int

    /// The file at `path` as it is now; nil when there is none.
    public init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(path: path, status)
    }

    init(path: String, _ status: stat) {
        self.path = path
        bytes = Int(status.st_size)
        (device, inode) = (UInt(status.st_dev), UInt(status.st_ino))
        (changedSeconds, changedNanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
    }

    /// What has happened to the file since, for a sentence: "was removed", say; nil when it is as it was.
    public var change: String? {
        guard let now = FileIdentity(path: path) else { return "was removed" }
        if now == self { return nil }
        if (now.device, now.inode) != (device, inode) { return "was replaced" }
        return now.bytes == bytes ? "was written to" : "was changed from \(bytes) to \(now.bytes) bytes"
    }
}
