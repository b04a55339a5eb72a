// The bounds of what is kept of conversations, and what a prompt gets of it.

import CacheStore
import Inference
import Testing

@Suite struct KeptTailsTests {
    private typealias Tails = KeptTails<String>

    private func document(_ generation: UInt64 = 1, budget: Int = 100, read: Int = 100) throws -> TailOrigin.Document {
        TailOrigin.Document(
            key: try DocumentKey(owner: 1, name: "d"), writing: Writing(generation: generation, budget: budget),
            budget: read)
    }

    /// A tail of tokens that were fed alone, save for `runs`.
    private func tail(_ tokens: [Int32], runs: [Range<Int>] = [], bytes: Int = 0, _ rows: String = "") -> Tails.Tail {
        Tails.Tail(tokens: tokens, runs: runs, bytes: bytes, rows: rows)
    }

    /// What a prompt gets: the rows' name and how many.
    private func taken(_ tails: inout Tails, _ prompt: [Int32], _ origin: TailOrigin) -> String? {
        tails.take(for: prompt, of: origin).map { "\($0.tail.rows) \($0.tokens)" }
    }

    private let anna = TailOrigin(user: 1)
    private let ben = TailOrigin(user: 2)

    @Test(
        "a prompt takes as many tokens as are alike, in whole runs, and reads one at least",
        arguments: [
            ([1, 2, 3, 4, 5, 6, 7], 6), ([1, 2, 3, 4, 5, 9, 9], 5), ([1, 2, 3, 4, 5, 6], 5),
            // Inside the run of the first four, and behind it.
            ([1, 2, 3, 9], 0), ([1, 2, 3, 4, 9], 4), ([1, 2, 3, 4], 0), ([9, 2, 3, 4, 5], 0), ([1], 0),
        ] as [([Int32], Int)])
    func prefixes(_ prompt: [Int32], _ tokens: Int) {
        var tails = Tails(limitBytes: 1000)
        tails.keep(tail([1, 2, 3, 4, 5, 6], runs: [0..<4], "a"), of: anna)
        #expect(taken(&tails, prompt, anna) == (tokens == 0 ? nil : "a \(tokens)"))
        #expect(tails.hits == (tokens == 0 ? 0 : 1) && tails.savedTokens == tokens)
    }

