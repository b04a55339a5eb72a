// A bounded stream of events from the engine's thread to one asynchronous reader, with back-pressure and cancellation.

import DequeModule
import Locks

/// Events of one request.
///
/// The engine never blocks on a slow reader: it parks the request until the reader has caught up.
public struct EventStream<Event: Sendable>: AsyncSequence, Sendable {
    /// What the stream carries.
    public typealias Element = Event
    /// How it can end early.
    public typealias Failure = EngineError

    let lease: Lease

    /// A stream and the end that feeds it.
    ///
    /// `wake` is called whenever the reader drained the stream or went away.
    public static func make(wake: @escaping @Sendable () -> Void) -> (stream: EventStream, feed: EventFeed<Event>) {
        let feed = EventFeed<Event>(wake: wake)
        return (EventStream(lease: Lease(feed: feed)), feed)
    }

    /// A stream that fails at once.
    public static func failing(_ error: EngineError) -> EventStream {
        let (stream, feed) = make(wake: {})
        feed.finish(throwing: error)
        return stream
    }

    /// The one reader's iterator.
    public func makeAsyncIterator() -> Iterator { Iterator(lease: lease) }

    /// Reads events until the stream finishes or fails; a cancelled task reads `cancelled`.
    public struct Iterator: AsyncIteratorProtocol {
        let lease: Lease

        /// The next event; nil after the last.
        public mutating func next() async throws(EngineError) -> Event? {
            try await lease.feed.next()
        }

        /// The next event; nil after the last.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws(EngineError) -> Event? {
            try await lease.feed.next()
        }
    }

    // Shared by the stream and its iterators: when the last of them goes, the reader has gone.
    final class Lease: Sendable {
        let feed: EventFeed<Event>
        init(feed: EventFeed<Event>) { self.feed = feed }
        deinit { feed.cancel() }
    }
}

/// The engine's end of an `EventStream`.
public final class EventFeed<Event: Sendable>: Sendable {
    /// Events a reader may fall behind before its request is parked: a second or two of fast decoding.
    public static var capacity: Int { 64 }

    private enum End { case finished, failed(EngineError), cancelled }
    private struct State {
        var events = Deque<Event>()
        var end: End?
        var reader: CheckedContinuation<Result<Event?, EngineError>, Never>?
    }

    private let state = Mutex(State())
    private let wake: @Sendable () -> Void

    init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// Whether the reader has gone; the request should be dropped.
    public var isCancelled: Bool {
        state.withLock { if case .cancelled = $0.end { true } else { false } }
    }

    /// Whether the reader is so far behind that the request should be parked.
    public var isFull: Bool { state.withLock { $0.events.count >= Self.capacity } }

    /// Appends an event.
    ///
    /// It is never lost: a producer looks at `isFull` before it makes the next one.
    public func send(_ event: Event) {
        let reader = state.withLock { state -> CheckedContinuation<Result<Event?, EngineError>, Never>? in
            guard state.end == nil else { return nil }
            if let reader = state.reader {
                state.reader = nil
                return reader
            }
            state.events.append(event)
            return nil
        }
        reader?.resume(returning: .success(event))
    }

    /// Ends the stream after the events already sent.
    public func finish() { end(.finished, result: .success(nil)) }

    /// Ends the stream with an error after the events already sent.
    public func finish(throwing error: EngineError) { end(.failed(error), result: .failure(error)) }

    private func end(_ end: End, result: Result<Event?, EngineError>) {
        let reader = state.withLock { state -> CheckedContinuation<Result<Event?, EngineError>, Never>? in
            guard state.end == nil else { return nil }
            state.end = end
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume(returning: result)
    }

    func cancel() {
        let (reader, changed) = state.withLock { state in
            let wasOpen = state.end == nil
            if wasOpen { state.end = .cancelled }
            defer { state.reader = nil }
            return (state.reader, wasOpen)
        }
        reader?.resume(returning: .failure(.cancelled))
        if changed { wake() }
    }

    func next() async throws(EngineError) -> Event? {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (now, drained) = state.withLock { state -> (Result<Event?, EngineError>?, Bool) in
                    if case .cancelled = state.end { return (.failure(.cancelled), false) }
                    if let event = state.events.popFirst() {
                        return (.success(event), state.events.count == Self.capacity / 2)
                    }
                    switch state.end {
                    case .finished: return (.success(nil), false)
                    case .failed(let error): return (.failure(error), false)
                    case .cancelled: return (.failure(.cancelled), false)
                    case nil:
                        precondition(state.reader == nil, "an EventStream has one reader")
                        state.reader = continuation
                        return (nil, false)
                    }
                }
                if let now { continuation.resume(returning: now) }
                if drained { wake() }
            }
        } onCancel: {
            cancel()
        }
        return try result.get()
    }
}
