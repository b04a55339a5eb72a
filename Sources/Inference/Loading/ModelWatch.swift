// Whether the model's files are still those that were loaded: their weights are read from the map all the time.

import EngineInterface
import GGUF
import Locks

import struct Synchronization.Atomic

/// Compares the files of the loaded model with what they were, from any thread; once changed they stay so.
///
/// It costs a call of the system for each file, and is asked before a document or a question is begun and before
/// either is acknowledged.
package final class ModelWatch: Sendable {
    private let files: [FileIdentity]
    private let hasChanged = Atomic<Bool>(false)
    private let lastSeen = Mutex<[FileIdentity?]>([])

    package init(_ files: [FileIdentity]) { self.files = files }

    /// Whether a change was seen before.
    package var isChanged: Bool { hasChanged.load(ordering: .relaxed) }

    /// What has happened to the files, nil while nothing has.
    package func problem() -> String? {
        for file in files {
            guard let change = file.change else { continue }
            hasChanged.store(true, ordering: .relaxed)
            return "the model file \(file.path) \(change) while it was loaded"
        }
        // What was changed and changed back may have been read meanwhile.
        return isChanged ? "a model file was changed while it was loaded" : nil
    }

    /// Whether the files are all there, and as they were when this was asked last.
    package func isSettled() -> Bool {
        let now = files.map { FileIdentity(path: $0.path) }
        return lastSeen.withLock { last in
            defer { last = now }
            return last == now && !now.contains(nil)
        }
    }

    /// Throws `model_changed` when the files are others now.
    package func check() throws(EngineError) {
        if problem() != nil { throw .modelChanged }
    }
}

extension EngineError {
    /// The weights are no longer those that were loaded; the daemon starts anew with what is there now.
    package static let modelChanged = EngineError.unavailable(
        code: "model_changed",
        message: "the model file was changed while caked had it loaded; caked starts again with what is there now: "
            + "ask again in a moment")

    /// Whether the daemon starts anew, and what is written down goes on then.
    var endsWithRestart: Bool { self == .shuttingDown || self == .modelChanged }
}
