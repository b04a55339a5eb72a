// Sockets that the service manager bound and passed on: the sd_listen_fds(3) protocol.

import Glibc

/// A socket passed by the service manager; whoever takes it closes it, and never unlinks its path.
public struct InheritedSocket: Sendable, Equatable {
    /// Open, with close-on-exec set.
    public let descriptor: Int32
    /// The unit's `FileDescriptorName=`, by default the socket unit's name; "unknown" where the manager gave none.
    public let name: String
    /// Whether it is a stream socket of the Unix domain that accepts connections.
    public let isListeningUnixStream: Bool

    /// systemd passes the sockets from here on (SD_LISTEN_FDS_START).
    static let firstDescriptor: Int32 = 3
    /// More sockets than any unit of ours lists; beyond it the variable is nonsense.
    static let countLimit: UInt64 = 64

    /// The sockets passed to this process: `LISTEN_FDS` of them, when `LISTEN_PID` is this process.
    public static func all(in environment: ServiceEnvironment) throws(SystemdError) -> [InheritedSocket] {
        try all(in: environment, from: firstDescriptor)
    }

    /// The same with the first descriptor given, for a process whose descriptor 3 is something else.
    package static func all(
        in environment: ServiceEnvironment, from firstDescriptor: Int32
    ) throws(SystemdError) -> [InheritedSocket] {
        guard try environment.isForThisProcess("LISTEN_PID") == true,
            let count = try environment.number("LISTEN_FDS")
        else { return [] }
        guard count <= countLimit else {
            throw .invalidVariable(name: "LISTEN_FDS", value: "\(count)", expected: "a number up to \(countLimit)")
        }
        let names = try names(count: Int(count), environment)
        var sockets: [InheritedSocket] = []
        for (index, name) in names.enumerated() {
            sockets.append(try adopt(firstDescriptor + Int32(index), name: name))
        }
        return sockets
    }

    private static func names(count: Int, _ environment: ServiceEnvironment) throws(SystemdError) -> [String] {
        guard let list = environment.variables["LISTEN_FDNAMES"] else {
            return Array(repeating: "unknown", count: count)
        }
        let names = list.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard names.count == count else {
            throw .invalidVariable(name: "LISTEN_FDNAMES", value: list, expected: "\(count) names, separated by colons")
        }
        return names
    }

    private static func adopt(_ descriptor: Int32, name: String) throws(SystemdError) -> InheritedSocket {
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0,
            let domain = option(SO_DOMAIN, of: descriptor),
            let type = option(SO_TYPE, of: descriptor),
            let listens = option(SO_ACCEPTCONN, of: descriptor)
        else { throw .notASocket(descriptor: descriptor) }
        let isUnixStream = domain == AF_UNIX && type == Int32(SOCK_STREAM.rawValue)
        return InheritedSocket(
            descriptor: descriptor, name: name, isListeningUnixStream: isUnixStream && listens != 0)
    }

    private static func option(_ name: Int32, of descriptor: Int32) -> Int32? {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return unsafe getsockopt(descriptor, SOL_SOCKET, name, &value, &length) == 0 ? value : nil
    }
}
