// Bad input to the real programs: a clear error each time, and the daemon answers afterwards.

import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct BadInputTests {
    struct Case: Sendable {
        var what: String
        var arguments: [String]
        var input = ""
        var status: Int32
        var says: String
    }

    static let longText = String(repeating: "The old bridge was quiet in the morning. ", count: 20_000)
    static let cases = [
        Case(what: "an empty document", arguments: ["put", "a", "-"], status: 1, says: "empty"),
        Case(what: "only white space", arguments: ["put", "a", "-"], input: " \n\t\n", status: 1, says: "empty"),
        Case(
            what: "longer than the context", arguments: ["put", "a", "-"], input: longText, status: 1,
            says: "context is 16384"),
        Case(
            what: "a budget below the window", arguments: ["put", "a", "-", "--method", "cake", "--budget", "31"],
            input: String(longText.prefix(4000)), status: 1, says: "at least 32"),
        Case(
            what: "a budget above the document", arguments: ["put", "a", "-", "--budget", "5000"],
            input: String(longText.prefix(4000)), status: 1, says: "only"),
        Case(
            what: "an unknown preset", arguments: ["put", "a", "-", "--method", "cookie"], input: "some text",
            status: 1, says: "cake-reconstruct"),
        Case(
            what: "a share of nothing", arguments: ["put", "a", "-", "--keep", "0%"], input: "some text", status: 64,
            says: "%"),
        Case(what: "an unknown document", arguments: ["ask", "nothing", "why?"], status: 1, says: "nothing"),
        Case(what: "an unknown document to show", arguments: ["show", "nothing"], status: 1, says: "nothing"),
        Case(what: "an unknown document to remove", arguments: ["rm", "nothing"], status: 1, says: "nothing"),
        Case(what: "a path as a name", arguments: ["show", "../../etc/passwd"], status: 64, says: "name"),
        Case(what: "two dots as a name", arguments: ["show", ".."], status: 64, says: "name"),
        Case(
            what: "a name of 4 KB", arguments: ["show", String(repeating: "n", count: 4096)], status: 64, says: "name"),
        Case(what: "a missing file", arguments: ["put", "a", "/nowhere/at/all"], status: 1, says: "/nowhere/at/all"),
        Case(what: "a folder with a name", arguments: ["put", "a", "/tmp"], status: 64, says: "by their own names"),
    ]

    @Test("bad requests end with a clear error and the right exit code, and harm nothing")
    func badRequests() async throws {
        let daemon = try await Daemon()
        for example in Self.cases {
            let outcome = try daemon.cakectl(example.arguments, input: example.input)
            #expect(outcome.status == example.status, "\(example.what): \(outcome)")
            #expect(outcome.errors.contains(example.says), "\(example.what): \(outcome.errors)")
            #expect(outcome.output.isEmpty, "\(example.what): results only on standard output")
        }
        #expect(try await daemon.client.documents().isEmpty)
        #expect(try daemon.cakectl(["status"]).status == 0)
    }

    @Test("bytes that are not UTF-8 are refused with their offset")
    func notUTF8() async throws {
        let daemon = try await Daemon()
        let error = await #expect(throws: ClientError.self) {
            _ = try await daemon.client.put("a", DocumentText(Array("good text \u{e9}".utf8) + [0xC3, 0x28]))
        }
        #expect(error?.description.contains("byte 12") == true, "\(String(describing: error))")
    }

    @Test("a model file that is cut, foreign or hostile is refused by name, and nothing is created")
    func badModels() async throws {
        let good = try Data(contentsOf: URL(filePath: Project.model))
        var hostile = good
        hostile.replaceSubrange(8..<16, with: repeatElement(0xFF, count: 8))  // 2^64 - 1 tensors
        let cases = [
            ("cut", good.prefix(good.count / 2)), ("empty", Data()), ("hostile", hostile),
            ("foreign", Data("%PDF-1.7 not a model".utf8)),
        ]
        let folder = FileManager.default.temporaryDirectory.appending(path: "caked-models-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, contents) in cases {
            let model = folder.appending(path: "\(name).gguf")
            try contents.write(to: model)
            let outcome = try run(
                Project.program("caked"),
                ["--model", model.path, "--socket", folder.appending(path: "s").path, "--state", folder.path + "/st"])
            #expect(outcome.status == 65, "\(name): \(outcome)")
            #expect(outcome.errors.contains("model"), "\(name): \(outcome.errors)")
            #expect(!FileManager.default.fileExists(atPath: folder.appending(path: "s").path))
        }
    }

    @Test("a second daemon on the same store or socket is refused, and the first goes on")
    func secondDaemon() async throws {
        let daemon = try await Daemon()
        let other = daemon.folder.appending(path: "other").path
        let sameStore = try run(
            Project.program("caked"), ["--model", Project.model, "--socket", other, "--state", daemon.state])
        #expect(sameStore.status == 75, "\(sameStore)")
        #expect(sameStore.errors.contains(daemon.state))
        let sameSocket = try run(
            Project.program("caked"),
            ["--model", Project.model, "--socket", daemon.socket, "--state", daemon.folder.path + "/state-2"])
        #expect(sameSocket.status == 75, "\(sameSocket)")
        #expect(sameSocket.errors.contains(daemon.socket))
        #expect(try daemon.cakectl(["status"]).status == 0)
    }

    @Test("a file in the socket's place is left alone")
    func fileInTheWay() async throws {
        let folder = URL(filePath: "/tmp/caked-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appending(path: "s")
        try Data("precious".utf8).write(to: path)
        let outcome = try run(
            Project.program("caked"), ["--model", Project.model, "--socket", path.path, "--state", folder.path + "/st"])
        #expect(outcome.status != 0)
        #expect(outcome.errors.contains(path.path))
        #expect(try String(contentsOf: path, encoding: .utf8) == "precious")
    }

    @Test("without a daemon the client says where it looked, and exits with 69")
    func noDaemon() throws {
        let outcome = try run(Project.program("cakectl"), ["--socket", "/tmp/caked-nobody", "--wait", "0", "ls"])
        #expect(outcome.status == 69)
        #expect(outcome.errors.contains("/tmp/caked-nobody"))
    }
}