    @Test("a prompt takes the tail that spares it most, of those with its own origin")
    func origins() throws {
        var tails = Tails(limitBytes: 1000)
        let whole = TailOrigin(user: 1, document: try document())
        let others = try [
            ben, anna, TailOrigin(user: 2, document: document()), TailOrigin(user: 1, document: document(2)),
            TailOrigin(user: 1, document: document(budget: 50)), TailOrigin(user: 1, document: document(read: 50)),
        ]
        tails.keep(tail([1, 2], "short"), of: whole)
        tails.keep(tail([1, 2, 3, 4, 9], "long"), of: whole)
        tails.keep(tail([1, 2, 3, 7], "other"), of: whole)
        for origin in others { #expect(taken(&tails, [1, 2, 3, 4, 5], origin) == nil) }
        #expect(taken(&tails, [1, 2, 3, 4, 5], whole) == "long 4")
        #expect(taken(&tails, [1, 2, 3, 7, 5], whole) == "other 4")
        #expect(taken(&tails, [1, 2, 8], whole)?.hasSuffix(" 2") == true)
    }

    @Test("a tail takes the place of those that it goes on from, and of no others")
    func replaced() {
        var tails = Tails(limitBytes: 1000)
        tails.keep(tail([1, 2], bytes: 10), of: anna)
        tails.keep(tail([1, 2, 3], bytes: 20, "b"), of: anna)
        #expect(tails.count == 1 && tails.bytes == 32)
        // One that another goes on from already is there.
        tails.keep(tail([1, 2], bytes: 10), of: anna)
        #expect(tails.count == 1 && tails.bytes == 32)
        tails.keep(tail([1, 2, 4], bytes: 20), of: anna)
        tails.keep(tail([1, 2, 3], bytes: 20), of: ben)
        #expect(tails.count == 3 && tails.bytes == 96)
        tails.keep(tail([1, 2, 3], bytes: 40, "c"), of: anna)
        #expect(tails.count == 3 && tails.bytes == 116)
        #expect(taken(&tails, [1, 2, 3, 5], anna) == "c 3")
    }

    @Test("the least recently used goes first, and a use is a use")
    func leastRecentlyUsed() {
        var tails = Tails(limitBytes: 3 * 14)
        for first in 1...3 { tails.keep(tail([Int32(first)], bytes: 10, "\(first)"), of: anna) }
        #expect(taken(&tails, [1, 9], anna) == "1 1")
        tails.keep(tail([4], bytes: 10, "4"), of: anna)
        #expect(taken(&tails, [2, 9], anna) == nil)
        for first in [1, 3, 4] { #expect(taken(&tails, [Int32(first), 9], anna) == "\(first) 1") }
        #expect(tails.bytes == 3 * 14)
    }

    @Test("where there is no room left, who holds most loses")
    func shares() {
        var tails = Tails(limitBytes: 60)
        tails.keep(tail([1], bytes: 16, "ben"), of: ben)
        for first in 1...20 { tails.keep(tail([Int32(first)], bytes: 6, "\(first)"), of: anna) }
        #expect(taken(&tails, [1, 9], ben) == "ben 1")
        #expect(tails.bytes == 60 && tails.count == 5)
        // The newcomer gets an equal share from the one who holds most.
        let carl = TailOrigin(user: 3)
        for first in 1...20 { tails.keep(tail([Int32(first)], bytes: 6, "carl \(first)"), of: carl) }
        #expect(taken(&tails, [1, 9], ben) == "ben 1")
        #expect(taken(&tails, [20, 9], anna) == "20 1" && taken(&tails, [19, 9], anna) == "19 1")
        #expect(taken(&tails, [20, 9], carl) == "carl 20 1" && taken(&tails, [19, 9], carl) == "carl 19 1")
        #expect(tails.bytes <= 60)
    }

    @Test("one that finds no room within its user's share pushes out nothing")
    func tooLarge() {
        var tails = Tails(limitBytes: 60)
        tails.keep(tail([1], bytes: 26, "ben"), of: ben)
        tails.keep(tail([1], bytes: 6, "small"), of: anna)
        for bytes in [41, 60, 1000] { tails.keep(tail([2], bytes: bytes, "large"), of: anna) }
        #expect(taken(&tails, [2, 9], anna) == nil)
        #expect(taken(&tails, [1, 9], anna) == "small 1" && taken(&tails, [1, 9], ben) == "ben 1")
        var none = Tails(limitBytes: 0)
        none.keep(tail([1]), of: anna)
        #expect(none.count == 0)
    }

    @Test("there are never more than a search walks over")
    func bounded() {
        var tails = Tails(limitBytes: .max)
        for first in 0..<Int32(Tails.mostTails + 10) { tails.keep(tail([first], bytes: 1), of: anna) }
        #expect(tails.count == Tails.mostTails && tails.bytes == 5 * Tails.mostTails)
        #expect(taken(&tails, [9, 9], anna) == nil && taken(&tails, [10, 9], anna) == " 1")
    }

    @Test("what stands on something that is gone is dropped")
    func dropped() throws {
        var tails = Tails(limitBytes: 1000)
        let (old, new) = (
            TailOrigin(user: 1, document: try document(1)), TailOrigin(user: 1, document: try document(2))
        )
        for origin in [anna, old, new] { tails.keep(tail([1], bytes: 10), of: origin) }
        tails.drop { $0.document?.writing.generation == 1 }
        #expect(tails.count == 2 && tails.bytes == 28)
        #expect(taken(&tails, [1, 2], old) == nil && taken(&tails, [1, 2], new) == " 1")
    }
}
