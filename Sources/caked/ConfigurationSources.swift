// Where settings come from: the file, over it the environment, over it the flags; all of them checked before any is
// used, and every mistake reported.

import API
import Glibc
import HTTPAPI
import Inference

/// The texts settings are made from.
struct ConfigurationSources {
    /// The file an administrator edits; it need not exist.
    static let defaultFile = "/etc/caked/caked.yaml"
    /// A configuration is a page of text; a larger file is not one, and is not given to the YAML parser.
    static let maxFileBytes = 64 << 10
    /// A pipe, such as the shell's `<(…)`, has this long to hand over a page of text.
    static let pipeSeconds = 5.0

    /// The file's name and text; nil where there is none.
    var file: (path: String, text: String)?
    var environment: [String: String] = [:]
    /// Values of flags by the key they set.
    var flags: [String: String] = [:]
    var isRoot = false
    /// Whether a model must be named; for work on the store alone it need not.
    var needsModel = true

    /// The configuration, or everything that is wrong with it.
    func resolve() -> Result<CakedConfiguration, ConfigurationProblems> {
        var configuration = CakedConfiguration(environment: environment, isRoot: isRoot)
        var problems: [ConfigurationProblem] = []
        let settings = Dictionary(uniqueKeysWithValues: Setting.all.map { ($0.key, $0) })
        func set(_ setting: Setting, _ value: String, from source: String) {
            configuration.sources[setting.key] = source
            if !setting.apply(&configuration, value) {
                problems.append(.init(source: source, key: setting.key, value: value, wanted: setting.wanted))
            }
        }
        var isReadable = true
        if let file {
            let contents = ConfigurationFile(file.text, path: file.path)
            isReadable = contents.isReadable
            problems += contents.problems
            for item in contents.settings {
                if let setting = settings[item.key] {
                    set(setting, item.value, from: "\(file.path):\(item.line)")
                } else {
                    problems.append(
                        Self.unknown(item.key, among: settings.keys.sorted(), at: "\(file.path):\(item.line)"))
                }
            }
        }
        for setting in Setting.all {
            if let value = environment[setting.variable] { set(setting, value, from: setting.variable) }
        }
        for setting in Setting.all {
            if let value = flags[setting.key] { set(setting, value, from: setting.flag ?? setting.key) }
        }
        // A file that could not be read may well name it.
        if needsModel, configuration.modelPath.isEmpty, isReadable {
            problems.append(
                .init(
                    source: file?.path ?? Self.defaultFile, key: "model", value: nil,
                    wanted: "the path of a GGUF file, as `model: FILE` here, as CAKED_MODEL or with --model"))
        }
        configuration.engine.modelPath = configuration.modelPath
        // Then all documents are one user's, the daemon's.
        if configuration.access == .group { configuration.engine.userShare = .all }
        return problems.isEmpty ? .success(configuration) : .failure(ConfigurationProblems(problems: problems))
    }

    private static func unknown(_ key: String, among known: [String], at source: String) -> ConfigurationProblem {
        let nearest = EditDistance.nearest(to: key, among: known)?.word ?? ""
        return ConfigurationProblem(source: source, key: nil, value: key, wanted: "a known key, perhaps `\(nearest)`")
    }

    /// Variables that look like settings and are none, each with what it may have meant.
    func unknownVariables() -> [String] {
        let known = Setting.all.map(\.variable)
        return environment.keys.filter { $0.hasPrefix("CAKED_") && !known.contains($0) }.sorted().map { name in
            let nearest = EditDistance.nearest(to: String(name.prefix(Self.maxComparedCharacters)), among: known)
            return "\(name) is no setting and has no effect" + (nearest.map { "; perhaps \($0.word) is meant" } ?? "")
        }
    }

    /// Characters of a variable's name that are compared: more than the longest has.
    private static let maxComparedCharacters = 64

    /// Reads the file at `path`; nil if it is not there.
    ///
    /// What writes into a pipe is waited for `pipeSeconds` at most.
    static func read(_ path: String, pipeSeconds: Double = pipeSeconds) throws(ConfigurationProblem) -> String? {
        func problem(_ wanted: String) -> ConfigurationProblem {
            ConfigurationProblem(source: "--config", key: nil, value: path, wanted: wanted)
        }
        // O_NONBLOCK: without it the opening of a FIFO waits for a writer for ever.
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw problem("a file that caked may read (\(unsafe String(cString: strerror(errno))))")
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        let deadline = ContinuousClock.now + .seconds(pipeSeconds)
        while true {
            guard isReadable(descriptor, before: deadline) else {
                throw problem("a file, or a pipe into which something is written within \(pipeSeconds) seconds")
            }
            let count = unsafe Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count >= 0 else { throw problem("a file (\(unsafe String(cString: strerror(errno))))") }
            if count == 0 { break }
            bytes += chunk[..<count]
            guard bytes.count <= maxFileBytes else { throw problem("a file of at most \(maxFileBytes) bytes") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw problem("a file in UTF-8") }
        return text
    }

    /// Whether a read returns at once, by a moment; a file's always does.
    private static func isReadable(_ descriptor: Int32, before deadline: ContinuousClock.Instant) -> Bool {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let left = (deadline - ContinuousClock.now).components
            let milliseconds = max(0, left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000)
            let ready = unsafe poll(&waiting, 1, Int32(clamping: milliseconds))
            if ready < 0, errno == EINTR { continue }
            return ready > 0
        }
    }
}

/// Everything that is wrong with a configuration.
struct ConfigurationProblems: Error, Equatable {
    var problems: [ConfigurationProblem]
}
