// Everything that can go wrong between a client and the daemon, each with its cause and the way out.

import API

/// A failed request, or a request that could not be made.
public enum ClientError: Error, Equatable, Sendable {
    /// Nothing answers at the socket: it does not exist, or no daemon listens behind it.
    case unreachable(path: String, reason: String)
    /// A daemon listens there, but as many clients as the kernel allows wait already to be let in (EAGAIN).
    case backlogFull(path: String)
    /// The socket exists but this user may not open it (EACCES).
    case permissionDenied(path: String)
    /// `sun_path` holds 108 bytes with its terminator (unix(7)).
    case socketPathTooLong(path: String, bytes: Int)
    /// Neither side sent a byte for this long.
    case timedOut(seconds: Int)
    /// The connection ended before the answer did.
    case closedEarly(String)
    /// The other side does not speak the API: not HTTP, not JSON, or a field is missing.
    case protocolViolation(String)
    /// The answer, or one event in it, is larger than this client accepts.
    case responseTooLarge(what: String, limitBytes: Int)
    /// The daemon refused: the error object of the API, and `Retry-After`.
    ///
    /// `status` is 200 when the refusal came inside a stream.
    case api(status: Int, code: String, message: String, param: String?, retryAfterSeconds: Int?)
    /// Not a document's name: 1 to 128 of `A-Z a-z 0-9 . _ -`, not starting with a dot.
    case invalidName(String)
    /// The text of a document could not be read.
    case unreadable(path: String, reason: String)
    /// A file could not be written.
    case unwritable(path: String, reason: String)
    /// The text of a document has no bytes.
    case emptyDocument(path: String)
    /// The text of a document is not UTF-8; `offset` is the first byte of the bad sequence.
    case notUTF8(path: String, offset: Int)
    /// The task was cancelled, and the connection closed with it.
    case cancelled

    /// The daemon is there but cannot take the request now: a full queue or backlog, or a start or a stop under way.
    public var isBusy: Bool {
        if case .backlogFull = self { return true }
        guard case .api(let status, let code, _, _, _) = self else { return false }
        return status == 429 || status == 503 || code == "busy" || code == "shutting_down"
    }

    /// This user is not allowed to do what was asked.
    public var isPermission: Bool {
        switch self {
        case .permissionDenied: true
        case .api(let status, let code, _, _, _): status == 401 || status == 403 || code == "forbidden"
        default: false
        }
    }
}

extension ClientError: CustomStringConvertible {
    /// One sentence for a person: what happened, and the mend.
    public var description: String {
        switch self {
        case .unreachable(let path, let reason):
            "cannot reach the daemon at \(path) (\(reason)); is caked running? start it with \"systemctl start caked\" "
                + "or \"caked --socket PATH\", or name its socket with --socket or CAKED_SOCKET"
        case .backlogFull(let path):
            "the daemon at \(path) is busy: too many clients wait to be let in; try again later"
        case .permissionDenied(let path):
            "not allowed to open \(path); join the group that owns the socket (\"ls -l\" shows it, usually caked) "
                + "and log in again"
        case .socketPathTooLong(let path, let bytes):
            "the socket path is \(bytes) bytes long, the limit is \(SocketPath.maximumBytes): \(path); "
                + "use a shorter path"
        case .timedOut(let seconds):
            "the daemon was silent for \(seconds) s; see its log, or wait longer with --timeout"
        case .closedEarly(let when):
            "the daemon closed the connection \(when); see its log (\"journalctl -u caked\")"
        case .protocolViolation(let what):
            "\(what); is another program listening on this socket?"
        case .responseTooLarge(let what, let limitBytes):
            "\(what) is larger than the \(limitBytes) bytes this client accepts"
        case .api(_, _, let message, let param, let retryAfterSeconds):
            message + (param.map { " (parameter \($0))" } ?? "")
                + (isBusy ? "; try again" + (retryAfterSeconds.map { " in \($0) s" } ?? " later") : "")
        case .invalidName(let name):
            "\"\(name.prefix(60))\" is not a document name: use 1 to \(DocumentName.maximumBytes) letters, digits, "
                + "\".\", \"_\" or \"-\", "
                + "and do not start with \".\""
        case .unreadable(let path, let reason):
            "cannot read \(path): \(reason)"
        case .unwritable(let path, let reason):
            "cannot write \(path): \(reason)"
        case .emptyDocument(let path):
            "\(path) is empty: there is nothing to cache"
        case .notUTF8(let path, let offset):
            "\(path) is not UTF-8 (byte \(offset)); convert it first, for example with "
                + "\"iconv -f latin1 -t utf-8\" or \"pdftotext\""
        case .cancelled:
            "cancelled"
        }
    }
}
