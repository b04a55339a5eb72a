// What happens to a job's files as it is accepted, read, finished, given up: the clerk's side of durable jobs.

import CacheStore
import EngineInterface
import Locks
import Logging
import Transformer

/// Keeps files and board in step; every method may take a disk's time.
final class JobKeeper: Sendable {
    let directory: JobDirectory
    let board: ReadingBoard
    /// Seconds of reading between two checkpoints; 0: none.
    let everySeconds: Double
    private let logger: Logger
    private let totals: EngineTotals
    // Equal requests share their files: whether one is still wanted, and what happens to the file, is one step.
    private let files = Mutex(())

    init(
        directory: JobDirectory, board: ReadingBoard, everySeconds: Double, totals: EngineTotals, logger: Logger
    ) {
        (self.directory, self.board, self.everySeconds) = (directory, board, everySeconds)
        (self.logger, self.totals) = (logger, totals)
    }

    /// Writes down what was asked, so that a restart goes on with it.
    func keep(_ job: DocumentJob) throws(FileFailure) {
        guard !job.isKept else { return }
        try files.withLock { _ throws(FileFailure) in
            // Finished or given up meanwhile: it must not come back.
            guard board.holds(job.fileName, of: job.key) else { return }
            try directory.keep(job.request, fileName: job.fileName)
            job.isKept = true
        }
    }

    /// Writes a checkpoint; without room or luck the reading goes on without it.
    func save(_ reading: Reading) {
        guard let prefill = reading.prefill else { return }
        let job = reading.job
        let clock = ContinuousClock()
        let begun = clock.now
        let bytes = prefill.checkpointBytes
        if directory.hasRoom(forBytes: bytes) {
            do throws(FileFailure) {
                try keep(job)
                try directory.save(prefill, seconds: reading.seconds, fileName: job.fileName)
                totals.wroteCheckpoint(seconds: (clock.now - begun).seconds)
            } catch {
                logger.warning("a reading could not be checkpointed", metadata: ["error": "\(error)"])
            }
        } else {
            logger.warning("no room on the disk for a checkpoint", metadata: ["bytes": "\(bytes)"])
        }
        reading.checkpoints.made(atSeconds: reading.seconds, cost: (clock.now - begun).seconds)
    }

    /// A reading at its checkpoint, if there is one that can be used; `make` gives a fresh prefill.
    func restore(
        _ job: DocumentJob, make: () throws(ModelError) -> DocumentPrefill
    ) throws(ModelError) -> Reading {
        let reading = Reading(job, prefill: try make())
        guard let prefill = reading.prefill else { return reading }
        do throws(ModelError) {
            guard let seconds = try directory.restore(prefill, fileName: job.fileName) else {
                logger.warning("a checkpoint is damaged; the document is read from its beginning", metadata: about(job))
                return reading
            }
            reading.seconds = seconds
            reading.checkpoints.resumed(atSeconds: seconds)
            job.isKept = true
            totals.resumedDocument()
            logger.info(
                "a reading goes on where it stopped",
                metadata: about(job).merging(["layer": "\(prefill.checkpointLayer ?? 0)"]) { $1 })
            return reading
        } catch {
            logger.warning(
                "a checkpoint cannot be used; the document is read from its beginning",
                metadata: about(job).merging(["error": "\(error)"]) { $1 })
            return Reading(job, prefill: try make())
        }
    }

    /// The document is stored: neither its files nor those of readings that it replaces are needed.
    func finished(_ job: DocumentJob) {
        for name in board.remove(job, stored: true) { remove(name, of: job) }
        remove(job.fileName, of: job)
    }

    /// Nobody wants the document any more.
    func forget(_ job: DocumentJob) {
        board.remove(job)
        remove(job.fileName, of: job)
    }

    /// Deletes the files of those that were set aside under a name.
    func forgetSetAside(_ key: DocumentKey) -> Bool {
        let names = board.takeSetAside(key)
        for name in names { files.withLock { _ in directory.remove(name) } }
        return !names.isEmpty
    }

    private func remove(_ fileName: String, of job: DocumentJob) {
        files.withLock { _ in
            if !board.holds(fileName, of: job.key) { directory.remove(fileName) }
        }
    }

    /// The job failed: one that goes on alone is set aside with its files, since nobody heard of it.
    func failed(_ job: DocumentJob, _ error: EngineError) {
        // What is written down goes on at the next start.
        if error.endsWithRestart { return _ = board.remove(job) }
        guard job.audience.isDetached, job.isKept else { return forget(job) }
        board.setAside(job, problem: error.message)
        // Reading it again would come to the same.
        if case .unacceptable = error { remove(job.fileName, of: job) }
        logger.error(
            "a reading that nobody waits for failed", metadata: about(job).merging(["error": "\(error)"]) { $1 })
    }

    private func about(_ job: DocumentJob) -> Logger.Metadata {
        ["document": "\(job.key.name)", "uid": "\(job.key.owner)"]
    }
}
