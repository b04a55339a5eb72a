// A document that is being read: what the engine has of it, or the clerk while it writes or reads a checkpoint.

import API
import CacheStore
import EngineInterface
import Transformer

/// The moving parts of one reading, on one thread at a time: they travel in a `Parcel`.
final class Reading {
    let job: DocumentJob
    /// The prefill; nil once its cache is finished.
    var prefill: DocumentPrefill?
    /// What it teaches, where something is to be learned.
    var lesson: SurrogateLesson?
    /// The check of what was read, while it runs.
    var trial: CacheTrial?
    /// The cache that is to be stored, and what a check came to, where there was one.
    var finished: FinishedReading?
    /// Seconds of prefill, those before a restart included.
    var seconds = 0.0
    var checkpoints = CheckpointSchedule()
    private var reportedFraction = 0.0

    init(_ job: DocumentJob, prefill: DocumentPrefill) {
        self.job = job
        self.prefill = prefill
    }

    /// Whether the prefill is at a place where a checkpoint can be written, and one is due.
    func isCheckpointDue(everySeconds: Double, isUrgent: Bool) -> Bool {
        guard let prefill, prefill.checkpointLayer != nil else { return false }
        return checkpoints.isDue(
            atSeconds: seconds, bytes: prefill.checkpointBytes, everySeconds: everySeconds, isUrgent: isUrgent)
    }

    /// Tells the clients in steps a person notices.
    func report(phase: String, layer: Int, layers: Int, fraction: Double) {
        let step = 0.005
        guard fraction - reportedFraction >= step || fraction >= 1 else { return }
        reportedFraction = fraction
        job.audience.send(.progress(PutProgress(phase: phase, layer: layer, layers: layers, fraction: fraction)))
    }
}

/// What a reading came to, ready to be written.
struct FinishedReading {
    /// What is to be stored.
    var cache: CompactCache
    /// Its budget.
    var budget: Int
    /// How it compares with the full cache; nil when it was not checked.
    var figures: CheckFigures?
}

/// When a prefill is worth a checkpoint: at a regular time, and never so often that they cost more than a fiftieth.
package struct CheckpointSchedule: Sendable {
    /// Seconds of reading between two checkpoints, as a multiple of what one costs.
    package static let pausePerCost = 49.0
    /// What writing costs before it was measured: a fast disk, since a slow one is known after the first checkpoint.
    package static let expectedBytesPerSecond = 1e9

    private var lastSeconds = 0.0
    private var cost: Double?

    package init() {}

    /// Whether a checkpoint of `bytes` is due after `seconds` of reading; `everySeconds` 0: never.
    ///
    /// - Parameter isUrgent: the daemon is about to stop, and the next border of two layers is as good as any.
    package func isDue(atSeconds seconds: Double, bytes: Int, everySeconds: Double, isUrgent: Bool = false) -> Bool {
        guard everySeconds > 0 else { return false }
        let cost = cost ?? Double(bytes) / Self.expectedBytesPerSecond
        return isUrgent || seconds - lastSeconds >= max(everySeconds, Self.pausePerCost * cost)
    }

    /// A checkpoint was made, or its place passed over, and took `cost` seconds.
    package mutating func made(atSeconds seconds: Double, cost: Double) {
        lastSeconds = seconds
        self.cost = cost
    }

    /// The reading goes on at a checkpoint that was made after `seconds` of it.
    package mutating func resumed(atSeconds seconds: Double) { lastSeconds = seconds }
}
