// Tells the service manager how the service fares: the sd_notify(3) protocol, one datagram a message.

import Glibc

/// What a service can say to its manager (sd_notify(3)); systemd 252, so no `notify-reload`.
public enum ServiceState: Sendable, Equatable {
    /// Startup is finished: requests are answered.
    case ready
    /// A line for people, shown by `systemctl status`; a line break becomes a space.
    case status(String)
    /// Shutdown has begun.
    case stopping
    /// The service is alive: restarts the watchdog's clock.
    case watchdog
    /// Starting or stopping takes this much longer, counted from now.
    case extendTimeout(microseconds: UInt64)

    var assignment: String {
        switch self {
        case .ready: "READY=1"
        // A line break would begin a second assignment: the text may hold a file's or a user's words.
        case .status(let text): "STATUS=" + String(text.map { $0.isNewline ? " " : $0 })
        case .stopping: "STOPPING=1"
        case .watchdog: "WATCHDOG=1"
        case .extendTimeout(let microseconds): "EXTEND_TIMEOUT_USEC=\(microseconds)"
        }
    }
}

/// A connected datagram socket to the service manager.
public final class ServiceNotifier: Sendable {
    /// systemd reads at most a page from a datagram and drops what was cut.
    static let messageBytes = 4096

    private let descriptor: Int32

    /// Connects to `NOTIFY_SOCKET`: an absolute path, or a name in the abstract namespace after "@".
    ///
    /// Nil when the variable is unset, that is, when nobody wants to know.
    public init?(_ environment: ServiceEnvironment) throws(SystemdError) {
        guard let path = environment.variables["NOTIFY_SOCKET"] else { return nil }
        var address = try Self.address(path)
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count)
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .socket(errno: errno) }
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe connect(descriptor, $0, length) }
        }
        guard result == 0 else {
            let code = errno
            close(descriptor)
            throw .send(errno: code)
        }
    }

    deinit {
        close(descriptor)
    }

    /// Sends the states as one message, all or nothing.
    public func send(_ states: ServiceState...) throws(SystemdError) {
        let message = Array(states.map(\.assignment).joined(separator: "\n").utf8)
        guard message.count <= Self.messageBytes else {
            throw .messageTooLong(bytes: message.count, limitBytes: Self.messageBytes)
        }
        while unsafe Glibc.send(descriptor, message, message.count, Int32(MSG_NOSIGNAL)) < 0 {
            guard errno == EINTR else { throw .send(errno: errno) }
        }
    }

    private static func address(_ path: String) throws(SystemdError) -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        // A path keeps its closing NUL within the field; an abstract name has none.
        guard bytes.count >= 2,
            bytes[0] == UInt8(ascii: "/") && bytes.count < capacity
                || bytes[0] == UInt8(ascii: "@") && bytes.count <= capacity
        else {
            throw .invalidVariable(
                name: "NOTIFY_SOCKET", value: path, expected: "an absolute path or @name of at most \(capacity) bytes")
        }
        if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        return address
    }
}
