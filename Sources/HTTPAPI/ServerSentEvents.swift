// Server-sent events: how they are written, and how a silent stream is kept alive.

import API
import AsyncAlgorithms
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// The text form of server-sent events (HTML standard, section 9.2.6).
enum ServerSentEvents {
    static let headers: HTTPFields = [.contentType: "text/event-stream", .cacheControl: "no-cache"]
    static let done = ByteBuffer(string: "data: [DONE]\n\n")
    /// A comment; clients skip lines that begin with a colon.
    static let keepAlive = ByteBuffer(string: ": keep-alive\n\n")

    /// One event with JSON as its data; JSON has no line breaks, so one `data:` line is enough.
    static func event(_ name: EventName? = nil, json: [UInt8]) -> ByteBuffer {
        var buffer = ByteBuffer()
        if let name { buffer.writeString("event: \(name.rawValue)\n") }
        buffer.writeString("data: ")
        buffer.writeBytes(json)
        buffer.writeString("\n\n")
        return buffer
    }

    static func event(_ name: EventName? = nil, value: some Encodable) -> ByteBuffer {
        event(name, json: JSONText.bytes(value))
    }
}

/// What a reader of a `PulsedEvents` gets.
enum Pulse<Event: Sendable>: Sendable {
    case event(Event)
    /// Nothing has to be said, but the client should hear that we are alive.
    case beat
    case end
}

/// The events of an engine's stream, with a beat at regular times in between.
///
/// It has one reader, whoever holds it;
/// when the last reference goes, the engine's work is cancelled.
final class PulsedEvents<Events: AsyncSequence & Sendable>: @unchecked Sendable where Events.Element: Sendable {
    // Unchecked: the iterator is used by one task at a time, first by the handler, then by the response's writer.
    private typealias Beats = AsyncMapSequence<AsyncTimerSequence<ContinuousClock>, Pulse<Events.Element>>
    private var iterator: AsyncMerge2Sequence<Ended<Events>, Beats>.Iterator

    init(_ events: Events, everySeconds: Double) {
        let beats: Beats = AsyncTimerSequence(interval: .seconds(everySeconds), clock: .continuous).map { _ in .beat }
        iterator = merge(Ended(events: events), beats).makeAsyncIterator()
    }

    /// The next event or beat; throws the engine's error.
    ///
    /// The beats never end, so only the reader's own cancellation ends the sequence.
    func next() async throws -> Pulse<Events.Element> {
        guard let pulse = try await iterator.next() else { throw EngineError.cancelled }
        return pulse
    }
}

// An engine's stream with its end as an element, because a merged sequence ends only when both of its parts do.
private struct Ended<Events: AsyncSequence & Sendable>: AsyncSequence, Sendable where Events.Element: Sendable {
    typealias Element = Pulse<Events.Element>
    let events: Events

    func makeAsyncIterator() -> Iterator { Iterator(base: events.makeAsyncIterator()) }

    struct Iterator: AsyncIteratorProtocol {
        var base: Events.AsyncIterator

        mutating func next() async throws -> Pulse<Events.Element>? {
            if let event = try await base.next() { .event(event) } else { .end }
        }
    }
}
