// A response that tells how long work gets on: an engine's events as server-sent ones, with a beat where nothing
// happens.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

extension HTTPAPI {
    /// Sends every event of a stream, the last of which `text` names; an error on the way is an event as well.
    ///
    /// The first event is awaited before the head is sent, so that what is refused at once is refused with its status.
    func events<Event>(
        of stream: EventStream<Event>, unfinished: String,
        _ text: @escaping @Sendable (Event) -> (bytes: ByteBuffer, isLast: Bool)
    ) async throws -> Response {
        let events = PulsedEvents(stream, everySeconds: limits.keepAliveSeconds)
        let first = try await events.next()
        return Response(
            status: .ok, headers: ServerSentEvents.headers,
            body: ResponseBody { writer in
                do {
                    var pulse = first
                    loop: while true {
                        switch pulse {
                        case .beat: try await writer.write(ServerSentEvents.keepAlive)
                        case .event(let event):
                            let (bytes, isLast) = text(event)
                            try await writer.write(bytes)
                            if isLast { break loop }
                        case .end: throw EngineError.internalFailure(message: unfinished)
                        }
                        pulse = try await events.next()
                    }
                } catch let error as EngineError {
                    try await writer.write(ServerSentEvents.event(.error, json: APIError(error).body))
                    try await writer.finish(nil)
                    throw error
                }
                try await writer.finish(nil)
            })
    }
}
