// The event stream: order, back-pressure, and knowing when the reader has gone.

import EngineInterface
import Inference
import Locks
import Testing

@Suite struct EventStreamTests {
    @Test("events arrive in order, then the end")
    func order() async throws {
        let (stream, feed) = EventStream<Int>.make(wake: {})
        for number in 0..<10 { feed.send(number) }
        feed.finish()
        var read: [Int] = []
        for try await number in stream { read.append(number) }
        #expect(read == Array(0..<10))
    }

    @Test("an error comes after the events before it")
    func failure() async throws {
        let (stream, feed) = EventStream<Int>.make(wake: {})
        feed.send(1)
        feed.finish(throwing: .shuttingDown)
        feed.send(2)
        var iterator = stream.makeAsyncIterator()
        #expect(try await iterator.next() == 1)
        await #expect(throws: EngineError.shuttingDown) { _ = try await iterator.next() }
    }

    @Test("a full stream says so, and wakes the engine when its reader has caught up")
    func backPressure() async throws {
        let wakes = Mutex(0)
        let (stream, feed) = EventStream<Int>.make(wake: { wakes.withLock { $0 += 1 } })
        var sent = 0
        while !feed.isFull {
            feed.send(sent)
            sent += 1
        }
        #expect(sent == EventFeed<Int>.capacity)
        var iterator = stream.makeAsyncIterator()
        for _ in 0..<sent { _ = try await iterator.next() }
        #expect(!feed.isFull)
        #expect(wakes.withLock { $0 } == 1)
    }

    @Test("dropping the stream cancels it and wakes the engine")
    func dropping() async throws {
        let wakes = Mutex(0)
        let (stream, feed) = EventStream<Int>.make(wake: { wakes.withLock { $0 += 1 } })
        var held: EventStream<Int>? = stream
        #expect(held != nil && !feed.isCancelled)
        held = nil
        _ = consume stream
        #expect(feed.isCancelled)
        #expect(wakes.withLock { $0 } == 1)
    }

    @Test("cancelling the reading task cancels the stream")
    func cancellation() async throws {
        let (stream, feed) = EventStream<Int>.make(wake: {})
        let reader = Task { () -> EngineError? in
            do throws(EngineError) {
                var iterator = stream.makeAsyncIterator()
                _ = try await iterator.next()
                return nil
            } catch {
                return error
            }
        }
        reader.cancel()
        #expect(await reader.value == .cancelled)
        #expect(feed.isCancelled)
    }
}
