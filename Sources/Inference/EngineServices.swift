// What the engine's threads share: each part may be used from any of them.

import API
import CacheStore
import EngineInterface
import Logging
import Transformer

/// The parts of an engine, made once at start.
struct EngineServices: Sendable {
    let configuration: EngineConfiguration
    let loaded: LoadedModel
    let store: DocumentStore
    let pool: WorkerPool
    /// Board and files of the documents that are on their way.
    let keeper: JobKeeper
    /// What is learned of the second reading.
    let surrogates: SurrogateKeeper
    /// Writes to the disk, so that no disk makes a question wait.
    let clerk: SerialThread
    let totals: EngineTotals
    let logger: Logger

    var lookup: StoreLookup { StoreLookup(services: self) }
    var writer: DocumentWriter { DocumentWriter(services: self) }
    var housekeeper: Housekeeper { Housekeeper(store: store, totals: totals, logger: logger) }

    /// Throws when the files of model or store were changed under the maps that everything is read from.
    func checkFiles() throws(EngineError) {
        try loaded.watch.check()
        do throws(StoreError) { try store.checkFile() } catch { throw EngineError(error) }
    }

    /// Ends a document's request well; its files are needed no more, and its place is free before a client hears of it.
    func finish(_ job: DocumentJob, _ manifest: Manifest, created: Bool) {
        job.ticket.giveUp()
        keeper.finished(job)
        job.audience.finish(Document(manifest, loaded, withLayers: true), created: created)
    }

    /// Ends a document's request with an error; its files are set aside or deleted on the calling thread.
    func fail(_ job: DocumentJob, _ error: EngineError) {
        keeper.failed(job, error)
        job.fail(error)
    }
}
