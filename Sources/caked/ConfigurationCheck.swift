// `caked --check-config`: whether what the configuration names can be used, by whoever will use it.

import API
import CacheStore
import EngineInterface
import Glibc
import Inference

/// The model file of a configuration, as far as asking the system for it tells.
enum ModelFile {
    /// Why it cannot be read.
    static func problems(of configuration: CakedConfiguration) -> [ConfigurationProblem] {
        guard unsafe access(configuration.modelPath, R_OK) != 0 else { return [] }
        var reason = unsafe String(cString: strerror(errno))
        if ServiceView.isCaller, let folder = ServiceView.ofService().hiding(configuration.modelPath) {
            reason += "; \(ServiceView.mend(folder))"
        }
        return [problem(of: configuration, "a GGUF file that caked may read (\(reason))")]
    }

    static func problem(of configuration: CakedConfiguration, _ wanted: String) -> ConfigurationProblem {
        ConfigurationProblem(
            source: configuration.sources["model"] ?? "model", key: "model", value: configuration.modelPath,
            wanted: wanted)
    }
}

/// A configuration whose texts are right, and what is looked at beyond them: model, store and socket.
struct ConfigurationCheck {
    private let settings: CakedConfiguration
    private let view: ServiceView

    init(_ settings: CakedConfiguration, view: ServiceView) { (self.settings, self.view) = (settings, view) }

    /// What was found, a line each, and everything that is wrong.
    func run() -> (findings: [String], problems: [ConfigurationProblem]) {
        // Before the caller becomes another user, who may not see where links lead to.
        let places = [settings.modelPath, settings.engine.stateDirectory].map { Self.resolved($0) }
        var findings: [String] = []
        var problems: [ConfigurationProblem] = []
        if let note = view.assume() { findings.append(note) }
        if let folder = view.hiding(settings.modelPath, places[0]) {
            problems.append(
                ModelFile.problem(of: settings, "a path that the service sees: \(ServiceView.mend(folder))"))
        } else if let problem = ModelFile.problems(of: settings).first {
            problems.append(problem)
        } else {
            do throws(EngineError) {
                let model = try Engine.checkModel(settings.engine)
                let size = "\(model.parameters) weights, a context of \(model.contextLength) tokens"
                findings.append("the model runs: \(model.id), \(size)")
            } catch {
                problems.append(ModelFile.problem(of: settings, "a GGUF file that caked can run (\(error.message))"))
            }
        }
        if let folder = view.hiding(settings.engine.stateDirectory, places[1]) {
            problems.append(storeProblem("a directory that the service sees: \(ServiceView.mend(folder))"))
        } else {
            do throws(EngineError) { findings.append(try store()) } catch {
                problems.append(storeProblem("a directory of a store that opens (\(error.message))"))
            }
        }
        if problems.isEmpty {
            findings.append("the configuration is good: model \(settings.modelPath), socket \(settings.socketPath)")
        }
        return (findings, problems)
    }

    private func store() throws(EngineError) -> String {
        let directory = settings.engine.stateDirectory
        return switch try Engine.checkStore(settings.engine) {
        case .sound: "the store opens: \(directory)"
        case .inUse: "the store is in use by a caked that runs, which is fine: \(directory)"
        case .missing: "there is no store yet, the first start makes it: \(directory)"
        }
    }

    private func storeProblem(_ wanted: String) -> ConfigurationProblem {
        ConfigurationProblem(
            source: settings.sources["state"] ?? "state", key: "state", value: settings.engine.stateDirectory,
            wanted: wanted)
    }

    /// Where a path leads to; itself where that is nowhere.
    private static func resolved(_ path: String) -> String {
        guard let found = unsafe realpath(path, nil) else { return path }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }
}
