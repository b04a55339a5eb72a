// Learns from the first documents that are read twice what the second reading says, and remembers it across restarts.

import API
import CAKE
import FoundationEssentials
import Locks
import Logging
import Transformer

/// A model's surrogate: taught until enough is known, from then on the same for good.
///
/// It is sums over all users' documents: no document can be told from it, but whoever comes first teaches it. Deleting
/// the file `surrogate` in the state directory, while no daemon runs, begins again.
final class SurrogateKeeper: Sendable {
    /// Documents that are enough, and entries for each feature: with half as many of either, answers from a twentieth
    /// of the entries were fewer by three in a hundred (docs/answers.md).
    private static let enough = (documents: 8, entriesPerFeature: 200)
    /// Bytes of its file: numbers of the largest models, as text.
    private static let maximumBytes = 64 << 20

    private struct State {
        var surrogate: Surrogate?
        /// Tens of megabytes: made when the first document teaches, and dropped when enough is known.
        var training: SurrogateTraining?
    }

    /// The file's contents: of one model alone.
    private struct File: Codable {
        var fingerprint: [String: String]
        var surrogate: Surrogate
    }

    private let state: Mutex<State>
    private let shape: ModelConfiguration
    private let fingerprint: [String: String]
    private let path: String
    private let logger: Logger

    /// Remembers what was learned with this model, if anything was.
    init(_ loaded: LoadedModel, stateDirectory: String, logger: Logger) {
        (shape, fingerprint) = (loaded.model.configuration, loaded.fingerprint.fields)
        (path, self.logger) = (stateDirectory + "/surrogate", logger)
        state = Mutex(State(surrogate: Self.read(path, fingerprint, shape)))
    }

    /// What was learned; nil while too little is known.
    var surrogate: Surrogate? { state.withLock { $0.surrogate } }

    /// What is known so far, for people.
    var progress: DaemonStatus.Learning {
        state.withLock { state in
            var progress = DaemonStatus.Learning()
            progress.isFinished = state.surrogate != nil
            progress.documents = state.surrogate?.documents ?? state.training?.documents ?? 0
            return progress
        }
    }

    /// A lesson that a document read by this method can teach; nil when there is none, or none is needed.
    func lesson(of method: Method) -> SurrogateLesson? {
        method.teaches && surrogate == nil ? SurrogateLesson() : nil
    }

    /// Takes a lesson up; may take a disk's time, and seconds of computing once enough is known.
    func take(_ lesson: SurrogateLesson) {
        let training = state.withLock { state -> SurrogateTraining? in
            guard state.surrogate == nil else { return nil }
            var training =
                state.training.take()
                ?? SurrogateTraining(layers: shape.layers, kvHeads: shape.kvHeads, features: shape.entryFeatures)
            _ = lesson.teach(&training, shape)
            let isEnough =
                training.documents >= Self.enough.documents
                && training.entries >= Self.enough.entriesPerFeature * shape.entryFeatures
            if isEnough { return training }
            state.training = training
            return nil
        }
        guard let surrogate = training?.solved() else { return }
        state.withLock { $0.surrogate = surrogate }
        logger.info("learned the second reading", metadata: ["documents": "\(surrogate.documents)"])
        write(surrogate)
    }

    private static func read(
        _ path: String, _ fingerprint: [String: String], _ shape: ModelConfiguration
    ) -> Surrogate? {
        guard var reader = ChecksummedReader(path: path), reader.remainingBytes <= maximumBytes,
            let bytes = reader.read(reader.remainingBytes),
            let file = try? JSONDecoder().decode(File.self, from: Data(bytes)), file.fingerprint == fingerprint,
            file.surrogate.fits(layers: shape.layers, kvHeads: shape.kvHeads, features: shape.entryFeatures)
        else { return nil }
        return file.surrogate
    }

    private func write(_ surrogate: Surrogate) {
        do {
            var writer = try ChecksummedWriter(path: path)
            try writer.write(Array(JSONEncoder().encode(File(fingerprint: fingerprint, surrogate: surrogate))))
            try writer.finish()
        } catch {
            logger.warning("what was learned cannot be remembered", metadata: ["error": "\(error)"])
        }
    }
}
