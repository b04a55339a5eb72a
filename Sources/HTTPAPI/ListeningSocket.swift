// The daemon's Unix socket: bound at a path of our own, or inherited already listening.

import Glibc
import Synchronization

/// Why a socket could not be had.
public enum ListeningSocketError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The path does not fit into the kernel's address structure.
    case pathTooLong(path: String, maxBytes: Int)
    /// Something that is not a socket is at the path.
    case notASocket(path: String)
    /// Another daemon answers there.
    case inUse(path: String)
    /// Another program has kept the lock of the socket's directory all the time that was waited for it.
    case directoryLocked(path: String, seconds: Double)
    /// A system call failed.
    case system(call: String, path: String, errno: Int32)

    /// What happened and what to do about it.
    public var description: String {
        switch self {
        case .pathTooLong(let path, let maxBytes):
            "the socket path is \(path.utf8.count) bytes long, the kernel takes \(maxBytes): choose a shorter one "
                + "(\(path))"
        case .notASocket(let path):
            "\(path) exists and is not a socket: move it away or choose another path with --socket"
        case .inUse(let path):
            "a daemon answers on \(path): stop it or choose another path with --socket"
        case .directoryLocked(let path, let seconds):
            "another program has held the lock on the directory \(path) for \(seconds) seconds: end it (`lsof \(path)` "
                + "names it), or choose a path in another directory with --socket"
        case .system(let call, let path, let errno):
            "\(call) \(path): \(unsafe String(cString: strerror(errno))) (does the directory exist, and may caked "
                + "write to it?)"
        }
    }
}

/// A listening Unix stream socket.
///
/// Closing is up to whoever takes the descriptor; `removeFile` is ours.
public final class ListeningSocket: Sendable {
    /// Clients that may wait to be accepted: as many as the kernel allows, which cuts it to net.core.somaxconn, as it
    /// does the number in the systemd socket unit.
    public static let backlog = Int32.max

    /// How long a start waits for the lock of the socket's directory, which another daemon holds for the few
    /// milliseconds in which it binds.
    public static let lockSeconds = 5.0
    private static let lockPauseMicroseconds: UInt32 = 20_000

    /// The longest path: `sun_path` with its terminating NUL.
    public static let maxPathBytes = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

    private struct FileIdentity: Equatable {
        var device: dev_t
        var inode: ino_t
        // Inode numbers are used again; the time tells two files apart.
        var changedSeconds: Int
        var changedNanoseconds: Int
    }

    /// The listening descriptor.
    public let descriptor: Int32
    /// Where it was bound; nil for an inherited one.
    public let path: String?
    private let identity: FileIdentity?

    /// Takes over a socket that is bound and listening, such as systemd's; its file belongs to whoever made it.
    public init(adopting descriptor: Int32) {
        self.descriptor = descriptor
        path = nil
        identity = nil
    }

    /// Binds and listens at `path`, replacing the socket file of a daemon that is gone.
    ///
    /// The mode is set between bind(2) and listen(2): until the latter nobody can connect, so nobody ever connects
    /// under another mode. Two daemons that start at once are kept apart by a lock on the directory.
    ///
    /// - Parameters:
    ///   - lockSeconds: how long that lock is waited for; then `.directoryLocked` is thrown.
    ///   - onWaiting: is told the directory where it has to be waited for.
    public init(
        path: String, mode: mode_t = 0o660, lockSeconds: Double = lockSeconds,
        onWaiting: (_ directory: String) -> Void = { _ in }
    ) throws(ListeningSocketError) {
        var address = try Self.address(path)
        let lock = try Self.lockDirectory(of: path, seconds: lockSeconds, onWaiting)
        defer { _ = close(lock) }
        try Self.removeStale(path, &address)
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw .system(call: "socket", path: path, errno: errno) }
        func check(_ result: Int32, _ call: String) throws(ListeningSocketError) {
            guard result != 0 else { return }
            let error = errno
            _ = close(socket)
            throw .system(call: call, path: path, errno: error)
        }
        try check(unsafe Self.withAddress(&address) { unsafe bind(socket, $0, $1) }, "bind")
        try check(unsafe chmod(path, mode), "chmod")
        try check(listen(socket, Self.backlog), "listen")
        descriptor = socket
        self.path = path
        identity = Self.identity(path)
    }

    /// Removes the socket file, if it is still the one that was bound here.
    public func removeFile() {
        guard let path, identity != nil, Self.identity(path) == identity else { return }
        _ = unsafe unlink(path)
    }

    private static func address(_ path: String) throws(ListeningSocketError) -> sockaddr_un {
        guard (1...maxPathBytes).contains(path.utf8.count), !path.utf8.contains(0) else {
            throw .pathTooLong(path: path, maxBytes: maxPathBytes)
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        return address
    }

    private static func withAddress(
        _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Int32 {
        unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe body(generic, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }

    private static func lockDirectory(
        of path: String, seconds: Double, _ onWaiting: (String) -> Void
    ) throws(ListeningSocketError) -> Int32 {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(call: "open", path: directory, errno: errno) }
        let deadline = ContinuousClock.now + .seconds(seconds)
        var isWaiting = false
        // flock(2) itself has no time limit.
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let error = errno
            guard error == EWOULDBLOCK || error == EINTR else {
                _ = close(descriptor)
                throw .system(call: "flock", path: directory, errno: error)
            }
            guard ContinuousClock.now < deadline else {
                _ = close(descriptor)
                throw .directoryLocked(path: directory, seconds: seconds)
            }
            if !isWaiting { onWaiting(directory) }
            isWaiting = true
            usleep(lockPauseMicroseconds)
        }
        return descriptor
    }

    private static func removeStale(_ path: String, _ address: inout sockaddr_un) throws(ListeningSocketError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else { throw .notASocket(path: path) }
        let probe = Glibc.socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw .system(call: "socket", path: path, errno: errno) }
        defer { _ = close(probe) }
        // Only a refusal proves that nobody listens: a full backlog (EAGAIN) or a forbidden one (EACCES) is somebody's.
        guard unsafe withAddress(&address, { unsafe connect(probe, $0, $1) }) != 0, errno == ECONNREFUSED else {
            throw .inUse(path: path)
        }
        guard unsafe unlink(path) == 0 else { throw .system(call: "unlink", path: path, errno: errno) }
    }

    private static func identity(_ path: String) -> FileIdentity? {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return nil }
        return FileIdentity(
            device: status.st_dev, inode: status.st_ino, changedSeconds: status.st_ctim.tv_sec,
            changedNanoseconds: status.st_ctim.tv_nsec)
    }
}
