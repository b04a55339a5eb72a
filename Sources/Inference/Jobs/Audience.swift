// Who waits for a document that is being read: any number of clients, or nobody when it was asked to go on alone.

import API
import EngineInterface
import Locks

/// The clients of one reading job, from any thread.
///
/// The job is given up when the last of them has gone, unless it is detached; nobody can join it from then on.
package final class Audience: Sendable {
    /// How a job can be found when somebody wants it to end.
    package enum Cancellation: Sendable {
        /// It ends, and nothing of it is stored.
        case cancelled
        /// It is being committed and will have ended in a moment.
        case committing
        /// It had ended before.
        case ended
    }

    private enum Phase { case open, committing, ended, abandoned }

    private struct State {
        var feeds: [EventFeed<PutEvent>]
        var isDetached: Bool
        var phase = Phase.open
        var progress: PutProgress?
    }

    private let state: Mutex<State>

    /// Begins with the client who asked, or with nobody.
    package init(_ feed: EventFeed<PutEvent>?, isDetached: Bool) {
        state = Mutex(State(feeds: feed.map { [$0] } ?? [], isDetached: isDetached))
    }

    /// One more client, who hears at once how far the job is; false when it is too late to join.
    package func join(_ feed: EventFeed<PutEvent>, detaching: Bool) -> Bool {
        state.withLock { state in
            guard state.phase == .open else { return false }
            if detaching { state.isDetached = true }
            if let progress = state.progress { feed.send(.progress(progress)) }
            state.feeds.append(feed)
            return true
        }
    }

    /// Whether the job goes on when every client has gone.
    package var isDetached: Bool { state.withLock(\.isDetached) }

    /// How far the job is, once it has begun.
    package var progress: PutProgress? { state.withLock(\.progress) }

    /// Whether nobody wants the job any more: asked by whoever works on it, and final once it is so.
    package var isAbandoned: Bool {
        state.withLock { state in
            state.feeds.removeAll(where: \.isCancelled)
            if state.phase == .open, !state.isDetached, state.feeds.isEmpty { state.phase = .abandoned }
            return state.phase == .abandoned
        }
    }

    /// Tells everybody who keeps up.
    package func send(_ event: PutEvent) {
        state.withLock { state in
            if case .progress(let progress) = event { state.progress = progress }
            for feed in state.feeds where !feed.isFull { feed.send(event) }
        }
    }

    /// From here on the document will be stored; false when nobody wants it any more.
    package func beginCommit() -> Bool {
        guard !isAbandoned else { return false }
        return state.withLock { state in
            guard state.phase == .open else { return false }
            state.phase = .committing
            return true
        }
    }

    /// Gives the job up for everybody, unless it is too late.
    package func cancel(_ error: EngineError) -> Cancellation {
        state.withLock { state in
            switch state.phase {
            case .open:
                state.phase = .abandoned
                for feed in state.feeds { feed.finish(throwing: error) }
                return .cancelled
            case .committing: return .committing
            case .ended, .abandoned: return .ended
            }
        }
    }

    /// Ends the job well; what was created was created for the first of those who waited.
    package func finish(_ document: Document, created: Bool) {
        var isFirst = true
        end { feed in
            feed.send(.finished(document, created: created && isFirst))
            feed.finish()
            isFirst = false
        }
    }

    /// Ends the job with an error.
    package func fail(_ error: EngineError) { end { $0.finish(throwing: error) } }

    private func end(_ tell: (EventFeed<PutEvent>) -> Void) {
        state.withLock { state in
            state.phase = .ended
            for feed in state.feeds { tell(feed) }
            state.feeds = []
        }
    }
}
