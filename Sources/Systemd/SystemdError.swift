// What goes wrong between the daemon and the service manager.

/// Why the service manager's variables are refused or a message to it did not leave.
public enum SystemdError: Error, Equatable, Sendable, CustomStringConvertible {
    case invalidVariable(name: String, value: String, expected: String)
    case notASocket(descriptor: Int32)
    case socket(errno: Int32)
    case send(errno: Int32)
    case messageTooLong(bytes: Int, limitBytes: Int)

    /// The cause and the mend.
    public var description: String {
        switch self {
        case .invalidVariable(let name, let value, let expected):
            "the environment variable \(name) is \(String(value.prefix(120)).debugDescription), "
                + "but \(expected) is expected. Start the daemon from its unit, or unset the variable."
        case .notASocket(let descriptor):
            "file descriptor \(descriptor), passed by the service manager, is not a socket. "
                + "The socket unit may list ListenStream= only."
        case .socket(let errno):
            "cannot create a socket to notify the service manager: \(systemMessage(errno)). "
                + "Allow AF_UNIX sockets and more open files in the unit."
        case .send(let errno):
            "cannot notify the service manager: \(systemMessage(errno)). Check NotifyAccess= in the unit."
        case .messageTooLong(let bytes, let limitBytes):
            "a message of \(bytes) bytes to the service manager is longer than \(limitBytes). Shorten the status."
        }
    }
}
