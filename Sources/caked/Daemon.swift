// The daemon's life: take the socket, load the engine, serve, drain, end.

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
import UnixSignals

/// A configured daemon.
struct Daemon {
    /// After drain and flush, for services that do not end by themselves.
    private static let lastResortSeconds = 3.0

    private let settings: CakedConfiguration
    private let manager: ServiceEnvironment
    private let logger: Logger

    init(_ settings: CakedConfiguration, _ manager: ServiceEnvironment) {
        self.settings = settings
        self.manager = manager
        let withPriority = StandardErrorLog.isForJournal
        LoggingSystem.bootstrap { _ in StandardErrorLog(logLevel: settings.logLevel, withPriority: withPriority) }
        logger = Logger(label: "caked")
        // A client that has gone is an error of a write, not the end of the daemon.
        _ = signal(SIGPIPE, SIG_IGN)
        // A file that is cut while it is mapped ends the daemon with a line that names it, not with a backtrace.
        unsafe caked_end_on_lost_pages(
            StandardErrorLog.start(of: .critical, withPriority: withPriority), EX_TEMPFAIL)
    }

    /// What a start makes.
    private struct Started {
        var engine: Engine
        var socket: ListeningSocket
        var watchdog: Watchdog?
        var reports: ManagerReports
    }

    /// Serves until SIGTERM or SIGINT; throws the exit code of what went wrong.
    func run() async throws {
        let started: Started
        do { started = try await start() } catch {
            throw FailedStart(manager: manager).end(["\(error)"], code: Self.exitCode(of: error))
        }
        defer { started.socket.removeFile() }
        do {
            try await serve(started.engine, started.socket, started.watchdog, started.reports)
            logger.info("stopped")
        } catch {
            logger.critical("\(error)")
            throw ExitCode(Self.exitCode(of: error))
        }
    }

    private func start() async throws -> Started {
        let reports = ManagerReports(notifier: try ServiceNotifier(manager), logger: logger)
        let watchdog = try Watchdog(manager)
        let socket = try listen()
        do {
            return Started(engine: try await load(reports), socket: socket, watchdog: watchdog, reports: reports)
        } catch {
            socket.removeFile()
            throw error
        }
    }

    private func listen() throws -> ListeningSocket {
        let inherited = try InheritedSocket.all(in: manager)
        guard let first = inherited.first else {
            return try ListeningSocket(path: settings.socketPath) { [logger] directory in
                logger.notice("waiting for the lock on \(directory), which another program holds")
            }
        }
        guard inherited.count == 1, first.isListeningUnixStream else { throw DaemonError.foreignSocket }
        logger.info("serving the service manager's socket")
        return ListeningSocket(adopting: first.descriptor)
    }

    // Mapping the model and checking the store may take a while: not on a thread that others wait for.
    private func load(_ reports: ManagerReports) async throws -> Engine {
        let (configuration, logger) = (settings.engine, logger)
        let what = "loading \(configuration.modelPath), with the store in \(configuration.stateDirectory),"
        reports.send(.status("loading \(configuration.modelPath)"))
        try StateDirectory.makeParents(of: configuration.stateDirectory)
        return try await withThrowingTaskGroup(of: Engine?.self) { group in
            group.addTask {
                await reports.extendWhileLoading(what)
                return nil
            }
            group.addTask {
                try await withCheckedThrowingContinuation { continuation in
                    DispatchQueue.global().async {
                        continuation.resume(with: Result { try Engine(configuration, logger: logger) })
                    }
                }
            }
            defer { group.cancelAll() }
            while let engine = try await group.next() {
                if let engine { return engine }
            }
            throw CancellationError()
        }
    }

    private func serve(
        _ engine: Engine, _ socket: ListeningSocket, _ watchdog: Watchdog?, _ reports: ManagerReports
    ) async throws {
        let api = HTTPAPI(
            service: engine, access: settings.access, daemonUser: geteuid(), limits: settings.limits, logger: logger)
        let (model, path) = (engine.modelCard.id, socket.path ?? "the inherited socket")
        let server = UnixServer(
            api: api, socket: socket,
            onAccepting: { [logger] in
                logger.info("ready", metadata: ["model": "\(model)", "socket": "\(path)"])
                reports.send(.status("answering questions with \(model)"), .ready)
            },
            onDraining: { reports.send(.status("finishing requests"), .stopping) })
        // Services stop in the reverse order: the server drains while the watchdog goes on watching the engine.
        var configuration = ServiceGroupConfiguration(
            services: [
                .init(
                    service: WatchdogService(watchdog: watchdog, service: engine, reports: reports),
                    serviceName: "watchdog"),
                .init(service: server, serviceName: "server"),
                .init(
                    service: ModelWatchService(engine: engine, reports: reports),
                    failureTerminationBehavior: .gracefullyShutdownGroup, serviceName: "model"),
            ],
            gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
        let limits = settings.limits
        configuration.maximumGracefulShutdownDuration = .seconds(
            limits.drainSeconds + limits.flushSeconds + Self.lastResortSeconds)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch {
            await engine.shutdown(graceSeconds: 0)
            throw error
        }
        await engine.shutdown(graceSeconds: 0)
    }

    /// The exit code that says what kind of error it was (sysexits.h).
    static func exitCode(of error: any Error) -> Int32 {
        switch error {
        case let error as EngineError:
            switch error.code {
            case "unusable_model", "unusable_store": EX_DATAERR
            case "store_in_use", EngineError.modelChanged.code: EX_TEMPFAIL
            default: 1
            }
        case ListeningSocketError.inUse, ListeningSocketError.directoryLocked: EX_TEMPFAIL
        case ListeningSocketError.pathTooLong, ListeningSocketError.notASocket: EX_CONFIG
        case DaemonError.modelChanged: EX_TEMPFAIL
        case is SystemdError, is DaemonError: EX_CONFIG
        default: 1
        }
    }
}

/// What is wrong with how the daemon was started.
enum DaemonError: Error, CustomStringConvertible {
    case foreignSocket
    case directory(path: String, errno: Int32)
    case modelChanged(String)

    var description: String {
        switch self {
        case .foreignSocket: "the service manager must pass exactly one listening Unix stream socket (see caked.socket)"
        case .modelChanged(let problem): "\(problem): ended to be started with what is there now"
        case .directory(let path, let errno):
            "cannot make the directory \(path) for the store: \(unsafe String(cString: strerror(errno)))"
        }
    }
}

/// Where the store lives.
enum StateDirectory {
    /// Makes the directories above `path`, as private as the store itself; the store makes the last one.
    static func makeParents(of path: String) throws(DaemonError) {
        for index in path.indices.dropFirst() where path[index] == "/" {
            let parent = String(path[..<index])
            if unsafe mkdir(parent, 0o700) != 0, errno != EEXIST, unsafe access(parent, F_OK) != 0 {
                throw .directory(path: parent, errno: errno)
            }
        }
    }
}
