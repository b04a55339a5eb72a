// The real programs on a temporary socket and state directory, started and killed by the tests.

import CakedClient
import Foundation
import Testing

/// Where the programs and fixtures are.
enum Project {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    static let model = root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path
    static let fixtures = root.appending(path: "Tests/Fixtures")

    /// The folder the test bundle was built into holds the programs as well.
    static let programs = Bundle.main.executableURL.map { $0.deletingLastPathComponent() } ?? root

    static func program(_ name: String) -> URL {
        // `swift test` runs the bundle through a host program elsewhere; the first argument names the bundle itself.
        for argument in CommandLine.arguments where argument.hasSuffix(".xctest") {
            return URL(filePath: argument).deletingLastPathComponent().appending(path: name)
        }
        return programs.appending(path: name)
    }
}

/// What a program printed and how it ended.
struct Outcome: Sendable {
    var status: Int32
    var output: String
    var errors: String
}

/// Runs a program to its end.
func run(_ program: URL, _ arguments: [String], input: String = "", environment: [String: String] = [:]) throws
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
final class Daemon {
    let folder: URL
    var socket: String { folder.appending(path: "s").path }
    var state: String { folder.appending(path: "state").path }
    var client: DaemonClient { DaemonClient(socketPath: socket, idleTimeoutSeconds: 60) }
    private(set) var process: Process?
    let extra: [String]

    init(_ extra: [String] = []) async throws {
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

    var arguments: [String] { ["--model", Project.model, "--socket", socket, "--state", state] + extra }

    /// Starts the daemon and waits until it answers.
    func start() async throws {
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

    struct StartFailure: Error {
        let log: String
    }

    /// Ends the daemon with a signal and returns its exit status.
    @discardableResult
    func stop(_ signal: Int32) -> Int32 {
        guard let process else { return 0 }
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        self.process = nil
        return process.terminationStatus
    }

    /// Runs cakectl against this daemon.
    func cakectl(_ arguments: [String], input: String = "") throws -> Outcome {
        try run(Project.program("cakectl"), arguments, input: input, environment: ["CAKED_SOCKET": socket])
    }
}

/// Documents with questions from the recipe's generator, a seed never used in training.
struct HeldOut: Decodable {
    struct Question: Decodable {
        var kind: String
        var question: String
        var answer: String
        var value: String
    }
    struct Document: Decodable {
        var text: String
        var questions: [Question]
    }
    var documents: [Document]

    static func load() throws -> HeldOut {
        let data = try Data(contentsOf: Project.fixtures.appending(path: "heldout-2k.json"))
        return try JSONDecoder().decode(HeldOut.self, from: data)
    }
}
