// Standard output and standard error: whole writes, terminals told from pipes, nothing that a terminal would obey.
import CakedClient
import Dispatch
import Glibc
import Locks

/// The two streams of the program.
enum Terminal {
    static let outputIsTerminal = isatty(STDOUT_FILENO) == 1
    static let errorIsTerminal = isatty(STDERR_FILENO) == 1
    static let inputIsTerminal = isatty(STDIN_FILENO) == 1
    /// NO_COLOR (no-color.org) turns bold and dim off, as a terminal does that has neither.
    static let errorHasColor =
        errorIsTerminal && (SocketPath.environmentValue("NO_COLOR") ?? "").isEmpty
        && SocketPath.environmentValue("TERM") != "dumb"

    /// The same of standard output.
    static let outputHasColor =
        outputIsTerminal && (SocketPath.environmentValue("NO_COLOR") ?? "").isEmpty
        && SocketPath.environmentValue("TERM") != "dumb"

    /// Columns of the terminal that tables are fitted to.
    static var columns: Int {
        var size = winsize()
        guard unsafe ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// Writes a result and ends the line.
    static func print(_ text: String) {
        write(text + "\n")
    }

    /// Writes part of a result.
    ///
    /// To a terminal, control characters go as U+FFFD: documents and models are not trusted to drive it. A reader that
    /// has gone away ends the program, as SIGPIPE would.
    static func write(_ text: String) {
        put(outputIsTerminal ? printable(text) : text, on: STDOUT_FILENO)
    }

    /// Writes a line of a result whose control sequences are our own: `text` has none of a document's.
    static func paint(_ line: String) {
        put(line + "\n", on: STDOUT_FILENO)
    }

    /// Writes one JSON object on a line of its own.
    static func print(json value: some Encodable) throws(ClientError) {
        put(String(decoding: try encodeJSON(value), as: UTF8.self) + "\n", on: STDOUT_FILENO)
    }

    /// Says something that is not a result.
    static func note(_ text: String) {
        put(printable(text) + "\n", on: STDERR_FILENO)
    }

    /// Says what went wrong, and with `--json` says it on standard output as the daemon does, too.
    static func fail(_ error: some FailureObject, asJSON: Bool) {
        fail(error.description)
        if asJSON { try? print(json: ErrorReply(error: error.object)) }
    }

    /// Says what went wrong.
    static func fail(_ message: String) {
        ProgressLine.shared.clear()
        note("cakectl: " + message)
    }

    /// Writes control sequences of our own to standard error.
    static func control(_ text: String) {
        put(text, on: STDERR_FILENO)
    }

    /// `text` without control characters except tab and line feed.
    static func printable(_ text: String) -> String {
        func isControl(_ scalar: Unicode.Scalar) -> Bool {
            switch scalar.value {
            case 0x09, 0x0A: false
            case 0..<0x20, 0x7F..<0xA0: true
            default: false
            }
        }
        guard text.unicodeScalars.contains(where: isControl) else { return text }
        return text.unicodeScalars.reduce(into: "") { safe, scalar in
            safe.unicodeScalars.append(isControl(scalar) ? "\u{FFFD}" : scalar)
        }
    }

    private static func put(_ text: String, on descriptor: CInt) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written >= 0 {
                bytes = bytes.dropFirst(written)
            } else if errno == EAGAIN {
                var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                _ = unsafe poll(&wait, 1, -1)
            } else if errno != EINTR {
                lost(descriptor, because: errno)
            }
        }
    }

    /// Nothing can be said any more on this stream.
    private static func lost(_ descriptor: CInt, because code: CInt) -> Never {
        if code == EPIPE {
            // The sockets' library ignores the signal for the whole process; a filter still dies of it.
            signal(SIGPIPE, SIG_DFL)
            raise(SIGPIPE)
        }
        if descriptor == STDOUT_FILENO {
            fail("cannot write the result: \(unsafe String(cString: strerror(code)))")
        }
        _exit(1)
    }
}

/// Files that commands write beside their results.
enum OutputFile {
    /// Writes all of `text` over what the file had.
    static func write(_ text: String, to path: String) throws(ClientError) {
        func failure() -> ClientError { .unwritable(path: path, reason: unsafe String(cString: strerror(errno))) }
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure() }
        defer { close(descriptor) }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw failure() }
            bytes = bytes.dropFirst(written)
        }
    }
}

/// Ctrl-C: the connection closes with the process, which makes the daemon stop working for it.
enum Interrupt {
    /// 128 + SIGINT, as shells report it.
    private static let exitCode: CInt = 130
    /// What it ends instead of the program.
    private static let current = Mutex<(@Sendable () -> Void)?>(nil)

    /// Runs `body` so that SIGINT cancels it, and nothing else.
    static func cancelling<Result: Sendable>(
        _ body: @escaping @Sendable () async throws(ClientError) -> Result
    ) async throws(ClientError) -> Result {
        let task = Task { () async -> Swift.Result<Result, ClientError> in
            do throws(ClientError) { return .success(try await body()) } catch { return .failure(error) }
        }
        current.withLock { $0 = { task.cancel() } }
        defer { current.withLock { $0 = nil } }
        return try await task.value.get()
    }

    /// From now on SIGINT clears the progress line and ends the program with 130, as long as the source returned lives.
    static func exitCleanly() -> any DispatchSourceSignal {
        signal(SIGINT, SIG_IGN)
        let signals = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global(qos: .userInteractive))
        signals.setEventHandler {
            ProgressLine.shared.clear()
            if let cancel = current.withLock({ $0 }) { return cancel() }
            _exit(exitCode)
        }
        signals.activate()
        return signals
    }
}
