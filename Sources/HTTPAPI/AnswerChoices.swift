// The answers to one question, one or several, and their events as they come.

import API
import EngineInterface

/// Something that happened to one of the answers.
struct ChoiceEvent: Sendable {
    var index: Int
    var event: CompletionEvent
}

/// Asks a question, or the same several times at once; ends when every answer has, or the first of them fails.
///
/// When its last reader goes, the engine's work is cancelled.
struct AnswerChoices: AsyncSequence, Sendable {
    private enum Source: Sendable {
        /// Its reader holds up the engine.
        case one(EventStream<CompletionEvent>)
        /// What comes while the reader is slow is kept: no more than the answers are long.
        case several(AsyncThrowingStream<ChoiceEvent, any Error>)
    }

    private let source: Source

    /// Asks so many times; where a seed is given, each answer but the first has one of its own.
    init(_ request: CompletionRequest, count: Int, of service: any DocumentService) {
        source = count == 1 ? .one(service.complete(request)) : .several(Self.several(request, count, service))
    }

    private static func several(
        _ request: CompletionRequest, _ count: Int, _ service: any DocumentService
    ) -> AsyncThrowingStream<ChoiceEvent, any Error> {
        AsyncThrowingStream { continuation in
            let task = Task {
                do {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        // The first reads the prompt, which the others then have from what is kept of it.
                        let (isRead, noteRead) = AsyncStream<Void>.makeStream()
                        group.addTask {
                            defer { noteRead.finish() }
                            for try await event in service.complete(request) {
                                if case .started = event {} else { noteRead.finish() }
                                continuation.yield(ChoiceEvent(index: 0, event: event))
                            }
                        }
                        for await _ in isRead {}
                        for index in 1..<count {
                            var other = request
                            other.sampling.seed = request.sampling.seed.map { $0 &+ UInt64(index) }
                            group.addTask { [other] in
                                for try await event in service.complete(other) {
                                    continuation.yield(ChoiceEvent(index: index, event: event))
                                }
                            }
                        }
                        try await group.waitForAll()
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    func makeAsyncIterator() -> Iterator {
        switch source {
        case .one(let stream): Iterator(source: .one(stream.makeAsyncIterator()))
        case .several(let stream): Iterator(source: .several(stream.makeAsyncIterator()))
        }
    }

    struct Iterator: AsyncIteratorProtocol {
        fileprivate enum Source {
            case one(EventStream<CompletionEvent>.Iterator)
            case several(AsyncThrowingStream<ChoiceEvent, any Error>.Iterator)
        }

        fileprivate var source: Source

        mutating func next() async throws -> ChoiceEvent? {
            switch source {
            case .one(var iterator):
                defer { source = .one(iterator) }
                return try await iterator.next().map { ChoiceEvent(index: 0, event: $0) }
            case .several(var iterator):
                defer { source = .several(iterator) }
                return try await iterator.next()
            }
        }
    }
}

/// One of the answers while it comes.
struct GatheredChoice {
    var text = ""
    var reasoning = ""
    var tokens: [TokenProbability] = []
    var end: (reason: FinishReason, usage: Usage)?

    /// Takes what happened.
    mutating func take(_ event: CompletionEvent) {
        switch event {
        case .started: break
        case .tokens(let more): tokens += more
        case .text(let more): text += more
        case .reasoning(let more): reasoning += more
        case .finished(let reason, let usage): end = (reason, usage)
        }
    }
}

extension Usage {
    /// What several answers cost together: their prompt is one.
    static func sum(_ usages: [Usage]) -> Usage? {
        guard var sum = usages.first else { return nil }
        for usage in usages.dropFirst() {
            sum.completionTokens += usage.completionTokens
            sum.totalTokens += usage.completionTokens
            sum.timings.prefillSeconds = max(sum.timings.prefillSeconds, usage.timings.prefillSeconds)
            sum.timings.decodeSeconds = max(sum.timings.decodeSeconds, usage.timings.decodeSeconds)
        }
        return sum
    }
}
