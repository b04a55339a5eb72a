// The evaluations run from end to end on the bundled model, with the question hidden and visible.

import Foundation
import TestDaemon
import Testing

@Suite struct EvaluationTests {
    private let model = ["--model", Project.model, "--threads", "2"]

    private func object(_ arguments: [String]) throws -> Any {
        let outcome = try run(Project.program("cakebench"), arguments + ["--json"])
        try #require(outcome.status == 0, "\(outcome.errors)")
        return try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
    }

    private func rows(_ arguments: [String]) throws -> [[String: Any]] {
        try #require((try object(arguments) as? [String: Any])?["rows"] as? [[String: Any]])
    }

    private func file(_ name: String, _ text: String) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "caked-evaluation-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let path = folder.appending(path: name)
        try text.write(to: path, atomically: true, encoding: .utf8)
        return path.path
    }

    @Test("needle truncates one reading to every budget, draws, and finds what the full cache finds")
    func needle() throws {
        let plot = try file("plot.svg", "")
        let report = try #require(
            try object(
                [
                    "needle", "--set", Project.root.appending(path: "Tests/Fixtures/heldout-2k.json").path,
                    "--documents", "1", "--methods", "cake-reconstruct", "--keep", "5,20", "--visible", "cake",
                    "--plot", plot,
                ] + model) as? [String: Any])
        let rows = try #require(report["rows"] as? [[String: Any]])
        #expect(rows.map { $0["question"] as? String } == ["hidden", "hidden", "hidden", "visible", "visible"])
        #expect(rows.allSatisfy { $0["questions"] as? Int == 16 })
        let bytes = rows.compactMap { $0["kv_bytes_per_document"] as? Int }
        #expect(bytes[1] < bytes[2] && bytes[2] < bytes[0])
        #expect((rows[2]["of_full"] as? Double ?? 0) > 0.8)
        let check = try #require((report["truncation"] as? [[String: Any]])?.first)
        #expect(check["differing_entries"] as? Int == 0)
        #expect(try String(contentsOfFile: plot, encoding: .utf8).contains("cake-reconstruct"))
    }

    @Test("calibrate learns to read once from texts, and every document's scores are said as they are known")
    func calibrate() throws {
        let documents = try HeldOut.load().documents
        let texts = try documents[1...3].enumerated().map { try file("text\($0).txt", $1.text) }
        let surrogate = try file("surrogate.json", "")
        let learned = try run(
            Project.program("cakebench"), ["calibrate", "--out", surrogate, "--tokens", "2000"] + model + texts)
        #expect(learned.status == 0 && learned.errors.contains(": 3 documents, "), "\(learned)")
        let needle = [
            "needle", "--set", Project.root.appending(path: "Tests/Fixtures/heldout-2k.json").path, "--documents", "1",
            "--keep", "20", "--visible", "", "--methods", "cake-global:learned",
        ]
        let asked = try run(Project.program("cakebench"), needle + model + ["--surrogate", surrogate])
        #expect(asked.status == 0 && asked.output.contains("cake-global:learned"), "\(asked)")
        #expect(asked.errors.contains("after 1 documents: full 100.0 % "))
        let unlearned = try run(Project.program("cakebench"), needle + model)
        #expect(unlearned.errors.contains("surrogate") && unlearned.errors.contains("missing"), "\(unlearned)")
    }

    @Test("trust sets a recall beside the share answered: the cache that recalls more answers more")
    func trust() throws {
        let rows = try #require(
            try object(
                [
                    "trust", "--set", Project.root.appending(path: "Tests/Fixtures/heldout-2k.json").path,
                    "--documents", "1", "--methods", "cake-reconstruct,cake", "--keep", "10",
                ] + model) as? [[String: Any]])
        let answered = rows.compactMap { $0["answered"] as? Double }
        let recalls = rows.compactMap { ($0["check"] as? [String: Any])?["recall"] as? Double }
        #expect(answered.count == 2 && recalls.count == 2)
        #expect(answered[0] > answered[1] && recalls[0] > recalls[1])
    }

    @Test("ruler fills the length asked for and finds single needles")
    func ruler() throws {
        let rows = try rows(
            [
                "ruler", "--tokens", "600", "--documents", "2", "--tasks", "niah-single,vt", "--wording", "plain",
                "--methods", "cake", "--keep", "20", "--rows", "f16",
            ] + model)
        let full = try #require(rows.first { $0["method"] as? String == "full" })
        #expect((full["by_kind"] as? [String: Double])?["niah-single"] == 1)
        #expect((full["kv_bytes_per_document"] as? Int ?? 0) > 500 * 6 * 2 * 256)
    }

    @Test("longbench reads its files by their names and refuses what it cannot score")
    func longBench() throws {
        let line =
            #"{"input":"Where does Mara Quill work?","context":"Mara Quill works at Harbor Labs. The river was wide.","#
            + #""answers":["Harbor Labs"],"length":9,"dataset":"d","language":"en","all_classes":null,"_id":"1"}"#
        let file = try file("hotpotqa.jsonl", line + "\n" + line + "\n")
        let rows = try rows(["longbench", file, "--methods", "cake", "--keep", "50"] + model)
        #expect(rows.map { $0["questions"] as? Int } == [2, 2, 2])
        #expect((rows.first?["by_kind"] as? [String: Double])?.keys.first == "hotpotqa")
        let refused = try run(
            Project.program("cakebench"), ["longbench", try self.file("dureader.jsonl", line)] + model)
        #expect(refused.status != 0 && refused.errors.contains("jieba"))
    }

    @Test("products of bytes move next-token distributions by a trace")
    func precision() throws {
        let report = try #require(
            try object(
                ["precision", "--text", Project.root.appending(path: "demo/chronicle.txt").path, "--tokens", "300"]
                    + model) as? [String: Any])
        #expect(report["read_tokens"] as? Int == 150 && report["followed_tokens"] as? Int == 149)
        #expect((report["kl"] as? Double ?? 1) < 0.01 && (report["same_best"] as? Double ?? 0) > 0.9)
    }

    @Test("fidelity of the full cache to itself is perfect, of a small one not")
    func fidelity() throws {
        let rows = try #require(
            try object(
                [
                    "fidelity", "--text", Project.root.appending(path: "demo/questions.tsv").path, "--methods",
                    "cake-reconstruct", "--keep", "10,100", "--visible", "cake", "--places", "2", "--length", "12",
                    "--rows", "f16",
                ] + model) as? [[String: Any]])
        let whole = try #require(
            rows.first { $0["keep_percent"] as? Double == 100 && $0["question"] as? String == "hidden" })
        #expect(whole["answers_equal"] as? Double == 1)
        let places = try #require(whole["places"] as? [String: [String: Any]])
        #expect(Set(places.keys) == ["continue", "repeat", "answer"])
        #expect(
            places.values.allSatisfy { ($0["kl"] as? Double ?? 1) < 1e-3 && ($0["same_best"] as? Double ?? 0) == 1 })
        let small = try #require(rows.first { $0["keep_percent"] as? Double == 10 })
        #expect(((small["places"] as? [String: [String: Any]])?["repeat"]?["kl"] as? Double ?? 0) > 1e-3)
    }
}
