// caked, the daemon: parse, configure, wire, run.

import API
import ArgumentParser
import Dispatch
import EngineInterface
import Glibc
import HTTPAPI
import Inference
import Logging
import ServiceLifecycle
import Systemd

/// The command line.
@main
struct Caked: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caked",
        abstract:
            "Reads documents once with a local language model and answers questions about them over a Unix socket.",
        discussion: """
            Settings come from the configuration file, CAKED_* variables and these flags, the later over the earlier.

            Exit status: 0 stopped as asked; 64 wrong usage; 65 unusable model or store; 75 another daemon has the \
            socket or the store; 78 wrong configuration; 1 anything else.
            """,
        version: CakedVersion.current)

    @Option(help: "The configuration file (default: \(ConfigurationSources.defaultFile), if it exists).")
    var config: String?
    @Option(help: "The model, a GGUF file.")
    var model: String?
    @Option(help: "The path of the Unix socket.")
    var socket: String?
    @Option(help: "The directory of the store.")
    var state: String?
    @Option(help: "Compute threads; 0: one for each CPU.")
    var threads: String?
    @Flag(help: "Give the free space of the store back to the disk, and exit; not while a daemon uses it.")
    var compact = false
    @Flag(name: .customLong("check-config"), help: "Check the configuration, say what is wrong with it, and exit.")
    var checkConfig = false

    /// Runs the daemon until it is told to stop.
    func run() async throws {
        // Before any thread starts: the variables are taken out of the environment.
        let manager = ServiceEnvironment.takeFromProcess()
        let settings = try loadConfiguration()
        if checkConfig { return try check(settings) }
        guard compact else { return try await Daemon(settings, manager).run() }
        do throws(EngineError) {
            let compacted = try Engine.compactStore(settings.engine)
            print(
                "\(settings.engine.stateDirectory): \(compacted.bytesBefore) bytes before, \(compacted.bytesAfter) now")
        } catch {
            StandardErrorLog.write("caked: \(error.message)\n")
            throw ExitCode(Daemon.exitCode(of: error))
        }
    }

    /// Looks at what the configuration names, as the service would if the configuration is the service's.
    private func check(_ settings: CakedConfiguration) throws {
        let isService =
            geteuid() == 0 && ServiceView.isInstalled
            && (config ?? ConfigurationSources.defaultFile) == ConfigurationSources.defaultFile
        let checked = ConfigurationCheck(settings, view: isService ? .ofService() : .own).run()
        for line in checked.findings { print(line) }
        for problem in checked.problems { StandardErrorLog.write("caked: \(problem)\n") }
        if !checked.problems.isEmpty { throw ExitCode(EX_CONFIG) }
    }

    private func loadConfiguration() throws -> CakedConfiguration {
        var problems: [ConfigurationProblem] = []
        var sources = ConfigurationSources(environment: ProcessVariables.all(), isRoot: geteuid() == 0)
        sources.flags = ["model": model, "socket": socket, "state": state, "threads": threads].compactMapValues { $0 }
        sources.needsModel = !compact
        let path = config ?? ConfigurationSources.defaultFile
        do throws(ConfigurationProblem) {
            sources.file = try ConfigurationSources.read(path).map { (path, $0) }
            if config != nil, sources.file == nil {
                problems.append(.init(source: "--config", key: nil, value: path, wanted: "a file that exists"))
            }
        } catch {
            problems.append(error)
        }
        let isJournal = unsafe getenv("JOURNAL_STREAM") != nil
        for unknown in sources.unknownVariables() {
            StandardErrorLog.write(StandardErrorLog.start(of: .warning, withPriority: isJournal) + unknown + "\n")
        }
        switch sources.resolve() {
        case .failure(let error): problems += error.problems
        case .success(let configuration):
            if !compact, !checkConfig { problems += ModelFile.problems(of: configuration) }
            if problems.isEmpty { return configuration }
        }
        for problem in problems { StandardErrorLog.write("caked: \(problem)\n") }
        throw ExitCode(EX_CONFIG)
    }
}

/// The process's environment.
enum ProcessVariables {
    /// Every variable.
    static func all() -> [String: String] {
        var variables: [String: String] = [:]
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            let parts = unsafe String(cString: entry).split(
                separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { variables[String(parts[0])] = String(parts[1]) }
            unsafe next += 1
        }
        return variables
    }
}
