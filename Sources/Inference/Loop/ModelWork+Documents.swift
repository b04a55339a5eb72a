// A document's way through the engine: looked up, read, checked, and with the clerk in between and at the end.

import CacheStore
import EngineInterface
import Logging
import Transformer

extension ModelWork {
    /// Looks once more whether the document is stored, which the same request sent twice may have done.
    func open(_ id: RequestID) -> [Event] {
        guard let job = documents[id] else { return [] }
        do throws(EngineError) { try services.loaded.watch.check() } catch { return fail(id, error) }
        if let manifest = services.lookup.storedDocument(for: job) {
            services.finish(job, manifest, created: false)
            forget(id)
            return [.ended(id)]
        }
        do throws(EngineError) { try services.lookup.checkRoom(for: job) } catch { return fail(id, error) }
        if services.keeper.directory.hasCheckpoint(job.fileName) { return [.opened(id, .checkpointed)] }
        do throws(ModelError) {
            let lesson = services.surrogates.lesson(of: job.plan.method)
            let reading = Reading(job, prefill: try Self.prefill(job.plan, services, lesson))
            reading.lesson = lesson
            readings[id] = reading
            return [.opened(id, .fresh)]
        } catch {
            return fail(id, Self.unreadable(error))
        }
    }

    /// A prefill at its beginning.
    private static func prefill(
        _ plan: ReadingPlan, _ services: EngineServices, _ lesson: SurrogateLesson? = nil
    ) throws(ModelError) -> DocumentPrefill {
        let loaded = services.loaded
        return try DocumentPrefill(
            model: loaded.model, pool: services.pool, tokens: plan.tokens, templatePrefixTokens: plan.prefixTokens,
            method: plan.method, budget: plan.budget, rows: KVRows(plan.rows),
            instruction: loaded.reconstructionTokens, probes: plan.probes, checks: plan.terms?.places ?? [],
            surrogate: plan.surrogate, lesson: lesson)
    }

    /// A checkpoint may be large: the clerk reads it, and this thread goes on with questions.
    func restore(_ id: RequestID) {
        guard let job = documents[id] else { return }
        let (services, giveBack) = (services, giveBack)
        services.clerk.enqueue {
            do throws(ModelError) {
                let reading = try services.keeper.restore(job) { () throws(ModelError) in
                    try Self.prefill(job.plan, services)
                }
                giveBack(.reading(Parcel(reading)), id)
            } catch {
                giveBack(.failed(Self.unreadable(error)), id)
            }
        }
    }

    /// The reading waits so that nothing has to be copied; questions do not.
    func checkpoint(_ id: RequestID) -> [Event] {
        // Half of it may have been read with other weights.
        do throws(EngineError) { try services.loaded.watch.check() } catch { return fail(id, error) }
        guard let reading = readings.removeValue(forKey: id) else { return [] }
        hurried.remove(id)
        let (keeper, giveBack) = (services.keeper, giveBack)
        let parcel = Parcel(reading)
        services.clerk.enqueue {
            guard let reading = parcel.take() else { return }
            keeper.save(reading)
            giveBack(.reading(Parcel(reading)), id)
        }
        return []
    }

    /// Takes back what the clerk had, unless its request has ended meanwhile.
    func take(_ returned: Returned, for id: RequestID) -> [Event] {
        guard documents[id] != nil else { return [] }
        switch returned {
        case .reading(let parcel):
            readings[id] = parcel.take()
            return [.returned(id)]
        case .failed(let error): return fail(id, error)
        case .written:
            forget(id)
            return [.ended(id)]
        }
    }

    /// Reads one tile.
    func read(_ id: RequestID) -> [Event] {
        guard let reading = readings[id], let prefill = reading.prefill else {
            return fail(id, .internalFailure(message: "the document was lost before it was read"))
        }
        let clock = ContinuousClock()
        let begun = clock.now
        do throws(ModelError) {
            let progress = try prefill.step()
            reading.seconds += (clock.now - begun).seconds
            reading.report(
                phase: "prefill", layer: progress.layer + 1, layers: progress.layers, fraction: progress.fraction)
            guard progress.isDone else {
                let isDue = reading.isCheckpointDue(
                    everySeconds: services.keeper.everySeconds, isUrgent: hurried.contains(id))
                return isDue ? [.checkpointDue(id)] : []
            }
            services.totals.prefilled(reading.job.plan.tokens.count)
            return [.read(id, isChecked: try finish(reading, prefill))]
        } catch {
            services.logger.error("a document failed", metadata: ["error": "\(error)"])
            return fail(id, .internalFailure(message: "the document could not be read: \(error)"))
        }
    }

    /// Takes the cache of a prefill at its end; whether it is to be checked.
    private func finish(_ reading: Reading, _ prefill: DocumentPrefill) throws(ModelError) -> Bool {
        let (plan, cache) = (reading.job.plan, try prefill.finish())
        reading.prefill = nil
        guard let terms = plan.terms else {
            reading.finished = FinishedReading(cache: cache, budget: plan.budget)
            return false
        }
        reading.trial = CacheTrial(
            plan, terms: terms, cache: cache, full: try prefill.checkedRows(), decoder: decoder)
        return true
    }

    /// Does the next piece of a check.
    func check(_ id: RequestID) -> [Event] {
        guard let reading = readings[id], let trial = reading.trial else {
            return fail(id, .internalFailure(message: "the document was lost before it was checked"))
        }
        do throws(ModelError) {
            guard let finished = try trial.step() else {
                reading.report(phase: "check", layer: trial.trials, layers: trial.trials, fraction: 1)
                return []
            }
            reading.trial = nil
            reading.finished = finished
            let plan = reading.job.plan
            if let refusal = plan.terms?.refusal(of: finished, plan: plan) { return fail(id, refusal) }
            return [.checked(id)]
        } catch {
            services.logger.error("a document could not be checked", metadata: ["error": "\(error)"])
            return fail(id, .internalFailure(message: "the document could not be checked: \(error)"))
        }
    }

    /// Hands a finished cache to the clerk, who tells the clients.
    func write(_ id: RequestID) -> [Event] {
        guard let reading = readings.removeValue(forKey: id) else { return [] }
        let (writer, giveBack) = (services.writer, giveBack)
        let parcel = Parcel(reading)
        let isAccepted = services.clerk.enqueue {
            if let reading = parcel.take() { writer.write(reading) }
            giveBack(.written, id)
        }
        return isAccepted ? [] : fail(id, .shuttingDown)
    }

    private static func unreadable(_ error: ModelError) -> EngineError {
        .internalFailure(message: "the document cannot be read: \(error)")
    }
}
