// A document on its way into the store: what was asked, who waits for it, and which files it has.

import API
import CAKE
import CacheStore
import EngineInterface
import Glibc
import Synchronization

/// A document that passed its checks, and waits to be read, is being read, or is being written.
///
/// Nothing in it changes but what is locked or atomic, so any thread may have it. What moves is its `Reading`.
final class DocumentJob: Sendable {
    let key: DocumentKey
    let request: PutRequest
    let plan: ReadingPlan
    let audience: Audience
    let ticket: Ticket
    /// The name of its files, should it have any: equal for equal requests.
    let fileName: String
    /// The uid whose turn it is when it is read.
    var user: UInt32 { request.user }
    private let acceptedSeconds = time(nil)
    private let hasFiles = Atomic<Bool>(false)

    init(
        key: DocumentKey, request: PutRequest, plan: ReadingPlan, feed: EventFeed<PutEvent>?, ticket: Ticket
    ) {
        self.key = key
        self.request = request
        self.plan = plan
        self.ticket = ticket
        audience = Audience(feed, isDetached: request.options.detached)
        let expiry = plan.ttlSeconds.map(String.init) ?? ""
        fileName = JobDirectory.fileName(
            key,
            // What stands before the text may have the date in it: a reading goes on with the tokens it began with
            // only.
            plan: [plan.textHash, plan.optionsHash, plan.templatePrefix, expiry, plan.pinned ? "pinned" : ""]
                + (plan.terms.map { ["checked \($0.budgets) \($0.target ?? 0) \($0.floor ?? 0)"] } ?? []))
    }

    /// Whether it is written down, so that a restart goes on with it.
    var isKept: Bool {
        get { hasFiles.load(ordering: .relaxed) }
        set { hasFiles.store(newValue, ordering: .relaxed) }
    }

    /// Ends the request with an error; its place is free before a client hears of it.
    func fail(_ error: EngineError) {
        ticket.giveUp()
        audience.fail(error)
    }

    /// The document as it can be shown before it is there.
    func document(state: DocumentState? = nil) -> Document {
        let progress = audience.progress
        var document = Document(id: key.name, model: plan.model)
        (document.created, document.lastUsed) = (acceptedSeconds, acceptedSeconds)
        (document.tokens, document.prefixTokens) = (plan.tokens.count, plan.prefixTokens)
        (document.budget, document.method, document.rows) = (plan.budget, plan.method.name, plan.rows.rawValue)
        (document.textBytes, document.pinned, document.ttlSeconds) = (plan.text.count, plan.pinned, plan.ttlSeconds)
        document.state = state ?? (progress == nil ? .queued : .reading)
        document.progress = progress
        return document
    }
}
