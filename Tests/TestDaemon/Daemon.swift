// The real programs on a temporary socket and state directory, started and killed by the tests.

import API
package import CakedClient
package import Foundation

/// Where the programs and fixtures are.
package enum Project {
    package static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    package static let model = root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path
    package static let fixtures = root.appending(path: "Tests/Fixtures")

    /// The folder the test bundle was built into holds the programs as well.
    package static let programs = Bundle.main.executableURL.map { $0.deletingLastPathComponent() } ?? root

    package static func program(_ name: String) -> URL {
        // `swift test` runs the bundle through a host program elsewhere; the first argument names the bundle itself.
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            return URL(filePath: argument).deletingLastPathComponent().appending(path: name)
        }
        return programs.appending(path: name)
    }
}

/// What a program printed and how it ended.
package struct Outcome: Sendable {
    package var status: Int32
    package var output: String
    package var errors: String
}

/// Runs a program to its end.
package func run(_ program: URL, _ arguments: [String], input: String = "", environment: [String: String] = [:]) throws
    -> Outcome
{
    let process = Process()
    process.executableURL = program
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let folder = FileManager.default.temporaryDirectory.appending(path: "caked-run-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    // Files instead of pipes: a program that prints a lot cannot block on us, nor we on it.
    func file(_ name: String, _ contents: String = "") throws -> (url: URL, handle: FileHandle) {
        let url = folder.appending(path: name)
        try Data(contents.utf8).write(to: url)
        return (url, try FileHandle(forUpdating: url))
    }
    let (standardInput, output, errors) = (try file("in", input), try file("out"), try file("err"))
    process.standardInput = standardInput.handle
    process.standardOutput = output.handle
    process.standardError = errors.handle
    try process.run()
    process.waitUntilExit()
    return Outcome(
        status: process.terminationStatus, output: try String(contentsOf: output.url, encoding: .utf8),
        errors: try String(contentsOf: errors.url, encoding: .utf8))
}

/// One daemon process; its folder survives restarts and goes with the object.
package final class Daemon {
    package let folder: URL
    package var socket: String { folder.appending(path: "s").path }
    package var state: String { folder.appending(path: "state").path }
    package var client: DaemonClient { DaemonClient(socketPath: socket, idleTimeoutSeconds: 60) }
    package private(set) var process: Process?
    package let extra: [String]
    /// The model file; another one counts from the next start on.
    package var model: String

    package init(_ extra: [String] = [], model: String = Project.model) async throws {
        self.model = model
        // A short path: a socket's is limited to 107 bytes.
        folder = URL(filePath: "/tmp").appending(path: "caked-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        self.extra = extra
        try await start()
    }

    deinit {
        process?.terminate()
        process?.waitUntilExit()
        try? FileManager.default.removeItem(at: folder)
    }

    package var arguments: [String] { ["--model", model, "--socket", socket, "--state", state] + extra }

    /// Starts the daemon and waits until it answers.
    package func start() async throws {
        let process = Process()
        process.executableURL = Project.program("caked")
        process.arguments = arguments
        let log = folder.appending(path: "log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let handle = try FileHandle(forWritingTo: log)
        try handle.seekToEnd()
        process.standardError = handle
        process.standardOutput = handle
        try process.run()
        self.process = process
        for _ in 0..<600 {
            if (try? await client.status()) != nil { return }
            guard process.isRunning else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw StartFailure(log: (try? String(contentsOf: log, encoding: .utf8)) ?? "")
    }

    /// Waits until the daemon has nothing to do, twenty seconds at most.
    package func becomesIdle() async throws {
        var last = ""
        for _ in 0..<1000 {
            let status = try await client.status()
            if status.running.documents == 0, status.running.questions == 0, status.queue.documents == 0,
                status.queue.questions == 0
            {
                return
            }
            last = "\(status)"
            try await Task.sleep(for: .milliseconds(20))
        }
        throw StillBusy(status: last)
    }

    package struct StillBusy: Error {
        package let status: String
    }

    package struct StartFailure: Error {
        package let log: String
    }

    /// Ends the daemon with a signal and returns its exit status.
    @discardableResult
    package func stop(_ signal: Int32) -> Int32 {
        guard let process else { return 0 }
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        self.process = nil
        return process.terminationStatus
    }

    /// Runs cakectl against this daemon.
    package func cakectl(_ arguments: [String], input: String = "") throws -> Outcome {
        try run(Project.program("cakectl"), arguments, input: input, environment: ["CAKED_SOCKET": socket])
    }
}

/// Documents with questions from the recipe's generator, a seed never used in training.
package struct HeldOut: Decodable {
    package struct Question: Decodable {
        package var kind: String
        package var question: String
        package var answer: String
        package var value: String
    }
    package struct Document: Decodable {
        package var text: String
        package var questions: [Question]
    }
    package var documents: [Document]

    package static func load() throws -> HeldOut {
        let data = try Data(contentsOf: Project.fixtures.appending(path: "heldout-2k.json"))
        return try JSONDecoder().decode(HeldOut.self, from: data)
    }
}
