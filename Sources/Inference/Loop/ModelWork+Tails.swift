// What ended conversations leave behind for those that begin alike.

import CacheStore
import Transformer

extension ModelWork {
    /// Keeps what a question has read and written so far; both are right, however it ends.
    func keepTail(of question: RunningQuestion) {
        guard let tail = question.tail else { return }
        // Its document may have gone meanwhile.
        guard !isGone(question.origin) else { return }
        tails.keep(tail, of: question.origin)
        noteTails()
    }

    /// Forgets the tails of documents that were deleted, replaced, renamed, shrunk or found damaged.
    func dropTails() {
        let writes = services.store.writes
        guard writes != seenWrites else { return }
        seenWrites = writes
        tails.drop(where: isGone)
        noteTails()
    }

    /// Forgets all of them.
    func dropAllTails() {
        tails.drop { _ in true }
        noteTails()
    }

    /// Says what there is, for the status.
    func noteTails() {
        services.totals.setTails(
            count: tails.count, bytes: tails.bytes, hits: tails.hits, savedTokens: tails.savedTokens)
    }

    private func isGone(_ origin: TailOrigin) -> Bool {
        origin.document.map { services.store.writing(of: $0.key) != $0.writing } ?? false
    }
}
