// Whether a client sends the body of its request as fast as it must, so that no stalled upload holds memory for long.

import NIOCore

/// The patience that is left with a client: waiting for it costs time, and every byte that comes earns some back.
///
/// Only the time that the server waits counts, not what it takes itself.
package struct BodyPace {
    private let most: Int64
    private let nanosecondsPerByte: Double
    private var left: Int64
    private var waitingSince: NIODeadline?

    /// A client that may stall for `graceSeconds`, and sends so many bytes a second in the long run.
    package init(graceSeconds: Double, bytesPerSecond: Int) {
        most = Int64(graceSeconds * 1e9)
        nanosecondsPerByte = 1e9 / Double(bytesPerSecond)
        left = most
    }

    /// From now on the server wants more.
    package mutating func wait(now: NIODeadline) { waitingSince = waitingSince ?? now }

    /// Some of the body has come.
    package mutating func take(bytes: Int, now: NIODeadline) {
        settle(now)
        left = min(most, left + Int64(Double(bytes) * nanosecondsPerByte))
    }

    /// The server has as much as it wants for now.
    package mutating func rest(now: NIODeadline) {
        settle(now)
        waitingSince = nil
    }

    /// When patience ends unless something comes; nil while the server does not wait.
    package var deadline: NIODeadline? { waitingSince.map { $0 + .nanoseconds(left) } }

    private mutating func settle(_ now: NIODeadline) {
        guard let since = waitingSince else { return }
        left -= (now - since).nanoseconds
        waitingSince = now
    }
}
