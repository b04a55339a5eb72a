// What systemd hears from us: more time while loading, ready, alive, stopping.

import EngineInterface
import Inference
import Logging
import ServiceLifecycle
import Systemd

/// Reports to the service manager, if there is one; a report that does not arrive is logged and forgotten.
struct ManagerReports: Sendable {
    /// Between requests for more time while the model is loaded, and the time each asks for.
    private static let loadingPause = Duration.seconds(10)
    private static let loadingExtensionMicroseconds: UInt64 = 60_000_000
    /// Between log lines of a start that takes long: hashing a model of tens of gigabytes takes minutes, once.
    private static let loadingNotice = Duration.seconds(60)

    let notifier: ServiceNotifier?
    let logger: Logger

    func send(_ states: ServiceState...) {
        for state in states {
            do {
                try notifier?.send(state)
            } catch {
                logger.warning("\(error)")
            }
        }
    }

    /// Asks for more time again and again until cancelled, and says every minute what the start waits for.
    func extendWhileLoading(_ what: String) async {
        let begun = ContinuousClock.now
        var next = Self.loadingNotice
        while !Task.isCancelled {
            send(.extendTimeout(microseconds: Self.loadingExtensionMicroseconds))
            let elapsed = ContinuousClock.now - begun
            if elapsed >= next {
                next += Self.loadingNotice
                let text = "\(what) for \(elapsed.components.seconds) seconds now"
                logger.notice("\(text)")
                send(.status(text))
            }
            try? await Task.sleep(for: Self.loadingPause)
        }
    }
}

/// Says "alive" at half the watchdog's interval, as long as the engine's heartbeat moves.
struct WatchdogService: Service {
    let watchdog: Watchdog?
    let service: any DocumentService
    let reports: ManagerReports

    /// Runs until the group stops; the server, which drains first, is watched to its end.
    func run() async throws {
        guard let watchdog else { return try await gracefulShutdown() }
        await cancelWhenGracefulShutdown {
            var watchdog = watchdog
            while !Task.isCancelled {
                if watchdog.shouldPing(heartbeat: service.heartbeat) {
                    reports.send(.watchdog)
                } else {
                    reports.logger.error("the engine made no progress; the watchdog hears nothing")
                }
                try? await Task.sleep(for: .microseconds(watchdog.intervalMicroseconds))
            }
        }
    }
}
