// The bounds of the HTTP interface: what one client may send, hold open and keep waiting.

import API

/// Limits of the server; the defaults suit a daemon whose clients are people and programs on one machine.
public struct ServerLimits: Equatable, Sendable {
    /// Bytes of a document's body; a larger one is 413.
    ///
    /// 64 MiB of text is far more than any context holds.
    public var documentBodyBytes = 64 << 20
    /// Bytes of a question's body: a long conversation, not a document.
    public var chatBodyBytes = 4 << 20
    /// Bytes of all documents' bodies in memory at once, or one body of the largest size; what is beyond them is 429,
    /// and so is what is beyond half of them from one user.
    public var documentBodiesBytes = 256 << 20
    /// The same for questions' bodies.
    public var chatBodiesBytes = 64 << 20
    /// Seconds that a client may stall while it sends a body: pipes stutter, and an upload that stalls holds memory.
    public var bodyGraceSeconds = 20.0
    /// Bytes of a body that come in a second, in the long run: less than any disk or pipe of a machine gives.
    public var bodyBytesPerSecond = 8 << 10
    /// Bytes of a change to a document: two fields.
    public var patchBodyBytes = 64 << 10
    /// Arrays and objects inside each other, checked before decoding so that no decoder recurses on a client's say-so.
    public var jsonDepth = 64
    /// What becomes of a request's field that nobody knows.
    public var unknownFields = UnknownFields.warn
    /// Bytes of all header fields of a request; more is 431.
    public var headerBytes = 32 << 10
    /// Header fields of a request.
    public var headerFields = 100
    /// Connections served at once: one more gets the place of another, or is told to come back.
    public var connections = 512
    /// Connections beyond them, which have lost their place or are told so; more wait in the socket's backlog.
    static let leavingConnections = 64
    /// Seconds a client may read nothing of what is written for it before its request is cancelled.
    public var writeDeadlineSeconds = 30.0
    /// Seconds a connection may stand idle, or stall while it sends a request.
    public var idleSeconds = 120.0
    /// Seconds between comments that keep a silent event stream alive.
    public var keepAliveSeconds = 10.0
    /// Seconds that requests get to finish when the daemon stops; the rest fail with `shutting_down`.
    public var drainSeconds = 20.0
    /// Seconds after the drain for clients to read those failures.
    public var flushSeconds = 5.0
    /// Bytes read and thrown away from a client that goes on sending after its answer, so that it can read the answer.
    public var surplusBytes = 64 << 20

    /// The defaults above.
    public init() {}
}
