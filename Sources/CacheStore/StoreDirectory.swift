// The directory of a store: private, and locked against a second daemon.

import Glibc

/// An open, locked store directory; the lock ends with it.
struct StoreDirectory: ~Copyable {
    let path: String
    private let lock: Int32

    /// How long the lock is waited for: `isLocked` holds it for a moment, and so does a child of ours before it becomes
    /// another program.
    private static let lockSeconds = 1.0
    private static let lockPauseMicroseconds: UInt32 = 10_000

    /// Creates the directory with mode 0700 if it is missing (its parent must be there), checks it and locks it.
    init(path: String) throws(StoreError) {
        if unsafe mkdir(path, 0o700) != 0, errno != EEXIST {
            throw .system(call: "mkdir", path: path, errno: errno)
        }
        try Self.check(path)
        let lockPath = Self.lockPath(in: path)
        let file = unsafe open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .system(call: "open", path: lockPath, errno: errno) }
        // flock, not fcntl: it belongs to the open file, so that it holds inside one process too, and it ends with the
        // process however that ends.
        let deadline = ContinuousClock.now + .seconds(Self.lockSeconds)
        while flock(file, LOCK_EX | LOCK_NB) != 0 {
            let reason = errno
            if reason == EINTR { continue }
            guard reason == EWOULDBLOCK, ContinuousClock.now < deadline else {
                close(file)
                if reason == EWOULDBLOCK { throw .inUse(directory: path) }
                throw .system(call: "flock", path: lockPath, errno: reason)
            }
            usleep(Self.lockPauseMicroseconds)
        }
        self.path = path
        lock = file
    }

    deinit { close(lock) }

    /// Whether a store is open in the directory.
    ///
    /// Asking takes the lock for the length of a system call, which a store that is opened just then waits for.
    static func isLocked(_ path: String) -> Bool {
        let file = unsafe open(lockPath(in: path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return false }
        defer { close(file) }
        return flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK
    }

    private static func lockPath(in path: String) -> String { path + "/caked.lock" }

    /// What the file system has free for users without privilege.
    func freeBytes() throws(StoreError) -> Int {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { throw .system(call: "statvfs", path: path, errno: errno) }
        let (bytes, overflow) = Int(clamping: status.f_bavail).multipliedReportingOverflow(
            by: Int(clamping: status.f_frsize))
        return overflow ? .max : bytes
    }

    /// Throws unless the directory is one, the caller's, and closed to others.
    static func check(_ path: String) throws(StoreError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw .system(call: "stat", path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .notADirectory(path: path) }
        guard status.st_uid == geteuid() else { throw .notOwned(directory: path, owner: status.st_uid) }
        guard status.st_mode & 0o022 == 0 else {
            throw .notPrivate(directory: path, mode: status.st_mode & 0o777)
        }
    }
}
