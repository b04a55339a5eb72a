// The model that ships with the program: golden logits and answers, and the memory a long document takes.

import CAKE
import Foundation
import GGUF
import Testing
import Transformer

@Suite("Bundled model")
struct BundledModelTests {
    /// One prompt with the logits and the greedy continuation of the original implementation (PyTorch, float32).
    private struct Golden: Decodable {
        let name: String
        let ids: [Int32]
        let top: [[Double]]
        let greedy: [Int32]
    }

    let pool: WorkerPool
    let f32: Model
    let q8_0: Model
    private let goldens: [Golden]

    init() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        pool = try WorkerPool(threads: 2)
        f32 = try Model(file: GGUFFile(path: root.appending(path: "Tests/Fixtures/needle-4m-f32.gguf").path))
        q8_0 = try Model(file: GGUFFile(path: root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path))
        goldens = try JSONDecoder().decode(
            [Golden].self, from: Data(contentsOf: root.appending(path: "Tests/Fixtures/golden.json")))
    }

    private func golden(_ name: String) throws -> Golden { try #require(goldens.first { $0.name == name }) }

    /// The prompt's logits, then as many greedy tokens as the golden answer has.
    private func answer(_ golden: Golden, _ model: Model, rows: KVRows) throws -> (logits: [Float], ids: [Int32]) {
        let decoder = try Decoder(model: model, pool: pool)
        let sequence = try Sequence(model: model, base: nil, rows: rows)
        var sampler = try Sampler()
        let prompt = try decoder.feed(golden.ids, to: sequence)
        var ids: [Int32] = []
        var logits = prompt
        while true {
            ids.append(try sampler.next(logits: logits.span))
            if ids.count == golden.greedy.count { return (prompt, ids) }
            logits = try decoder.feed([ids[ids.count - 1]], to: sequence)
        }
    }

    @Test("the float model has the original's logits and answers", arguments: ["short", "500", "2000"])
    func goldenFloats(_ name: String) throws {
        let golden = try golden(name)
        let (logits, ids) = try answer(golden, f32, rows: .f32)
        for pair in golden.top { #expect(abs(Double(logits[Int(pair[0])]) - pair[1]) < 2e-3) }
        #expect(ids == golden.greedy)
        #expect(try f32.logits(ids: golden.ids, pool: pool) == logits)
    }

    @Test("the quantised model gives the original's answers", arguments: ["short", "500", "2000"])
    func goldenQuantised(_ name: String) throws {
        let golden = try golden(name)
        #expect(try answer(golden, q8_0, rows: .f32).ids == golden.greedy)
        #expect(try answer(golden, q8_0, rows: .f16).ids == golden.greedy)
    }

    @Test(
        "products of bytes hardly move the next token's distribution", .needsByteProducts, arguments: ["short", "500"])
    func divergence(_ name: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let path = root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path
        let models = [q8_0, try Model(file: GGUFFile(path: path), integerProducts: false)]
        let decoders = try models.map { try Decoder(model: $0, pool: pool) }
        let sequences = try models.map { try Sequence(model: $0, base: nil, rows: .f32) }
        let ids = try golden(name).ids
        var total = 0.0
        for id in ids {
            let p = try zip(decoders, sequences).map { decoder, sequence in
                logProbabilities(try decoder.step([Decoder.Piece(sequence, [id])]).array(0))
            }
            total += zip(p[1], p[0]).reduce(0.0) { $0 + exp($1.0) * ($1.0 - $1.1) }
        }
        // Nats; 2.4e-4 and 1.3e-4 where this was written.
        #expect(total / Double(ids.count) < 5e-4)
    }

    private func logProbabilities(_ logits: [Float]) -> [Double] {
        let peak = Double(logits.max() ?? 0)
        let sum = logits.reduce(0.0) { $0 + exp(Double($1) - peak) }
        return logits.map { Double($0) - peak - log(sum) }
    }

    @Test("a document read layer by layer gives the answers of one prompt", arguments: ["short", "500", "2000"])
    func throughCache(_ name: String) throws {
        let golden = try golden(name)
        let split = golden.ids.count - 10
        let cache = try read(
            Array(golden.ids[..<split]), f32, pool, method: Method.preset("full"), budget: split, rows: .f32)
        let decoder = try Decoder(model: f32, pool: pool)
        let logits = try decoder.feed(
            Array(golden.ids[split...]), to: Sequence(model: f32, base: cache.base))
        for pair in golden.top { #expect(abs(Double(logits[Int(pair[0])]) - pair[1]) < 2e-3) }
    }

    @Test(
        "KV memory peaks at the budget and one layer", arguments: ["cake", "cake-global"],
        [KVRows.f16, .q8_0, .q4])
    func peak(_ name: String, _ rows: KVRows) throws {
        let tokens = 4_096
        let budget = tokens / 10
        let text = try Array(repeating: golden("2000").ids, count: 3).flatMap(\.self)
        let cache = try read(
            Array(text[..<tokens]), q8_0, pool, method: Method.preset(name), budget: budget, rows: rows,
            instruction: Array(text[..<16]))
        let shape = q8_0.configuration
        func bytes(_ rows: KVRows, _ entries: Int) -> Int {
            shape.kvHeads * rows.bytes(entries: entries, headWidth: shape.headWidth)
        }
        let layer = bytes(rows.growing, tokens)
        let kept = shape.layers * bytes(rows, budget)
        // A chunk's own keys and values come on top, stored as they grow.
        let chunk = Double(layer + shape.layers * bytes(rows.growing, budget)) * 0.05
        #expect(Double(cache.peakKVBytes) <= Double(layer + kept) + chunk)
        #expect(cache.peakKVBytes > layer)
        #expect(cache.counts.joined().reduce(0, +) == budget * shape.layers * shape.kvHeads)
        // Ragged heads share no groups: each may end inside one.
        let ends = rows == .q4 ? shape.kvHeads * shape.layers * 4 * shape.headWidth : 0
        #expect((kept - ends...kept + ends).contains(cache.storedBytes))
    }
}
