// The end of a daemon that cannot start: the reason is in the log, in `systemctl status`, and in the answer to every
// client that waits.

import ArgumentParser
import Glibc
import HTTPAPI
import Systemd

/// Says why a start failed, everywhere where somebody may ask.
struct FailedStart {
    /// How long clients are told before the daemon ends.
    ///
    /// Each connection starts the daemon again, and systemd takes the socket away after 20 starts in 2 seconds
    /// (`TriggerLimitBurst=`): so long no second one can happen.
    private static let refusalSeconds = 1.0

    /// Errors that no restart mends; for the others clients wait for the next start.
    private static let lasting = [EX_USAGE, EX_DATAERR, EX_CONFIG]

    let manager: ServiceEnvironment

    /// Tells of the reasons, and returns what the process ends with.
    func end(_ reasons: [String], code: Int32) -> ExitCode {
        for reason in reasons { StandardErrorLog.fatal(reason) }
        tell(reasons, code: code)
        return ExitCode(code)
    }

    /// Tells the service manager and, where no restart helps, the clients, what the log says already.
    func tell(_ reasons: [String], code: Int32) {
        let others = reasons.count > 1 ? " (and \(reasons.count - 1) more, see the log)" : ""
        let status = "cannot start: " + (reasons.first ?? "") + others
        // Nobody is left to be told that telling failed.
        if let notifier = try? ServiceNotifier(manager) { try? notifier.send(.status(status)) }
        guard Self.lasting.contains(code), let sockets = try? InheritedSocket.all(in: manager) else { return }
        for socket in sockets where socket.isListeningUnixStream {
            var server = RefusingServer(
                socket: ListeningSocket(adopting: socket.descriptor),
                message: "caked cannot start, and its administrator has to mend it: " + reasons.joined(separator: "; "))
            server.run(seconds: Self.refusalSeconds)
        }
    }
}
