// Whether a document that is asked for is stored already, or can be.

import CacheStore
import EngineInterface
import Logging
import Transformer

/// Short reads of the store, from the desk's thread when a request arrives and from the engine's when its turn has
/// come: meanwhile the same request, sent twice, may have been written.
struct StoreLookup: Sendable {
    let services: EngineServices

    /// The stored document, where the same text with the same options is stored; what the request says of its life
    /// holds for it from now on.
    func storedDocument(for job: DocumentJob) -> Manifest? {
        let store = services.store
        do throws(StoreError) {
            guard let found = try store.manifest(job.key), found.textHash == job.plan.textHash,
                found.optionsHash == job.plan.optionsHash, found.shrinkage == nil,
                job.plan.terms?.accepts(found.check) ?? true
            else { return nil }
            // A damaged copy is no copy: it is read again.
            _ = try store.open(job.key, fingerprint: found.fingerprint)
            let isAsAsked = found.ttlSeconds == job.plan.ttlSeconds && found.pinned == job.plan.pinned
            return try isAsAsked
                ? found : store.update(job.key, ttlSeconds: job.plan.ttlSeconds, pinned: job.plan.pinned)
        } catch {
            // What cannot be read from the store is replaced by reading the document again.
            services.logger.warning("a stored document is unreadable", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Refuses a document that the store cannot take whatever is reclaimed, before it costs a prefill.
    func checkRoom(for job: DocumentJob) throws(EngineError) {
        let model = services.loaded.model.configuration
        let shape = CacheShape(
            layers: model.layers, kvHeads: model.kvHeads, headWidth: model.headWidth, rows: job.plan.rows,
            tokens: job.plan.tokens.count, capacities: job.plan.capacities)
        // What its check may be content with, where that chooses.
        let budget = job.plan.terms?.budgets.first ?? job.plan.budget
        let bytes = shape.estimatedBytes(budget: budget, textBytes: job.plan.text.count)
        do throws(StoreError) {
            try services.store.checkFile()
            try services.store.checkRoom(bytes: bytes, for: job.key, pinned: job.plan.pinned)
        } catch {
            throw EngineError(error)
        }
    }
}
