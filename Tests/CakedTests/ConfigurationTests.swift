import Foundation
import Testing

/// Runs the real program with a configuration; it only checks it.
struct CheckedConfiguration {
    var status: Int32
    var lines: [String]

    init(_ yaml: String?, environment: [String: String] = [:], flags: [String] = []) throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let file = directory.appending(path: "c.yaml").path
        try yaml?.write(toFile: file, atomically: false, encoding: .utf8)
        let process = Process()
        process.executableURL = try Self.program()
        process.arguments = (yaml == nil ? [] : ["--config", file]) + flags + ["--check-config"]
        // Not the store of a service that is installed here.
        process.environment = environment.merging(["CAKED_STATE": directory.path + "/state"]) { given, _ in given }
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let text =
            try (output.fileHandleForReading.readToEnd() ?? Data())
            + (errors.fileHandleForReading.readToEnd() ?? Data())
        process.waitUntilExit()
        status = process.terminationStatus
        lines = String(decoding: text, as: UTF8.self).replacingOccurrences(of: file, with: "FILE")
            .split(separator: "\n").map(String.init)
    }

    /// The daemon beside the test bundle, where SwiftPM builds both.
    static func program() throws -> URL {
        let directory = try #require(
            CommandLine.arguments.first.map { URL(fileURLWithPath: $0).deletingLastPathComponent() })
        return directory.appending(path: "caked")
    }
}

@Suite struct ConfigurationTests {
    static let model = ServiceTests.model

    /// What a value must be.
    static let scalar = "one plain or quoted value; lists, mappings, anchors and tags have no meaning here"

