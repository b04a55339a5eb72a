// Takes finished caches to the store, on the clerk's thread.

import API
import CAKE
import CacheStore
import EngineInterface
import Logging
import Transformer

/// Stages every layer and commits: after that, and only then, the clients are told.
struct DocumentWriter: Sendable {
    let services: EngineServices

    /// Writes what a reading came to, and ends its request.
    func write(_ reading: Reading) {
        let job = reading.job
        // The last of its weights are read by now: were they those that its fingerprint names?
        do throws(EngineError) { try services.loaded.watch.check() } catch { return services.fail(job, error) }
        do throws(StoreError) {
            // When everybody went away meanwhile nothing is stored: dropping the staged document abandons it.
            guard let finished = reading.finished, let manifest = try stage(reading, finished) else {
                return services.keeper.forget(job)
            }
            services.totals.wroteDocument()
            services.finish(job, manifest, created: true)
            if let lesson = reading.lesson { services.surrogates.take(lesson) }
        } catch {
            services.logger.error("a document could not be stored", metadata: ["error": "\(error)"])
            services.fail(job, EngineError(error))
        }
    }

    private func stage(_ reading: Reading, _ finished: FinishedReading) throws(StoreError) -> Manifest? {
        let (job, plan, cache) = (reading.job, reading.job.plan, finished.cache)
        let shape = CacheShape(
            layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth, rows: plan.rows,
            tokens: plan.tokens.count, capacities: plan.capacities)
        let staged = try services.store.begin(job.key, shape: shape)
        defer { services.housekeeper.note(staged.reclaimed) }
        for layer in 0..<cache.layers {
            if job.audience.isAbandoned { return nil }
            try staged.stage(layer: layer, of: cache)
            reading.report(phase: "store", layer: layer + 1, layers: cache.layers, fraction: 1)
        }
        try staged.stageText(plan.text)
        try staged.stageTokens(plan.tokens)
        guard job.audience.beginCommit() else { return nil }
        return try staged.commit(manifest(reading, finished, shape: shape))
    }

    private func manifest(_ reading: Reading, _ finished: FinishedReading, shape: CacheShape) -> Manifest {
        let (plan, retention) = (reading.job.plan, finished.cache.retention)
        var manifest = Manifest(
            shape: shape, budget: finished.budget, method: plan.method.name,
            fingerprint: services.loaded.fingerprint.fields,
            counts: retention.counts, layerBudgets: retention.layers.map(\.budget),
            preferences: retention.layers.map(\.preference),
            preferenceFellBack: retention.preferenceFellBack, ttlSeconds: plan.ttlSeconds, pinned: plan.pinned,
            prefillSeconds: reading.seconds, textBytes: plan.text.count, textHash: plan.textHash,
            optionsHash: plan.optionsHash, templatePrefix: plan.templatePrefix, prefixTokens: plan.prefixTokens,
            check: finished.figures)
        manifest.note(plan.method)
        manifest.probes = reading.job.request.options.probes.isEmpty ? nil : reading.job.request.options.probes
        return manifest
    }
}
