// Files as people have them, through cakectl to an answer; and what cakectl changes of a stored document.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct DocumentFilesTests {
    @Test("files and folders are put under their names, whatever they are written in; what has no text is said")
    func files() async throws {
        let heldOut = try HeldOut.load().documents[0]
        let daemon = try await Daemon()
        let folder = daemon.folder.appending(path: "papers")
        try FileManager.default.createDirectory(
            at: folder.appending(path: "more"), withIntermediateDirectories: true)
        try Data(heldOut.text.utf8).write(to: folder.appending(path: "plain.txt"))
        try #require(heldOut.text.data(using: .utf16)).write(to: folder.appending(path: "more/wide.txt"))
        try Data([0x89, 0x50, 0x4E, 0x47, 13, 10]).write(to: folder.appending(path: "picture.png"))
        let all = try daemon.cakectl(["put", folder.path, "--method", "full"])
        #expect(all.status == 0, "\(all)")
        #expect(all.errors.contains("left out: ") && all.errors.contains("picture.png is a PNG image"), "\(all)")
        #expect(try await daemon.client.documents().map(\.id) == ["more-wide.txt", "plain.txt"])
        let question = heldOut.questions[0].question
        let answer = try daemon.cakectl(["ask", "plain.txt", question]).output
        #expect(try daemon.cakectl(["ask", "more-wide.txt", question]).output == answer)
        #expect(try daemon.cakectl(["text", "more-wide.txt"]).output == heldOut.text)

        // Named before the file, by --name, and from standard input.
        let plain = folder.appending(path: "plain.txt").path
        for arguments in [["a", plain], [plain, "--name", "a"], ["a", "-"]] {
            let put = try daemon.cakectl(["put"] + arguments + ["--method", "full"], input: heldOut.text)
            #expect(put.status == 0 && put.output.hasPrefix("a: "), "\(put)")
        }
        let picture = try daemon.cakectl(["--json", "put", folder.appending(path: "picture.png").path])
        #expect(picture.status == 65)
        #expect(picture.output.contains(#""code":"no_text""#), "\(picture)")
        #expect(picture.errors.contains("is a PNG image"))
    }

    @Test("a document is renamed and its life is changed; errors are objects under --json")
    func changes() async throws {
        let heldOut = try HeldOut.load().documents[0]
        let daemon = try await Daemon()
        for name in ["a", "b"] {
            _ = try await daemon.client.put(name, DocumentText(heldOut.text), options: DocumentOptions(method: "full"))
        }
        let question = heldOut.questions[0].question
        let answer = try daemon.cakectl(["ask", "a", question]).output
        let taken = try daemon.cakectl(["--json", "mv", "a", "b"])
        #expect(taken.status == 1)
        struct Reply: Decodable {
            struct Object: Decodable { var code, message: String, status: Int? }
            var error: Object
        }
        let reply = try JSONDecoder().decode(Reply.self, from: Data(taken.output.utf8)).error
        #expect((reply.code, reply.status) == ("name_taken", 409) && taken.errors.contains(reply.message))
        #expect(try daemon.cakectl(["mv", "a", "c"]).status == 0)
        #expect(try await daemon.client.documents().map(\.id) == ["b", "c"])
        #expect(try daemon.cakectl(["ask", "c", question]).output == answer)
        #expect(try daemon.cakectl(["ask", "a", question]).status == 1)
        #expect(try await daemon.client.document("c").hits == 2)

        #expect(try daemon.cakectl(["set", "c", "--pin"]).output == "c: expires pinned\n")
        #expect(try await daemon.client.document("c").pinned)
        #expect(try daemon.cakectl(["set", "c", "--unpin", "--ttl", "1h"]).status == 0)
        let document = try await daemon.client.document("c")
        #expect(!document.pinned && document.ttlSeconds == 3600)
        #expect(try daemon.cakectl(["set", "c", "--no-ttl"]).output == "c: expires never\n")
        // All of it is there after a restart.
        daemon.stop(SIGKILL)
        try await daemon.start()
        #expect(try daemon.cakectl(["ask", "c", question]).output == answer)
        #expect(try daemon.cakectl(["verify"]).status == 0)
    }
}
