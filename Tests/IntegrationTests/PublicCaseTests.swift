// Small inputs out of public bug reports, each with what is right for it; they are others', and lie beside the project
// where they are there at all.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

private enum PublicCases {
    static let folder = Project.root.deletingLastPathComponent().appending(path: "shared/cases")
    static let curl = "/usr/bin/curl"
    static let areThere = [folder.path, curl].allSatisfy { FileManager.default.fileExists(atPath: $0) }
}

@Suite(.serialized, .enabled(if: PublicCases.areThere, "cases beside the project, or curl, are missing"))
struct PublicCaseTests {
    /// A request and what its answer has in it.
    struct Request: Sendable, CustomTestStringConvertible {
        let file: String
        var path = "chat/completions"
        let body: String
        let answer: String
        var testDescription: String { file }
    }

    private static let chat = #""messages":[{"role":"user","content":"hi"}],"temperature":0"#

    @Test(
        "is answered as its report says",
        arguments: [
            Request(
                file: "01-llama3-no-begin-of-text/model.gguf", body: #"{\#(chat),"max_tokens":1}"#,
                answer: #""prompt_tokens":24,"#),
            Request(
                file: "02-end-of-text-and-eom-do-not-end-an-answer/end_of_text.gguf",
                body: #"{\#(chat),"max_tokens":8}"#, answer: #""finish_reason":"stop""#),
            Request(
                file: "02-end-of-text-and-eom-do-not-end-an-answer/eom.gguf", body: #"{\#(chat),"max_tokens":8}"#,
                answer: #""finish_reason":"stop""#),
            Request(
                file: "03-template-default-system-message/model.gguf", body: #"{\#(chat),"max_tokens":1}"#,
                answer: #""prompt_tokens":98,"#),
            Request(
                file: "05-completions-lose-the-leading-space/model.gguf", path: "completions",
                body: #"{"prompt":"once upon a","max_tokens":2,"temperature":0}"#, answer: #""text":" time time""#),
            Request(
                file: "06-rope-factor-without-type/model.gguf", path: "completions",
                body: """
                    {"prompt":"the quick brown fox jumps over 12 lazy dogs and the river runs","max_tokens":12,\
                    "temperature":0}
                    """,
                answer: #""text":"gwpppppppppp""#),
            Request(
                file: "10-half-a-character-at-max-tokens/model.gguf", body: #"{\#(chat),"max_tokens":5}"#,
                answer: #""content":"😀""#),
        ])
    func answered(_ request: Request) async throws {
        let daemon = try await Daemon(model: PublicCases.folder.appending(path: request.file).path)
        let outcome = try run(
            URL(filePath: PublicCases.curl),
            ["-s", "--unix-socket", daemon.socket, "http://localhost/v1/\(request.path)", "-d", request.body])
        #expect(outcome.output.contains(request.answer), "\(outcome)")
    }

    @Test("a head of 80 elements is stored as f16 where nobody says otherwise") func headWidth() async throws {
        let folder = PublicCases.folder.appending(path: "04-head-width-80-default-rows")
        let daemon = try await Daemon(model: folder.appending(path: "model.gguf").path)
        let document = try await daemon.client.put(
            "a", DocumentText(Array(Data(contentsOf: folder.appending(path: "doc.txt")))))
        #expect(document.rows == "f16")
    }
}
