// What can be said of an engine's configuration without starting one: whether its model runs and its store opens.

import API
import CacheStore
import EngineInterface
import Tokenizers

extension Engine {
    /// Checks that the model can be run, as starting would, but for what only reading all its weights could tell.
    ///
    /// Throws `EngineError` with code `unusable_model`.
    public static func checkModel(_ configuration: EngineConfiguration) throws(EngineError) -> ModelCard {
        try ModelParts.check(
            path: configuration.modelPath, templateName: configuration.template,
            templateArguments: configuration.templateArguments)
    }

    /// Checks that the store can be opened, without opening it: a daemon may have it open.
    ///
    /// Throws `EngineError` with code `unusable_store`.
    public static func checkStore(_ configuration: EngineConfiguration) throws(EngineError) -> StoreCheck {
        do throws(StoreError) {
            return try DocumentStore.check(directory: configuration.stateDirectory)
        } catch {
            throw EngineError(opening: error)
        }
    }
}

extension EngineConfiguration {
    /// The chat templates that are known by name.
    public static var templateNames: [String] { ChatTemplate.names }
}
