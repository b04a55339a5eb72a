// The benches end, and say in JSON what they were asked: not how fast anything is.

import Foundation
import TestDaemon
import Testing

@Suite struct BenchTests {
    private func report(_ arguments: [String]) throws -> [String: Any] {
        let outcome = try run(Project.program("cakebench"), arguments + ["--runs", "1", "--json"])
        try #require(outcome.status == 0, "\(outcome.errors)")
        return try #require(try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    }

    private func rows(_ arguments: [String]) throws -> [[String: Any]] {
        try #require(try report(arguments)["rows"] as? [[String: Any]])
    }

    private let model = ["--model", Project.model]

    @Test(
        "decode measures an empty context, a compact cache and the full one, random or read",
        arguments: [([], 51), (["--read"], 51), (["--rows", "q8_0"], 30)])
    func decode(more: [String], entries: Int) throws {
        let rows = try rows(["decode", "--tokens", "300", "--length", "2"] + model + more)
        #expect(rows.map { $0["entries"] as? Int } == [0, entries, 300])
        #expect(rows.allSatisfy { ($0["limit_milliseconds"] as? Double ?? 0) > 0 })
    }

    @Test("batch measures every number of conversations")
    func batch() throws {
        let rows = try rows(
            ["batch", "--tokens", "300", "--entries", "30", "--sizes", "1", "3", "--length", "2"] + model)
        #expect(rows.map { $0["conversations"] as? Int } == [1, 3])
    }

    @Test("crowd times a question beside every crowd")
    func crowd() throws {
        let rows = try rows(["crowd", "--crowds", "0", "1", "9", "--words", "50", "--answer", "4"] + model)
        #expect(rows.map { $0["crowd"] as? Int } == [0, 1, 9])
        #expect(rows.allSatisfy { $0["to_one"] is Double })
    }

    @Test("a reload says the same to the bit from the map, also after its pages were dropped")
    func reload() throws {
        let report = try report(["reload", "--tokens", "300", "--question", "8"] + model)
        #expect(report["logits_bit_identical"] as? Bool == true)
        #expect(report["dropped"] != nil)
    }

    @Test("kernels measures every weight type, few rows and many, and attention")
    func kernels() throws {
        let rows = try rows([
            "kernels", "--rows", "1", "33", "--inputs", "256", "--outputs", "32", "--keys", "64", "--threads", "1",
            "--streamed", "1",
        ])
        #expect(rows.count == 16 * 2 + 4)
        #expect(Set(rows.compactMap { $0["kernel"] as? String }).count == 16 + 4)
    }

    @Test("the roofline predicts reading and decoding from the limits, and prefill its memory")
    func roofline() throws {
        let rows = try rows(["roofline", "--tokens", "64", "--depths", "0", "100", "--length", "2"] + model)
        let predicted = rows.compactMap { $0["predicted_milliseconds"] as? Double }
        #expect(predicted.count == 3 && predicted.allSatisfy { $0 > 0 })
        #expect(predicted[2] > predicted[1], "a cache costs something")

        let prefill = try report(["prefill", "--tokens", "300", "--method", "cake"] + model)
        let memory = try #require(prefill["memory"] as? [String: Any])
        #expect((memory["peak_to_promised"] as? Double ?? 0) > 0.5)
    }
}
