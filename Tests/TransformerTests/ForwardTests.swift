// The forward pass against the double-precision reference, and what must not change its results.

import CAKE
import GGUF
import Testing
import Transformer

@Suite("Forward pass")
struct ForwardTests {
    let pool: WorkerPool

    init() throws { pool = try WorkerPool(threads: 2) }

    @Test("computes what the reference computes", arguments: TinyShape.all)
    func reference(_ shape: TinyShape) throws {
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 7)
        let ids = random.ids(70, below: shape.vocabulary)
        let expected = tiny.forward(ids).logits
        let model = try tiny.load()
        // All at once takes the dense products, one by one those from the stored weights.
        #expect(distance(try model.logits(ids: ids, pool: pool), expected[69]) < 2e-4)
        let decoder = try Decoder(model: model, pool: pool)
        let sequence = try Sequence(model: model, base: nil, rows: .f32)
        for (index, id) in ids.enumerated() {
            let logits = try decoder.step([Decoder.Piece(sequence, [id])]).array(0)
            #expect(distance(logits, expected[index]) < 2e-4, "row \(index)")
        }
    }

    @Test(
        "a sequence gets the same logits alone and in any company", arguments: [TinyShape.all[0], TinyShape.mixture],
        [nil, TensorType.q8_0])
    func batch(_ shape: TinyShape, _ type: TensorType?) throws {
        var shape = shape
        // Wide enough for whole blocks, and for products of bytes.
        if type != nil { (shape.width, shape.headWidth, shape.feedForwardWidth) = (64, 32, 96) }
        var tiny = TinyModel(shape)
        if let type { tiny.store([type]) }
        let model = try tiny.load()
        let decoder = try Decoder(model: model, pool: pool, maxRowsPerStep: 200)
        var random = TestRandom(state: 3)
        // Pieces on both sides of the border between stored and dense products, and of a split by rows.
        let prompts = [1, 40, 7, 2, 33, 9, 1].map { random.ids($0, below: 40) }
        func sequences() throws -> [Sequence] { try prompts.map { _ in try Sequence(model: model, base: nil) } }
        let alone = try sequences()
        let together = try sequences()
        for round in 0..<3 {
            let pieces = prompts.map { round == 0 ? $0 : [$0[0] + Int32(round)] }
            let expected = try zip(alone, pieces).map { try decoder.step([Decoder.Piece($0, $1)]).array(0) }
            let logits = try decoder.step(zip(together, pieces).map { Decoder.Piece($0, $1) })
            for index in prompts.indices { #expect(logits.array(index) == expected[index]) }
        }
    }

    @Test("a sequence that asks for no logits changes nobody's")
    func withoutLogits() throws {
        let model = try TinyModel(TinyShape.all[0]).load()
        let decoder = try Decoder(model: model, pool: pool)
        let one = try Sequence(model: model, base: nil)
        let expected = try decoder.step([Decoder.Piece(one, [1, 2, 3])]).array(0)
        let silent = try Sequence(model: model, base: nil)
        let other = try Sequence(model: model, base: nil)
        let logits = try decoder.step([
            Decoder.Piece(silent, [4, 5], needsLogits: false), Decoder.Piece(other, [1, 2, 3]),
        ])
        #expect(logits.array(1) == expected)
        #expect(silent.position == 2)
    }

    @Test("where a router says no numbers, logits are none")
    func noNumbers() throws {
        for value in [Float.nan, .infinity] {
            var tiny = TinyModel(TinyShape.mixture)
            for index in tiny.tensors.indices where tiny.tensors[index].name.contains("ffn_gate_inp") {
                tiny.tensors[index].values = tiny.tensors[index].values.map { _ in value }
            }
            let logits = try tiny.load().logits(ids: Array(0..<40), pool: pool)
            #expect(logits.allSatisfy { $0.isNaN })
        }
    }

    @Test("results are the same for every number of threads", arguments: [TinyShape.all[0], TinyShape.mixture])
    func threads(_ shape: TinyShape) throws {
        let model = try TinyModel(shape).load()
        var random = TestRandom(state: 5)
        let ids = random.ids(400, below: 40)
        let results = try [1, 2, 3].map { threads in
            let pool = try WorkerPool(threads: threads)
            let cache = try read(ids, model, pool, budget: 100)
            let decoder = try Decoder(model: model, pool: pool)
            let sequence = try Sequence(model: model, base: cache.base)
            let question = try decoder.feed(Array(ids[..<40]), to: sequence)
            let next = try decoder.feed([3], to: sequence)
            return ThreadResult(
                retention: cache.retention.counts, preferences: cache.retention.layers.map(\.preference),
                positions: cache.retention.layers.map { $0.heads.map(\.positions) }, question: question, next: next)
        }
        #expect(results[1] == results[0])
        #expect(results[2] == results[0])
    }

    private struct ThreadResult: Equatable {
        var retention: [[Int]]
        var preferences: [Double]
        var positions: [[[UInt32]]]
        var question: [Float]
        var next: [Float]
    }

    @Test("refuses a step before anything has changed")
    func refusedSteps() throws {
        let tiny = TinyModel(TinyShape(name: "short context", contextLength: 8))
        let model = try tiny.load()
        let decoder = try Decoder(model: model, pool: pool, maxRowsPerStep: 6)
        let sequence = try Sequence(model: model, base: nil)
        let other = try Sequence(model: try tiny.load(), base: nil)
        #expect(throws: ModelError.emptyPrompt) { try decoder.step([Decoder.Piece(sequence, [])]) }
        #expect(throws: ModelError.tokenOutOfRange(40, vocabulary: 40)) {
            try decoder.step([Decoder.Piece(sequence, [40])])
        }
        #expect(throws: ModelError.tokenOutOfRange(-1, vocabulary: 40)) {
            try decoder.step([Decoder.Piece(sequence, [-1])])
        }
        #expect(throws: ModelError.self) { try decoder.step([]) }
        #expect(throws: ModelError.self) {
            try decoder.step([Decoder.Piece(sequence, [1]), Decoder.Piece(sequence, [1])])
        }
        #expect(throws: ModelError.self) { try decoder.step([Decoder.Piece(sequence, Array(repeating: 1, count: 7))]) }
        #expect(throws: ModelError.self) { try decoder.step([Decoder.Piece(other, [1])]) }
        #expect(sequence.position == 0)
        _ = try decoder.step([Decoder.Piece(sequence, [1, 2, 3, 4, 5, 6])])
        #expect(throws: ModelError.contextExceeded(tokens: 9, contextLength: 8)) {
            try decoder.step([Decoder.Piece(sequence, [1, 2, 3])])
        }
        #expect(sequence.position == 6)
        _ = try decoder.step([Decoder.Piece(sequence, [1, 2])])
        #expect(sequence.remainingTokens == 0)
    }
}
