// A daemon that reads its first documents twice, learns what the second reading says, and reads others once.

import API
import CakedClient
import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct LearningTests {
    @Test("the effort learned reads twice until enough is known, then once, also after a restart")
    func learns() async throws {
        let documents = try HeldOut.load().documents
        let daemon = try await Daemon()
        func put(_ name: String, _ texts: [String], effort: String? = nil, keep: Double? = nil) async throws
            -> Document
        {
            var options = DocumentOptions()
            (options.effort, options.keep) = (effort, keep.map { .percent($0) })
            return try await daemon.client.put(
                name, DocumentText(Array(texts.joined(separator: "\n").utf8)), options: options)
        }
        #expect(try await put("early", [documents[0].text], effort: "learned").method == "cake-global")
        #expect(try daemon.cakectl(["status"]).output.contains("learned  not yet, 1 document so far"))
        var pairs: [[String]] = []
        for one in documents.indices {
            for other in documents.indices where one < other {
                pairs.append([documents[one].text, documents[other].text])
            }
        }
        var (taught, last) = (1, (name: "", pair: [""]))
        while try await !daemon.client.status().learning.isFinished {
            let next = pairs.popLast()
            let pair = try #require(next, "all documents together are not enough")
            let name = "a\(taught)"
            let method = try await put(name, pair).method
            // A lesson is taken after its document was acknowledged: the last one may have been enough by now.
            if method != "cake-global", try await daemon.client.status().learning.isFinished { break }
            #expect(method == "cake-global")
            taught += 1
            last = (name, pair)
        }
        #expect(taught >= 8)
        // What is stored stays as it is, though it would be read otherwise now.
        let same = try await daemon.client.put(
            last.name, DocumentText(Array(last.pair.joined(separator: "\n").utf8)), options: DocumentOptions())
        #expect(same.method == "cake-global")
        #expect(try await put("tenth", [documents[3].text]).method == "cake-global:learned")
        #expect(try await put("more", [documents[3].text], keep: 20).method == "cake-global")
        #expect(try await put("checked", [documents[3].text], effort: "best").method == "cake-global")
        let once = try await put("once", [documents[1].text], effort: "learned")
        #expect(once.method == "cake-global:learned")
        let asked = try daemon.cakectl(["ask", "once", documents[1].questions[0].question])
        #expect(asked.status == 0, "\(asked)")
        // It is kept as others are: shrunk, and read again, by the rules that it was written by.
        #expect(try daemon.cakectl(["shrink", "once", "--keep", "5%"]).status == 0)
        #expect(try daemon.cakectl(["rebuild", "once"]).status == 0)
        #expect(try await daemon.client.document("once").method == "cake-global:learned")

        daemon.stop(SIGKILL)
        try await daemon.start()
        #expect(try await daemon.client.status().learning.isFinished)
        #expect(try await put("again", [documents[2].text], effort: "learned").method == "cake-global:learned")
        // A damaged file is no knowledge: it begins again.
        daemon.stop(SIGTERM)
        let file = URL(filePath: daemon.state).appending(path: "surrogate")
        var bytes = try Data(contentsOf: file)
        bytes[bytes.count / 2] ^= 1
        try bytes.write(to: file)
        try await daemon.start()
        #expect(try await !daemon.client.status().learning.isFinished)
        #expect(try await put("damaged", [documents[2].text], effort: "learned").method == "cake-global")
    }
}
