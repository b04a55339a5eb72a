// Clients while the daemon is started again and again: none of their questions fails.

import API
import CakedClient
import Foundation
import Synchronization
import TestDaemon
import Testing

@Suite struct RestartTests {
    /// `CAKED_RESTARTS=100` makes this the long run.
    @Test("over several restarts amid questions no ask fails")
    func restarts() async throws {
        let count = ProcessInfo.processInfo.environment["CAKED_RESTARTS"].flatMap { Int($0) } ?? 4
        let daemon = try await Daemon()
        let text = try DocumentText(Array(PressureTests.fact.utf8))
        _ = try await daemon.client.put("facts", text, options: DocumentOptions(keep: .percent(100)))
        let socket = daemon.socket
        let restarts = Restarts()
        let outcomes = try await withThrowingTaskGroup(of: [Outcome].self) { group in
            for _ in 0..<3 {
                group.addTask {
                    var outcomes: [Outcome] = []
                    while !restarts.areOver {
                        // As long as it takes on the slowest machine: what is tested is that asking goes on.
                        let arguments = ["ask", "facts", "What is the access code for Lisbon?", "--wait", "200"]
                        outcomes.append(
                            try await Self.offThread {
                                try run(
                                    Project.program("cakectl"), arguments, environment: ["CAKED_SOCKET": socket])
                            })
                    }
                    return outcomes
                }
            }
            for _ in 0..<count {
                #expect(daemon.stop(SIGTERM) == 0)
                try await daemon.start()
            }
            restarts.end()
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(outcomes.count >= 3)
        #expect(outcomes.allSatisfy { $0.status == 0 }, "\(outcomes.filter { $0.status != 0 })")
        #expect(Set(outcomes.map(\.output)).count == 1, "each hears the same answer, once")
    }

    /// Runs what waits on a thread that may.
    private static func offThread<T: Sendable>(_ work: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try work() }) }
        }
    }
}

/// Whether the daemon has been started for the last time.
private final class Restarts: Sendable {
    private let isOver = Mutex(false)
    var areOver: Bool { isOver.withLock { $0 } }
    func end() { isOver.withLock { $0 = true } }
}
