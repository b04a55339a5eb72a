// What `--check-config` says of the model and the store that a configuration names.

import Foundation
import Glibc
import Testing

@Suite struct CheckConfigTests {
    /// A folder of one test's own.
    final class Folder {
        let url = FileManager.default.temporaryDirectory.appending(path: "caked-\(UUID().uuidString.prefix(8))")
        var path: String { url.path }

        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

        deinit { try? FileManager.default.removeItem(at: url) }

        /// A file in it.
        func write(_ name: String, _ bytes: Data) throws { try bytes.write(to: url.appending(path: name)) }
    }

    /// The bundled model with one run of its bytes changed to another of the same length.
    static func model(_ old: String, _ new: String) throws -> Data {
        var bytes = try Data(contentsOf: URL(filePath: ServiceTests.model))
        let range = try #require(bytes.range(of: Data(old.utf8)))
        try #require(old.utf8.count == new.utf8.count)
        bytes.replaceSubrange(range, with: Data(new.utf8))
        return bytes
    }

    static let unusable: [(what: String, said: String, make: @Sendable (Folder) throws -> Void)] = [
        ("no file", "may read (No such file or directory)", { _ in }),
        ("a folder", "can run (", { try Folder.make($0, "m.gguf") }),
        ("a pipe", "can run (", { #expect(unsafe mkfifo($0.path + "/m.gguf", 0o600) == 0) }),
        ("no GGUF", "can run (", { try $0.write("m.gguf", Data("a text".utf8)) }),
        ("an empty file", "can run (", { try $0.write("m.gguf", Data()) }),
        (
            "a header of nonsense", "can run (",
            { try $0.write("m.gguf", Data("GGUF".utf8) + Data(repeating: 255, count: 4000)) }
        ),
        (
            "a file that is cut in its weights", "can run (",
            { try $0.write("m.gguf", Data(contentsOf: URL(filePath: ServiceTests.model)).dropLast(40_000)) }
        ),
        (
            "an architecture that nobody knows", "can run (",
            { try $0.write("m.gguf", model("general.architecture", "general.architektur_")) }
        ),
        (
            "a tensor that is missing", "can run (",
            { try $0.write("m.gguf", model("output_norm.weight", "output_nerm.weight")) }
        ),
        (
            "no vocabulary", "can run (",
            { try $0.write("m.gguf", model("tokenizer.ggml.tokens", "tokenizer.ggml.tokenz")) }
        ),
        (
            "no chat template", "can run (",
            { try $0.write("m.gguf", model("tokenizer.chat_template", "tokenizer.chat_templatf")) }
        ),
    ]

    @Test("a model that cannot be run is refused with the line that names it", arguments: unusable)
    func unusableModel(what: String, said: String, make: @Sendable (Folder) throws -> Void) throws {
        let folder = try Folder()
        try make(folder)
        let model = folder.path + "/m.gguf"
        let checked = try CheckedConfiguration("# the model\nmodel: \(model)\n")
        #expect(checked.status == 78)
        let problems = checked.lines.filter { $0.hasPrefix("caked: ") }
        #expect(problems.count == 1)
        let expected = "caked: FILE:2: model is `\(model)`, but wanted is a GGUF file that caked \(said)"
        #expect(problems.first?.hasPrefix(expected) == true, "\(what): \(checked.lines)")
    }

    static let unusableStores: [(what: String, make: @Sendable (Folder) throws -> Void)] = [
        ("a file", { try $0.write("state", Data("a text".utf8)) }),
        (
            "a folder others may write to",
            {
                try Folder.make($0, "state")
                #expect(unsafe chmod($0.path + "/state", 0o777) == 0)
            }
        ),
        (
            "a database of nonsense",
            {
                try Folder.make($0, "state")
                try $0.write("state/data.mdb", Data(repeating: 0x5A, count: 65_536))
            }
        ),
        (
            "a database that was cut to nothing",
            {
                try Folder.make($0, "state")
                try $0.write("state/data.mdb", Data())
            }
        ),
    ]

    @Test("a store that does not open is refused with the line that names it", arguments: unusableStores)
    func unusableStore(what: String, make: @Sendable (Folder) throws -> Void) throws {
        let folder = try Folder()
        try make(folder)
        let state = folder.path + "/state"
        let checked = try CheckedConfiguration(
            "model: \(ServiceTests.model)\nstate: \(state)\n", environment: ["CAKED_STATE": state])
        #expect(checked.status == 78)
        let problems = checked.lines.filter { $0.hasPrefix("caked: ") }
        #expect(problems.count == 1)
        let expected = "caked: CAKED_STATE: state is `\(state)`, but wanted is a directory of a store that opens ("
        #expect(problems.first?.hasPrefix(expected) == true, "\(what): \(checked.lines)")
    }

    @Test("a template of no known name is refused with its line")
    func template() throws {
        let checked = try CheckedConfiguration("model: \(ServiceTests.model)\ntemplate: chatlm\n")
        #expect(checked.status == 78)
        #expect(checked.lines.count == 1)
        let expected = "caked: FILE:2: template is `chatlm`, but wanted is the name of a chat template: chatml, "
        #expect(checked.lines.first?.hasPrefix(expected) == true, "\(checked.lines)")
    }

    @Test("a store is looked at before, beside and after a daemon, and nothing is changed in it")
    func stores() throws {
        let manager = try ServiceManager()
        let state = manager.folder + "/state"
        func check() throws -> [String] {
            let checked = try CheckedConfiguration(
                "model: \(ServiceTests.model)\n", environment: ["CAKED_STATE": state])
            #expect(checked.status == 0, "\(checked.lines)")
            return checked.lines
        }
        let before = try check()
        #expect(before.contains("there is no store yet, the first start makes it: \(state)"))
        #expect(before.contains { $0.hasPrefix("the model runs: ") && $0.hasSuffix(" tokens") })
        #expect(!FileManager.default.fileExists(atPath: state))

        let daemon = try manager.start()
        let client = try UnixSocket(.client, manager.socketPath)
        client.ask()
        #expect(client.receive()?.hasPrefix("HTTP/1.1 200 OK") == true)
        #expect(try check().contains("the store is in use by a caked that runs, which is fine: \(state)"))
        let other = try UnixSocket(.client, manager.socketPath)
        other.ask()
        #expect(other.receive()?.hasPrefix("HTTP/1.1 200 OK") == true)
        #expect(manager.stop(daemon) == 0)

        let names = try FileManager.default.contentsOfDirectory(atPath: state).sorted()
        let bytes = try Data(contentsOf: URL(filePath: state + "/data.mdb"))
        #expect(try check().contains("the store opens: \(state)"))
        #expect(try FileManager.default.contentsOfDirectory(atPath: state).sorted() == names)
        #expect(try Data(contentsOf: URL(filePath: state + "/data.mdb")) == bytes)
    }
}

extension CheckConfigTests.Folder {
    /// A folder in a folder.
    static func make(_ folder: CheckConfigTests.Folder, _ name: String) throws {
        try FileManager.default.createDirectory(
            at: folder.url.appending(path: name), withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700])
    }
}
