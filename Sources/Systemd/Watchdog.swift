// The service manager's watchdog: when to say "alive", and only if work was done since the last time.

/// The watchdog of the unit (`WatchdogSec=`), a pure value: a clock and the engine's heartbeat are the caller's.
public struct Watchdog: Sendable, Equatable {
    /// Without a message for this long the manager kills and restarts the service.
    public let timeoutMicroseconds: UInt64
    private var lastHeartbeat: UInt64?

    /// The watchdog set for this process, nil when there is none (`WATCHDOG_USEC` unset, or `WATCHDOG_PID` another's).
    public init?(_ environment: ServiceEnvironment) throws(SystemdError) {
        guard let microseconds = try environment.number("WATCHDOG_USEC"),
            try environment.isForThisProcess("WATCHDOG_PID") ?? true
        else { return nil }
        guard microseconds > 1 else {
            throw .invalidVariable(name: "WATCHDOG_USEC", value: "\(microseconds)", expected: "a positive timeout")
        }
        timeoutMicroseconds = microseconds
    }

    /// Half the timeout, as sd_watchdog_enabled(3) recommends: how often to ask `shouldPing`.
    public var intervalMicroseconds: UInt64 { timeoutMicroseconds / 2 }

    /// Whether to send `.watchdog` now: only when the heartbeat moved, for a ping by the clock alone hides a deadlock.
    public mutating func shouldPing(heartbeat: UInt64) -> Bool {
        defer { lastHeartbeat = heartbeat }
        return heartbeat != lastHeartbeat
    }
}
