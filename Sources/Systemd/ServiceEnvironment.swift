// The variables by which systemd speaks to a service, taken from the process once so that no child inherits them.

import Glibc

/// What the service manager told this process: a value, so that tests can say it too.
public struct ServiceEnvironment: Sendable {
    /// The variables the protocol knows.
    public static let names = [
        "NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_USEC", "WATCHDOG_PID",
    ]

    /// Whether a service manager started this process and said anything.
    public var isPresent: Bool { !variables.isEmpty }

    let variables: [String: String]
    let processID: Int32

    /// An environment in which the process `processID` was started with these variables.
    public init(variables: [String: String], processID: Int32) {
        self.variables = variables
        self.processID = processID
    }

    /// Reads the process's own variables and unsets them.
    ///
    /// Call it before threads start: setenv(3) and its kin are not safe beside readers.
    public static func takeFromProcess() -> ServiceEnvironment {
        var variables: [String: String] = [:]
        for name in names {
            guard let value = unsafe getenv(name) else { continue }
            variables[name] = unsafe String(cString: value)
            unsafe unsetenv(name)
        }
        return ServiceEnvironment(variables: variables, processID: getpid())
    }

    /// The unsigned decimal under `name`, nil when unset.
    func number(_ name: String) throws(SystemdError) -> UInt64? {
        guard let value = variables[name] else { return nil }
        // UInt64.init takes a leading plus; systemd writes none.
        guard let number = UInt64(value), value.utf8.first != UInt8(ascii: "+") else {
            throw .invalidVariable(name: name, value: value, expected: "an unsigned decimal number")
        }
        return number
    }

    /// Whether the variable under `name`, when set, names this process: a child of the service must not act on it.
    func isForThisProcess(_ name: String) throws(SystemdError) -> Bool? {
        try number(name).map { $0 == UInt64(processID) }
    }
}

/// The system's words for an errno.
func systemMessage(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}
