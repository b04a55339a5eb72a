// Conversations that go on from the rows of others: the same bits, and nobody writes another's rows.

import CAKE
import Testing
import Transformer

@Suite("Tails")
struct TailTests {
    let pool: WorkerPool

    init() throws { pool = try WorkerPool(threads: 2) }

    private static let shapes = [
        TinyShape(name: "heads of 32", width: 64, headWidth: 32), TinyShape.windows, TinyShape.mixture,
    ]

    /// A conversation's tokens: a question, an answer one by one, and two questions that may follow.
    private struct Talk {
        var question: [Int32]
        var answer: [Int32]
        var next: [[Int32]]

        init(vocabulary: Int) {
            var random = TestRandom(state: 21)
            question = random.ids(70, below: vocabulary)
            answer = random.ids(9, below: vocabulary)
            next = [random.ids(40, below: vocabulary), random.ids(3, below: vocabulary)]
        }
    }

    /// Has a sequence read a question and say an answer.
    private func hold(_ talk: Talk, _ sequence: Sequence, _ decoder: Decoder) throws {
        _ = try decoder.feed(talk.question, to: sequence)
        for id in talk.answer { _ = try decoder.step([Decoder.Piece(sequence, [id])]) }
    }

    @Test(
        "whoever goes on from a tail gets the bits of the conversation that never ended, whatever others do with it",
        arguments: shapes, [nil, KVRows.f16, .q8_0, .q4])
    func continues(_ shape: TinyShape, _ rows: KVRows?) throws {
        if rows == .q8_0 || rows == .q4, shape.headWidth % 32 != 0 { return }
        let model = try TinyModel(shape).load()
        let decoder = try Decoder(model: model, pool: pool, maxRowsPerStep: 64)
        var random = TestRandom(state: 4)
        let base = try rows.map { rows in
            try read(random.ids(120, below: shape.vocabulary), model, pool, budget: 40, rows: rows).base
        }
        let talk = Talk(vocabulary: shape.vocabulary)
        func sequence(_ tail: TailRows? = nil) throws -> Sequence {
            try Sequence(model: model, base: base, tail: tail)
        }
        // Each on a conversation of its own.
        let expected = try talk.next.map { next in
            let alone = try sequence()
            try hold(talk, alone, decoder)
            return try decoder.feed(next, to: alone)
        }
        let first = try sequence()
        #expect(first.tailRows == nil)
        try hold(talk, first, decoder)
        let tail = try #require(first.tailRows)
        #expect(tail.tokens == 79 && tail.bytes > 0)
        // The first writes behind the rows, the others copy them.
        for order in [[0, 1, 0], [1, 0, 1]] {
            let sequences = try order.map { _ in try sequence(tail) }
            var last = order.map { _ in [Float]() }
            for place in 0..<40 {
                // A row each, in turn; a long question in one piece.
                for (index, sequence) in sequences.enumerated() where order[index] == 1 && place < 3 {
                    last[index] = try decoder.step([Decoder.Piece(sequence, [talk.next[1][place]])]).array(0)
                }
                for (index, sequence) in sequences.enumerated() where order[index] == 0 && place == 1 {
                    last[index] = try decoder.feed(talk.next[0], to: sequence)
                }
            }
            // The short one was read in one piece, and on its own rows, row by row.
            for (index, which) in order.enumerated() where which == 0 { #expect(last[index] == expected[0]) }
            for (index, which) in order.enumerated() where which == 1 {
                #expect(distance(last[index], expected[1].map(Double.init)) < 2e-3)
            }
        }
        // The conversation that it came from goes on as if nothing had been.
        #expect(try decoder.feed(talk.next[1], to: first) == expected[1])
        #expect(try decoder.feed(talk.next[1], to: sequence(tail)) == expected[1])
    }

    @Test("a shorter part of a tail ends where a piece ended, and what follows has the bits of a reading anew")
    func forks() throws {
        let model = try TinyModel(TinyShape.all[0]).load()
        let decoder = try Decoder(model: model, pool: pool, maxRowsPerStep: 64)
        let talk = Talk(vocabulary: 40)
        let first = try Sequence(model: model, base: nil)
        try hold(talk, first, decoder)
        let tail = try #require(first.tailRows)
        let other = Array(talk.question[..<66]) + talk.next[0]
        let expected = try decoder.feed(other, to: Sequence(model: model, base: nil))
        let fork = try Sequence(model: model, base: nil, tail: tail.prefix(64))
        #expect(fork.position == 64)
        #expect(try decoder.feed(Array(other[64...]), to: fork) == expected)
        // The rows of the tail are still those of its own conversation.
        let next = try decoder.feed(talk.next[0], to: Sequence(model: model, base: nil, tail: tail))
        #expect(try decoder.feed(talk.next[0], to: first) == next)
    }

    @Test("memory grows by half, and only what copies takes more")
    func memory() throws {
        let model = try TinyModel(TinyShape.all[0]).load()
        let decoder = try Decoder(model: model, pool: pool)
        let meter = KVMeter()
        let first = try Sequence(model: model, base: nil, meter: meter)
        _ = try decoder.feed([1, 2, 3], to: first)
        let tail = try #require(first.tailRows)
        let bytes = meter.currentBytes
        let second = try Sequence(model: model, base: nil, tail: tail, meter: meter)
        _ = try decoder.feed([4], to: second)
        #expect(meter.currentBytes == bytes)
        _ = try decoder.feed([5], to: first)
        #expect(meter.currentBytes == 2 * bytes)
        #expect(second.tailRows?.bytes == tail.bytes && second.tailRows?.tokens == 4)
    }
}
