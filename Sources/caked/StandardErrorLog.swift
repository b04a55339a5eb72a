// The log: lines on standard error, with the journal's priorities when the journal listens.

import Glibc
import Logging

/// One line a message, `key=value` metadata after it; no time, the journal has that.
struct StandardErrorLog: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    /// Whether to begin with `<N>`, the priority of syslog(3) as sd-daemon(3) takes it.
    let withPriority: Bool

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        var line = Self.start(of: event.level, withPriority: withPriority)
        line += Self.oneLine("\(event.message)")
        for (key, value) in fields { line += " \(key)=\(Self.oneLine("\(value)"))" }
        Self.write(line + "\n")
    }

    /// What a line of this level begins with.
    static func start(of level: Logger.Level, withPriority: Bool) -> String {
        withPriority ? "<\(priority(level))>" : "\(level): "
    }

    /// Whether standard error is the journal, which takes priorities.
    static var isForJournal: Bool { unsafe getenv("JOURNAL_STREAM") != nil }

    /// Says what ends the program: with the priority of an error for the journal, with its name for a terminal.
    static func fatal(_ text: String) {
        write((isForJournal ? start(of: .error, withPriority: true) : "caked: ") + oneLine(text) + "\n")
    }

    /// Writes `text` to standard error in one piece, so that lines of several threads do not mix.
    static func write(_ text: String) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes[written...].withUnsafeBytes { unsafe Glibc.write(2, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }  // nobody to tell that the log is gone
            written += count
        }
    }

    // A line break in what a client sent would look like a message of our own.
    private static func oneLine(_ text: String) -> String {
        text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
