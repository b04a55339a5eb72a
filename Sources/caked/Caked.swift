// caked, the daemon: parse, configure, wire, run.

import API
import ArgumentParser
import CLinux
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

    /// What the service manager told this process.
    private static let manager = ServiceEnvironment.takeFromProcess()

    /// Parses the command line and runs; a start that fails is told to all who may ask.
    static func main() async {
        // Before any thread starts: the variables leave the environment once the arguments were found beside it.
        _ = CommandLine.arguments
        let manager = Self.manager
        caked_silence_libdispatch()
        do {
            let caked = try Self.parse()
            try await caked.run()
        } catch {
            let code = exitCode(for: error).rawValue
            if code == EX_USAGE, manager.isPresent {
                StandardErrorLog.fatal(message(for: error))
                FailedStart(manager: manager).tell([message(for: error)], code: code)
            }
            exit(withError: error)
        }
    }

    /// Runs the daemon until it is told to stop.
    func run() async throws {
        let manager = Self.manager
        let settings = try loadConfiguration()
        if checkConfig { return try check(settings) }
        guard compact else { return try await Daemon(settings, manager).run() }
        do throws(EngineError) {
            let compacted = try Engine.compactStore(settings.engine)
            print(
                "\(settings.engine.stateDirectory): \(compacted.bytesBefore) bytes before, \(compacted.bytesAfter) now")
        } catch {
            StandardErrorLog.fatal(error.message)
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
        for problem in checked.problems { StandardErrorLog.fatal("\(problem)") }
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
        throw FailedStart(manager: Self.manager).end(problems.map(\.description), code: EX_CONFIG)
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
