// cakectl: the command line of the daemon. Parses, runs one command, and turns what went wrong into an exit code.
import API
import ArgumentParser
import CLinux
import CakedClient
import Dispatch
import Glibc
import TextFiles

/// The root command.
struct Cakectl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cakectl",
        abstract: "Cache documents with a local language model and ask questions about them.",
        discussion: """
            A document is read once; after that any number of questions are answered from its compact cache.

              cakectl put manual manual.txt --keep 10%
              cakectl ask manual "Which port does the service listen on?"
              cakectl put paper.pdf
              cakectl chat paper.pdf

            Results go to standard output, everything else to standard error. The socket is --socket, else \
            CAKED_SOCKET, \
            else $XDG_RUNTIME_DIR/caked.sock if there is one, else /run/caked/caked.sock.

            Exit codes: 0 done; 1 failure, or a document is damaged; 64 wrong usage; 65 a file without text; 69 the \
            daemon cannot be reached, or a program that reads a file is missing; 75 it is busy, try again; 77 not \
            allowed; 130 interrupted. While the daemon starts, stops or is full it is asked again for a while (--wait) \
            first.
            """,
        version: CakedVersion.current,
        subcommands: [
            Put.self, Ask.self, Chat.self, List.self, Show.self, Text.self, Map.self, Change.self, Move.self,
            Shrink.self,
            Remove.self, Verify.self, Rebuild.self, Export.self, Import.self, Status.self, Models.self,
        ])

    @OptionGroup var global: GlobalOptions
}

/// Options that every command takes, before or after its name.
struct GlobalOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The daemon's socket.", valueName: "path"), completion: .file())
    var socket: String?

    @Option(
        help: ArgumentHelp("Give up when nothing has come for this long; 600 if not given.", valueName: "seconds"))
    var timeout: Int?

    @Option(
        help: ArgumentHelp(
            """
            Try again for this long while the daemon starts, stops or is full, where that does no harm; 10 for one to \
            appear and 30 for one to take the request if not given.
            """, valueName: "seconds"))
    var wait: Int?

    @Flag(help: "Print JSON: one object on one line, or one per line where there are several.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, summaries or notes: results and errors only.")
    var quiet = false

    /// Longer than a day of silence is a mistake.
    private static let timeouts = 1...86400

    func validate() throws {
        guard Self.timeouts.contains(timeout ?? 1) else {
            throw ValidationError(
                "--timeout must be \(Self.timeouts.lowerBound) to \(Self.timeouts.upperBound) seconds.")
        }
        guard (0...Self.timeouts.upperBound).contains(wait ?? 0) else {
            throw ValidationError("--wait must be 0 to \(Self.timeouts.upperBound) seconds.")
        }
    }
}

/// A command that talks to the daemon.
protocol DaemonCommand: AsyncParsableCommand {
    var root: Cakectl { get }
    var global: GlobalOptions { get }
}

extension DaemonCommand {
    var printsJSON: Bool { global.json || root.global.json }
    var isQuiet: Bool { global.quiet || root.global.quiet }

    /// The daemon that the options and the environment name.
    func client() throws(ClientError) -> DaemonClient {
        DaemonClient(
            socketPath: try SocketPath.resolve(explicit: global.socket ?? root.global.socket),
            idleTimeoutSeconds: global.timeout ?? root.global.timeout ?? DaemonClient.defaultIdleTimeoutSeconds,
            patience: (global.wait ?? root.global.wait).map {
                Patience(unreachableSeconds: Double($0), busySeconds: Double($0))
            } ?? .standard)
    }
}

@main
enum Program {
    static func main() async {
        _ = CommandLine.arguments
        caked_silence_libdispatch()
        let interrupts = Interrupt.exitCleanly()
        defer { interrupts.cancel() }
        var printsJSON = false
        do {
            var command = try await Cakectl.asyncParseAsRoot()
            printsJSON = (command as? any DaemonCommand)?.printsJSON ?? false
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch let error as ClientError {
            Terminal.fail(error, asJSON: printsJSON)
            exit(ExitCodes.code(of: error))
        } catch let error as TextFileError {
            Terminal.fail(error, asJSON: printsJSON)
            exit(ExitCodes.code(of: error))
        } catch {
            finish(error)
        }
    }

    /// Help on standard output, a usage error on standard error; both end the program.
    private static func finish(_ error: any Error) -> Never {
        let code = Cakectl.exitCode(for: error)
        let message = Cakectl.fullMessage(for: error)
        if code == .success {
            Terminal.print(message)
        } else if !message.isEmpty {
            Terminal.fail(message.hasPrefix("Error: ") ? String(message.dropFirst("Error: ".count)) : message)
        }
        exit(code.rawValue)
    }
}

/// Exit codes by cause, after sysexits.h.
enum ExitCodes {
    static func code(of error: ClientError) -> CInt {
        if error.isBusy { return 75 }
        if error.isPermission { return 77 }
        return switch error {
        case .unreachable: 69
        case .invalidName, .socketPathTooLong: 64
        case .cancelled: 130
        default: 1
        }
    }

    static func code(of error: TextFileError) -> CInt {
        switch error {
        case .client(let error): code(of: error)
        case .missingProgram: 69
        case .noText, .emptyText, .sameName, .tooManyFiles: 65
        default: 1
        }
    }
}
