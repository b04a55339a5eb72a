// Server-sent events, parsed from bytes as they come (WHATWG HTML, section 9.2, "Parsing an event stream").

/// One event of a stream.
public struct ServerSentEvent: Equatable, Sendable {
    /// The `event:` field; "message" when there is none.
    public var name: String
    /// The `data:` lines, joined by line feeds.
    public var data: String

    /// An event with these two fields.
    public init(name: String = "message", data: String) {
        self.name = name
        self.data = data
    }
}

/// An incremental parser: bytes in, split anywhere, whole events out.
///
/// A line is decoded only when it is complete, so a UTF-8 sequence may be split between chunks. `id`, `retry` and
/// unknown fields are ignored, and so is an event that the stream's end cuts off.
public struct ServerSentEventParser: Sendable {
    /// Room for a document with its layers; a token is some hundred bytes.
    public static let defaultMaximumEventBytes = 4 << 20

    private let maximumEventBytes: Int
    private var line: [UInt8] = []
    private var name = ""
    private var data: String?
    private var eventBytes = 0
    private var lastWasCarriageReturn = false
    private var isFirstLine = true

    /// A parser at the start of a stream; lines and fields of one event may hold `maximumEventBytes` together.
    public init(maximumEventBytes: Int = Self.defaultMaximumEventBytes) {
        self.maximumEventBytes = maximumEventBytes
    }

    /// The events that `bytes` completes, oldest first.
    ///
    /// Throws ``ClientError/responseTooLarge(what:limitBytes:)``.
    public mutating func append(_ bytes: some Sequence<UInt8>) throws(ClientError) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            let completesCRLF = lastWasCarriageReturn && byte == UInt8(ascii: "\n")
            lastWasCarriageReturn = byte == UInt8(ascii: "\r")
            if completesCRLF { continue }
            guard byte == UInt8(ascii: "\n") || byte == UInt8(ascii: "\r") else {
                eventBytes += 1
                guard eventBytes <= maximumEventBytes else {
                    throw .responseTooLarge(what: "an event of the daemon's answer", limitBytes: maximumEventBytes)
                }
                line.append(byte)
                continue
            }
            if let event = endLine() { events.append(event) }
        }
        return events
    }

    /// Takes the line that has just ended; a blank one completes the event.
    private mutating func endLine() -> ServerSentEvent? {
        if isFirstLine, line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        isFirstLine = false
        defer { line.removeAll(keepingCapacity: true) }
        guard !line.isEmpty else { return endEvent() }

        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        if colon == line.startIndex {
            eventBytes -= line.count  // a comment; a stream of keep-alives never adds up to a large event
            return nil
        }
        var value = line[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "event": name = String(decoding: value, as: UTF8.self)
        case "data": data = (data.map { $0 + "\n" } ?? "") + String(decoding: value, as: UTF8.self)
        default: break
        }
        return nil
    }

    private mutating func endEvent() -> ServerSentEvent? {
        defer { (name, data, eventBytes) = ("", nil, 0) }
        return data.map { ServerSentEvent(name: name.isEmpty ? "message" : name, data: $0) }
    }
}
