// Notices that the model's files are others now, and ends the daemon so that it is started with them.

import Inference
import Logging
import ServiceLifecycle
import Systemd

/// Looks at the model's files every now and then, and ends the service group when they have changed.
struct ModelWatchService: Service {
    private static let pause = Duration.seconds(1)
    /// A file that is copied over another changes for as long as that takes: only once it has been the same for two
    /// looks is it worth loading, and after this many nobody waits any more.
    private static let settlingLooks = 120

    let engine: Engine
    let reports: ManagerReports

    /// Runs until the group stops, or throws `DaemonError.modelChanged`.
    func run() async throws {
        guard let problem = await change() else { return }
        reports.logger.error("\(problem); starting again with what is there now")
        reports.send(.status("\(problem); waiting for it to be whole"))
        await cancelWhenGracefulShutdown {
            for _ in 0..<Self.settlingLooks where !Task.isCancelled {
                if engine.modelIsSettled() { break }
                try? await Task.sleep(for: Self.pause)
            }
        }
        throw DaemonError.modelChanged(problem)
    }

    /// What has happened to the model, nil when the group stops before anything does.
    private func change() async -> String? {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                if let problem = engine.modelProblem() { return problem }
                try? await Task.sleep(for: Self.pause)
            }
            return nil
        }
    }
}
