// Where the daemon's socket is: the flag, the environment, the user's own daemon, the system's.
import Glibc

/// The path of the daemon's Unix socket.
public enum SocketPath {
    /// `sun_path` has 108 bytes, one of them the terminator (unix(7)).
    public static let maximumBytes = 107
    /// The socket of the system's daemon.
    public static let system = "/run/caked/caked.sock"

    /// The socket to use: `explicit` (`--socket`), else `CAKED_SOCKET`, else `$XDG_RUNTIME_DIR/caked.sock` when there
    /// is one, else ``system``.
    ///
    /// Empty values count as absent.
    public static func resolve(
        explicit: String? = nil,
        environment: (String) -> String? = Self.environmentValue,
        exists: (String) -> Bool = Self.exists
    ) throws(ClientError) -> String {
        if let explicit, !explicit.isEmpty { return try checked(explicit) }
        if let named = environment("CAKED_SOCKET"), !named.isEmpty { return try checked(named) }
        if let runtime = environment("XDG_RUNTIME_DIR"), !runtime.isEmpty {
            let own = runtime + (runtime.hasSuffix("/") ? "" : "/") + "caked.sock"
            if own.utf8.count <= maximumBytes, exists(own) { return own }
        }
        return system
    }

    private static func checked(_ path: String) throws(ClientError) -> String {
        guard path.utf8.count <= maximumBytes else {
            throw .socketPathTooLong(path: path, bytes: path.utf8.count)
        }
        return path
    }

    /// The value of an environment variable of this process.
    public static func environmentValue(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    /// Whether something is at `path`, of whatever kind.
    public static func exists(_ path: String) -> Bool {
        unsafe access(path, F_OK) == 0
    }
}
