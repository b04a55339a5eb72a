// Takes finished caches to the store, answers requests for what is there already, and keeps the store in order.

import CAKE
import CacheStore
import Logging
import Transformer

/// Writes on the clerk's thread; `answerFromStore` is a short read from the engine's.
final class DocumentWriter: Sendable {
    private let store: DocumentStore
    private let loaded: LoadedModel
    private let keeper: JobKeeper
    private let totals: EngineTotals
    private let logger: Logger

    init(store: DocumentStore, loaded: LoadedModel, keeper: JobKeeper, totals: EngineTotals, logger: Logger) {
        self.store = store
        self.loaded = loaded
        self.keeper = keeper
        self.totals = totals
        self.logger = logger
    }

    /// Whether the same text with the same options is stored; then the request is answered with it.
    func answerFromStore(_ job: DocumentJob) -> Bool {
        do throws(StoreError) {
            guard let found = try store.manifest(job.key), found.textHash == job.plan.textHash,
                found.optionsHash == job.plan.optionsHash, found.shrinkage == nil,
                job.plan.terms?.accepts(found.check) ?? true
            else { return false }
            // A damaged copy is no copy: it is read again.
            _ = try store.open(job.key, fingerprint: found.fingerprint)
            let isAsAsked = found.ttlSeconds == job.plan.ttlSeconds && found.pinned == job.plan.pinned
            let manifest =
                try isAsAsked
                ? found : store.update(job.key, ttlSeconds: job.plan.ttlSeconds, pinned: job.plan.pinned)
            finish(job, manifest, created: false)
            return true
        } catch {
            // What cannot be read from the store is replaced by reading the document again.
            logger.warning("a stored document is unreadable", metadata: ["error": "\(error)"])
            return false
        }
    }

    /// Refuses a document that the store cannot take whatever is reclaimed, before it costs a prefill.
    func checkRoom(for job: DocumentJob) throws(EngineError) {
        let model = loaded.model.configuration
        let shape = CacheShape(
            layers: model.layers, kvHeads: model.kvHeads, headWidth: model.headWidth, rows: job.plan.rows,
            tokens: job.plan.tokens.count)
        // What its check may be content with, where that chooses.
        let budget = job.plan.terms?.budgets.first ?? job.plan.budget
        let bytes = shape.estimatedBytes(budget: budget, textBytes: job.plan.text.count)
        do throws(StoreError) { try store.checkRoom(bytes: bytes, for: job.key) } catch { throw EngineError(error) }
    }

    /// Logs and counts what was done to documents for the sake of space.
    func note(_ acts: [Reclaim]) {
        for act in acts {
            totals.reclaimed(act)
            logger.notice("\(act)")
        }
    }

    /// Stages every layer and commits: after that, and only then, the client is told.
    func write(_ job: DocumentJob, _ cache: CompactCache) {
        do throws(StoreError) {
            // When everybody went away meanwhile nothing is stored: dropping the staged document abandons it.
            guard let manifest = try stage(job, cache) else { return keeper.forget(job) }
            totals.wroteDocument()
            finish(job, manifest, created: true)
        } catch {
            logger.error("a document could not be stored", metadata: ["error": "\(error)"])
            keeper.failed(job, EngineError(error))
            job.fail(EngineError(error))
        }
    }

    private func stage(_ job: DocumentJob, _ cache: CompactCache) throws(StoreError) -> Manifest? {
        let plan = job.plan
        let shape = CacheShape(
            layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth, rows: plan.rows,
            tokens: plan.tokens.count)
        let staged = try store.begin(job.key, shape: shape)
        defer { note(staged.reclaimed) }
        for layer in 0..<cache.layers {
            if job.audience.isAbandoned { return nil }
            try staged.stage(layer: layer, of: cache)
            job.report(phase: "store", layer: layer + 1, layers: cache.layers, fraction: 1)
        }
        try staged.stageText(plan.text)
        try staged.stageTokens(plan.tokens)
        guard job.audience.beginCommit() else { return nil }
        return try staged.commit(manifest(job, cache, shape: shape))
    }

    private func manifest(_ job: DocumentJob, _ cache: CompactCache, shape: CacheShape) -> Manifest {
        let plan = job.plan
        let retention = cache.retention
        var manifest = Manifest(
            shape: shape, budget: job.outcome?.budget ?? plan.budget, method: plan.method.name,
            fingerprint: loaded.fingerprint.fields,
            counts: retention.counts, layerBudgets: retention.layers.map(\.budget),
            preferences: retention.layers.map(\.preference),
            preferenceFellBack: retention.preferenceFellBack, ttlSeconds: plan.ttlSeconds, pinned: plan.pinned,
            prefillSeconds: job.prefillSeconds, textBytes: plan.text.count, textHash: plan.textHash,
            optionsHash: plan.optionsHash, templatePrefix: plan.templatePrefix, prefixTokens: plan.prefixTokens,
            check: job.outcome?.figures)
        manifest.note(plan.method)
        manifest.probes = job.request.probes.isEmpty ? nil : job.request.probes
        return manifest
    }

    /// Writes the usage noted so far, and reclaims what has expired or exceeds the quota.
    func keepHouse() {
        do throws(StoreError) {
            try store.flushUsage()
            note(try store.maintain())
        } catch {
            logger.warning("the store's housekeeping failed", metadata: ["error": "\(error)"])
        }
    }

    private func finish(_ job: DocumentJob, _ manifest: Manifest, created: Bool) {
        job.ticket.giveUp()
        keeper.finished(job)
        job.audience.finish(Document(manifest, model: loaded.card.id, withLayers: true), created: created)
    }
}
