// An engine on the bundled model in a folder of its own, as several suites need it.

import API
import EngineInterface
import Foundation
import Inference
import Logging

/// A state directory that goes with the test.
final class StatePlace {
    let path = FileManager.default.temporaryDirectory.appending(path: "caked-engine-\(UUID().uuidString)").path
    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Starts an engine here, with settings that a test may change.
    func start(_ change: (inout EngineConfiguration) -> Void = { _ in }) throws -> Engine {
        var configuration = EngineConfiguration(
            modelPath: StoreIdentityTests.root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path,
            stateDirectory: path)
        configuration.threads = 2
        configuration.storeMapBytes = 1 << 30
        change(&configuration)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        // The thread that stopped the last engine may hold the store for a moment more.
        for _ in 0..<200 {
            do throws(EngineError) { return try Engine(configuration, logger: logger) } catch {
                guard error.code == "store_in_use" else { throw error }
                usleep(10_000)
            }
        }
        return try Engine(configuration, logger: logger)
    }
}

/// A document with its questions and the values that their answers hold.
struct HeldOutDocument: Decodable {
    struct Question: Decodable {
        var question: String
        var value: String
    }
    private struct File: Decodable { var documents: [HeldOutDocument] }

    var text: String
    var questions: [Question]

    /// The first of those that the model never saw.
    static func first() throws -> HeldOutDocument {
        let file = StoreIdentityTests.root.appending(path: "Tests/Fixtures/heldout-2k.json")
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: file)).documents[0]
    }
}
