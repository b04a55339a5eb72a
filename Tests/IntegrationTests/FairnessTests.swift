// Three users of one daemon: what one of them takes, the others keep.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct FairnessTests {
    /// User ids without accounts; a daemon tells its users apart by no more.
    private static let (owner, flooder, third) = (61_001, 61_002, 61_003)
    private static let script = Project.root.appending(path: "Tests/IntegrationTests/Python/crowd.py").path

    private struct Waits: Decodable {
        /// Of each question: to its first token, and to its last.
        var seconds: [[Double]]
        var answers: [String]
        var failures: [String]

        /// To the first token.
        var first: [Double] { seconds.map { $0[0] }.sorted() }
        var last: [Double] { seconds.map { $0[1] }.sorted() }
    }

    /// Runs a program as a user.
    private func run(as user: Int, _ program: String, _ arguments: [String], _ daemon: Daemon) throws -> Outcome {
        try TestDaemon.run(
            URL(filePath: "/usr/bin/setpriv"),
            ["--reuid=\(user)", "--regid=\(user)", "--clear-groups", program] + arguments,
            environment: ["CAKED_SOCKET": daemon.socket])
    }

    private func ask(as user: Int, _ document: String, seconds: Double, _ daemon: Daemon) throws -> Waits {
        let outcome = try run(
            as: user, "/usr/bin/env", ["python3", Self.script, "ask", daemon.socket, document, "\(seconds)"], daemon)
        #expect(outcome.status == 0, "\(outcome)")
        return try JSONDecoder().decode(Waits.self, from: Data(outcome.output.utf8))
    }

    /// `CAKED_FAIRNESS_SECONDS=30` makes this the long run.
    @Test("a user who takes all that can be had costs two others no byte of their documents and no answer")
    func flood() async throws {
        guard getuid() == 0, FileManager.default.isExecutableFile(atPath: "/usr/bin/setpriv") else {
            print("only root can be several users, so what one costs the others is not tried")
            return
        }
        let seconds = ProcessInfo.processInfo.environment["CAKED_FAIRNESS_SECONDS"].flatMap { Double($0) } ?? 4
        let texts = try HeldOut.load().documents
        // A folder that all three may read.
        let folder = URL(filePath: "/tmp").appending(path: "caked-crowd-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: folder.path)
        let file = folder.appending(path: "text").path
        try Data(texts[0].text.utf8).write(to: URL(filePath: file))
        let settings = folder.appending(path: "caked.yaml").path
        try Data("quota_bytes: 24M\nrows: q8_0\n".utf8).write(to: URL(filePath: settings))
        let daemon = try await Daemon(["--config", settings])
        try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: daemon.socket)

        let cakectl = Project.program("cakectl").path
        for (user, name) in [(Self.owner, "a"), (Self.flooder, "b0"), (Self.third, "c")] {
            let put = try run(as: user, cakectl, ["put", name, file, "--keep", "100%", "--pin"], daemon)
            #expect(put.status == 0, "\(put)")
        }
        func export(_ name: String) throws -> Data {
            let path = folder.appending(path: name).path
            let export = try run(as: Self.owner, cakectl, ["export", "a", path], daemon)
            #expect(export.status == 0, "\(export)")
            return try Data(contentsOf: URL(filePath: path))
        }
        // The flooder's own documents make room for what the flooder puts.
        for number in 1...6 {
            let put = try run(as: Self.flooder, cakectl, ["put", "b\(number)", file, "--keep", "40%"], daemon)
            #expect(put.status == 0, "\(put)")
        }
        #expect(try run(as: Self.flooder, cakectl, ["ls"], daemon).output.contains("deleted"))
        let before = try export("before")
        let alone = try ask(as: Self.owner, "a", seconds: 1, daemon)

        let (user, script, socket) = (Self.flooder, Self.script, daemon.socket)
        let flood = Task.detached {
            try TestDaemon.run(
                URL(filePath: "/usr/bin/setpriv"),
                [
                    "--reuid=\(user)", "--regid=\(user)", "--clear-groups", "/usr/bin/env", "python3", script, "flood",
                    socket, "\(seconds + 2)", file,
                ])
        }
        try await Task.sleep(for: .seconds(1))
        let crowded = try ask(as: Self.owner, "a", seconds: seconds, daemon)
        let third = try run(as: Self.third, cakectl, ["put", "d", file, "--keep", "50%"], daemon)
        #expect(third.status == 0, "\(third)")
        let done = try await flood.value
        #expect(done.status == 0 && done.output.contains("\"puts\""), "\(done)")

        #expect(crowded.failures.isEmpty && crowded.answers == alone.answers, "\(crowded)")
        #expect(try export("after") == before)
        let others = try run(as: Self.third, cakectl, ["--json", "ls"], daemon)
        let list = try JSONDecoder().decode(ObjectList<Document>.self, from: Data(others.output.utf8))
        #expect(list.data.map(\.id) == ["c", "d"] && list.data.allSatisfy { $0.shrunkAt == nil }, "\(others)")
        func text(_ waits: Waits) -> String {
            func median(_ list: [Double]) -> String { String(format: "%.3f", list[list.count / 2]) }
            let most = String(format: "%.3f", waits.first[waits.first.count - 1])
            return "\(median(waits.first)) s (at most \(most)) to the first token, \(median(waits.last)) s to the last"
        }
        print("a question took \(text(alone)) alone, \(text(crowded)) beside \(done.output)")
    }
}
