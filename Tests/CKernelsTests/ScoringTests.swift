// What becomes of scores before the softmax, against double precision: soft caps, windows, and a score for nothing.

import CKernels
import Foundation
import Testing

/// A cap and a window, as kernels are told of them.
struct Scoring {
    var cap: Float = 0
    /// Of the entries; nil: from `firstPosition` on.
    var positions: [UInt32]?
    var firstPosition = 0
    /// Of the first row.
    var oldest: Int

    /// What a score becomes; nil where the row does not see the entry.
    func score(_ score: Double, entry: Int, row: Int) -> Double? {
        let position = positions.map { Int($0[entry]) } ?? firstPosition + entry
        guard position >= oldest + row else { return nil }
        return cap == 0 ? score : Double(cap) * tanh(score / Double(cap))
    }

    /// Lends it for the entries from `first` on.
    func withPointer<Result>(
        from first: Int, heads: Int = 1, _ body: (UnsafePointer<caked_scoring>?) -> Result
    ) -> Result {
        let rest = Array((positions ?? []).dropFirst(first)) + [0]
        return unsafe rest.withUnsafeBufferPointer { rest in
            var scoring = unsafe caked_scoring(
                cap: cap, positions: positions == nil ? nil : rest.baseAddress, first_position: firstPosition + first,
                oldest: oldest, heads: heads)
            return unsafe body(&scoring)
        }
    }

    /// Entries in the order of their ranks: positions from 0 to 999 in any order.
    static func ranked(_ count: Int) -> [UInt32] { (0..<count).map { UInt32($0 * 617 % 1_000) } }

    static func all(_ count: Int, rows: Int) -> [Scoring] {
        [
            Scoring(cap: 1.5, oldest: -100_000), Scoring(firstPosition: 40, oldest: 55 - rows),
            Scoring(cap: 2, firstPosition: 100_000, oldest: 100_000 + count / 2),
            Scoring(positions: ranked(count), oldest: 400), Scoring(cap: 0.5, positions: ranked(count), oldest: 930),
            // Nothing is seen by the later rows.
            Scoring(positions: ranked(count), oldest: 999),
        ]
    }
}

@Suite struct ScoringTests {
    @Test(
        "attention of few rows caps scores, and sees nothing that stands before a row's window",
        arguments: Variant.available, EntryFormat.allCases)
    func attend(variant: Variant, format: EntryFormat) throws {
        for (count, rows, heads) in [(5, 1, 1), (131, 6, 2), (80, 37, 3), (200, 40, 1)] {
            let example = AttentionTests.Case(format, count: count, width: 64, rows: rows)
            for scoring in Scoring.all(count, rows: rows) {
                let out = try #require(
                    variant.run { () -> [Float] in
                        var state = Attention(rows: rows, width: 64)
                        state.attend(
                            format, keys: example.keys, values: example.values, count: count, q: example.q,
                            scoring: scoring, heads: heads)
                        return state.finished()
                    })
                let expected = example.expected(scoring: scoring, heads: heads)
                #expect(distance(out, expected) <= AttentionTests.bound(variant, format), "\(count), \(scoring)")
            }
        }
    }

    @Test("and so does blockwise attention, in one call or several", arguments: Variant.available)
    func blockwise(variant: Variant) throws {
        for example in BlockExample.all where example.count > 1 {
            for scoring in Scoring.all(example.count, rows: example.rows) {
                let expected = example.expected(scoring)
                for (precision, bound) in [(CAKED_FLOAT, 4e-6), (CAKED_BFLOAT, 1.5e-2)] {
                    for cuts in [[], [64]] where cuts.last ?? 0 <= example.count {
                        let found = try #require(
                            variant.run { example.computed(precision, cuts: cuts, scoring: scoring) })
                        #expect(distance(found.out, expected.out) <= bound, "\(scoring)")
                        for (sum, wanted) in zip(found.logSums, expected.logSums) where wanted > -.infinity {
                            #expect(abs(Double(sum) - wanted) <= 2 * bound, "\(scoring)")
                        }
                    }
                }
            }
        }
    }

    @Test("a head's score for nothing takes its share of the weights", arguments: Variant.available)
    func sinks(variant: Variant) throws {
        for example in BlockExample.all {
            let sinks = (0..<example.group).map { Float($0) * 3 - 1 }
            let expected = example.expected(sinks: sinks)
            for (precision, bound) in [(CAKED_FLOAT, 2e-6), (CAKED_BFLOAT, 1e-2)] {
                let found = try #require(variant.run { example.computed(precision, sinks: sinks) })
                #expect(distance(found.out, expected.out) <= bound)
                #expect(distance(found.logSums, expected.logSums) <= bound * 2)
            }
        }
    }

    @Test("observed attention counts what a row does not see as 0", arguments: Variant.available)
    func observed(variant: Variant) throws {
        for (rows, count) in [(3, 20), (60, 64), (130, 33)] {
            let example = BlockExample(.f16, width: 64, rows: rows, group: 2, count: count, firstSeen: count)
            for scoring in Scoring.all(count, rows: rows) {
                let scores = example.scores(scoring).map { $0[0] }
                let logSums = scores.map { Float(log($0.reduce(1) { $0 + ($1.map { exp($0) } ?? 0) })) }
                let a = (0..<count).map { key in
                    (0..<rows).map { row in scores[row][key].map { exp($0 - Double(logSums[row])) } ?? 0 }
                }
                let found = try #require(
                    variant.run {
                        BlockTests.observe(example, CAKED_FLOAT, logSums: logSums, scoring: scoring)
                    })
                #expect(distance(found.mean, a.map { $0.reduce(0, +) / Double(rows) }) <= 1e-5, "\(scoring)")
                #expect(distance(found.maximum, a.map { $0.max() ?? 0 }) <= 1e-5, "\(scoring)")
                let entropy = a.joined().reduce(0.0) { $0 - ($1 > 0 ? $1 * Foundation.log($1) : 0) }
                #expect(abs(found.entropy - entropy) <= 1e-5 * max(1, entropy))
            }
        }
    }
}