    @Test("a misspelt variable is warned about by the name that may be meant, and stops nothing")
    func misspeltVariable() throws {
        let checked = try CheckedConfiguration(
            "model: \(Self.model)\nsocket: /s\n", environment: ["CAKED_THREDS": "3", "CAKED_KEEP": "5%"])
        #expect(
            checked.lines.filter { $0.hasPrefix("warning: ") } == [
                "warning: CAKED_THREDS is no setting and has no effect; perhaps CAKED_THREADS is meant"
            ])
        #expect(checked.lines.contains { $0.hasPrefix("the configuration is good") })
        #expect(checked.status == 0)
    }

    @Test("flags go over the environment, the environment over the file")
    func precedence() throws {
        let yaml = "model: /nowhere/file.gguf\nsocket: /file.sock\n"
        let file = try CheckedConfiguration(yaml, flags: ["--model", Self.model])
        #expect(file.lines.last == "the configuration is good: model \(Self.model), socket /file.sock")
        let variable = try CheckedConfiguration(
            yaml, environment: ["CAKED_MODEL": Self.model, "CAKED_SOCKET": "/variable.sock"])
        #expect(variable.lines.last == "the configuration is good: model \(Self.model), socket /variable.sock")
        let flag = try CheckedConfiguration(
            yaml, environment: ["CAKED_MODEL": "/nowhere/else", "CAKED_SOCKET": "/variable.sock"],
            flags: ["--model", Self.model, "--socket", "/flag.sock"])
        #expect(flag.lines.last == "the configuration is good: model \(Self.model), socket /flag.sock")
        #expect([file.status, variable.status, flag.status] == [0, 0, 0])
    }

    @Test("everything that is wrong is said at once, with where it stands and what would be right")
    func allErrors() throws {
        let checked = try CheckedConfiguration(
            """
            # a comment
            modle: /x
            keep: 200%
            rows: "f64"   # quoted
            list: [a]
            method:
              name: full
            threads: &few 2
            template: !name gemma
            keep: 5%
            """, environment: ["CAKED_LOG_LEVEL": "loud"], flags: ["--threads", "many"])
        #expect(checked.status == 78)
        #expect(
            checked.lines == [
                "caked: FILE:10: is `keep: 5%`, but wanted is each key once (`keep` stands in line 3 already)",
                "caked: FILE:5: is `list: [a]`, but wanted is \(Self.scalar)",
                "caked: FILE:6: is `method:`, but wanted is \(Self.scalar)",
                "caked: FILE:8: is `threads: &few 2`, but wanted is \(Self.scalar)",
                "caked: FILE:9: is `template: !name gemma`, but wanted is \(Self.scalar)",
                "caked: FILE:2: is `modle`, but wanted is a known key, perhaps `model`",
                "caked: FILE:3: keep is `200%`, but wanted is a percentage such as 10% or 10, or a share such as 0.1, "
                    + "more than nothing and at most all, or auto",
                "caked: FILE:4: rows is `f64`, but wanted is auto, f16, q8_0 or q4",
                "caked: CAKED_LOG_LEVEL: log_level is `loud`, but wanted is one of trace, debug, info, notice, "
                    + "warning, error, critical",
                "caked: --threads: threads is `many`, but wanted is a whole number from 0 to 1024",
                "caked: FILE: model is not set: wanted is the path of a GGUF file, as `model: FILE` here, "
                    + "as CAKED_MODEL or with --model",
            ])
    }

    @Test(
        "what a request may not ask for may not be configured",
        arguments: [
            (
                "keep", "0%",
                "a percentage such as 10% or 10, or a share such as 0.1, more than nothing and at most all, or auto"
            ),
            ("effort", "most", "auto, learned, fast, balanced or best"), ("rows", "f32", "auto, f16, q8_0 or q4"),
            ("method", "fastest", "the name of a method such as cake-global"),
        ])
    func readingOptions(_ key: String, _ value: String, _ wanted: String) throws {
        let checked = try CheckedConfiguration("\(key): \(value)\n", flags: ["--model", Self.model])
        #expect(checked.status == 78)
        #expect(checked.lines == ["caked: FILE:1: \(key) is `\(value)`, but wanted is \(wanted)"])
    }

    @Test("a method may be configured with its effort", arguments: ["cake", "cake-global:fast", "full"])
    func methods(_ method: String) throws {
        #expect(try CheckedConfiguration("method: \(method)\n", flags: ["--model", Self.model]).status == 0)
    }

    @Test(
        "what is not a mapping in YAML is refused once, with its line and nothing guessed",
        arguments: [
            ("rows: f16\n indented: 1\n", 1, "FILE:2: is ` indented: 1`, but wanted is YAML, "),
            ("rows: \"f16\nkeep: 10%\n", 1, "FILE:3: is ``, but wanted is YAML, "),
            ("\trows: f16\n", 1, "FILE:1: is `\trows: f16`, but wanted is YAML, "),
            ("rows: f16\n---\nrows: f16\n", 1, "FILE:2: is `---`, but wanted is YAML, "),
            ("rows: \u{1}\n", 1, "FILE: is `a file`, but wanted is YAML ("),
            ("{keep: 5%, keep: 6%}", 1, "FILE:1: is `{keep: 5%, keep: 6%}`, but wanted is each key once (keep "),
            ("- rows\n", 1, "FILE:1: is `- rows`, but wanted is a mapping, "),
            ("rows: *a\n", 1, "FILE:1: is `rows: *a`, but wanted is values written out, not an alias"),
            ("[", 60_000, "FILE:1: is `[[["),
            ("? ", 30_000, "FILE:1: is `? ?"),
            ("# many\n", 10_000, "--config: is `FILE`, but wanted is a file of at most 65536 "),
        ])
    func notAMapping(part: String, times: Int, problem: String) throws {
        let checked = try CheckedConfiguration(String(repeating: part, count: times), flags: ["--model", Self.model])
        #expect(checked.status == 78)
        #expect(checked.lines.count == 1)
        #expect(checked.lines.first?.hasPrefix("caked: " + problem) == true, "\(checked.lines)")
    }

    @Test("aliases of aliases, each ten times the one before, are refused at once even as a key")
    func aliasBomb() throws {
        var yaml = "a0: &a0 x\n"
        for level in 1...30 {
            let aliases = Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
            yaml += "a\(level): &a\(level) [\(aliases)]\n"
        }
        let checked = try CheckedConfiguration(yaml + "? *a30\n: x\n", flags: ["--model", Self.model])
        #expect(checked.status == 78)
        #expect(checked.lines.count == 1)
        #expect(checked.lines.first?.hasPrefix("caked: FILE:2: ") == true)
    }

    @Test("a comment, quotes, the document's beginning and Windows' line ends are YAML; null keeps the default")
    func yaml() throws {
        let checked = try CheckedConfiguration(
            "---\r\n# see *this*\r\nmodel: '\(Self.model)' # and *that*\r\nsocket: ~\r\nkeep:\r\n",
            environment: [:])
        #expect(checked.lines.last == "the configuration is good: model \(Self.model), socket /run/caked/caked.sock")
    }

    @Test(
        "each key takes its values and refuses others",
        arguments: [
            ("access", "group", "everybody"), ("log_level", "debug", "verbose"), ("threads", "0", "-1"),
            ("repack", "off", "maybe"), ("kernels", "portable", "sse9"),
            ("keep", "0.5", "0"), ("keep", "auto", "automatic"), ("check_target", "0.95", "95%"),
            ("check_floor", "0.8", "1.5"), ("below_floor", "enlarge", "warn"), ("rows", "q4", "q4_0"),
            ("store_map_bytes", "64G", "1K"),
            ("max_queued_documents", "0", "-1"), ("max_queued_questions", "5", "5.5"),
            ("quota_per_user", "25%", "0"), ("tombstone_seconds", "0", "-1"),
            ("max_running_questions", "0", "257"), ("max_generated_tokens", "1", "0"),
            ("max_document_bytes", "1M", "M"), ("max_chat_bytes", "4096", "9999999999T"),
            ("unknown_fields", "refuse", "ignore"), ("max_connections", "1", "0"),
            ("write_deadline_seconds", "0.5", "nan"), ("idle_seconds", "60", "0"),
            ("drain_seconds", "0", "-1"), ("quota_bytes", "10G", "-1"), ("quota_bytes", "0", "all"),
            ("min_free_disk_bytes", "0", "1.5G"), ("shrink_floor", "100%", "0"), ("shrink_floor", "0.25", "150%"),
            ("compact_at_start", "off", "maybe"), ("chat_template_kwargs", #"{"enable_thinking": true}"#, "[true]"),
            ("chat_template_kwargs", "{}", "enable_thinking"),
        ])
    func values(key: String, good: String, bad: String) throws {
        let taken = try CheckedConfiguration("model: \(Self.model)\n\(key): '\(good)'\n")
        #expect(taken.status == 0)
        let refused = try CheckedConfiguration("model: \(Self.model)\n\(key): \"\(bad)\"\n")
        #expect(refused.status == 78)
        #expect(refused.lines.count == 1)
        #expect(refused.lines.first?.hasPrefix("caked: FILE:2: \(key) is `\(bad)`, but wanted is ") == true)
    }

    @Test("the file that ships documents every key, and is right as it is and with every line switched on")
    func shippedFile() throws {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let yaml = try String(contentsOf: root.appending(path: "config/caked.yaml"), encoding: .utf8)
        let asItIs = try CheckedConfiguration(yaml, environment: ["CAKED_MODEL": Self.model])
        #expect(asItIs.status == 0)
        let on = yaml.replacing(try Regex("(?m)^#([a-z_]+:.*)$")) { match in String(match.output[1].substring ?? "") }
        let keys = on.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(keys.count == 38)
        #expect(try CheckedConfiguration(on, environment: ["CAKED_MODEL": Self.model]).status == 0)
    }

    @Test(
        "a user's daemon has the user's paths, a managed one the manager's",
        arguments: [
            (["XDG_RUNTIME_DIR": "/run/user/5", "STATE_DIRECTORY": "/var/lib/caked"], "/run/caked/caked.sock"),
            ([:], "/run/caked/caked.sock"),
        ])
    func defaults(environment: [String: String], socket: String) throws {
        let checked = try CheckedConfiguration("", environment: environment, flags: ["--model", Self.model])
        #expect(checked.lines.last == "the configuration is good: model \(Self.model), socket \(socket)")
    }

    @Test("a pipe into which nothing is written is given up")
    func silentPipe() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let pipe = directory.appending(path: "pipe").path
        try #require(unsafe mkfifo(pipe, 0o600) == 0)
        let checked = try CheckedConfiguration(nil, flags: ["--config", pipe, "--model", Self.model])
        #expect(checked.status == 78)
        #expect(checked.lines.count == 1)
        #expect(
            checked.lines.first?.hasPrefix("caked: --config: is `\(pipe)`, but wanted is a file, or a pipe ") == true)
    }

    @Test("a missing file, a missing model and a wrong flag are told apart")
    func missing() throws {
        let file = try CheckedConfiguration(nil, flags: ["--config", "/nowhere.yaml", "--model", Self.model])
        #expect(file.status == 78)
        #expect(file.lines == ["caked: --config: is `/nowhere.yaml`, but wanted is a file that exists"])
        let model = try CheckedConfiguration("", flags: ["--model", "/nowhere.gguf"])
        #expect(model.status == 78)
        #expect(model.lines.last?.contains("may read (No such file or directory)") == true)
        #expect(try CheckedConfiguration(nil, flags: ["--modle", "x"]).status == 64)
    }
}
