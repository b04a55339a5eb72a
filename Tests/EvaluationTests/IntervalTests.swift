// Intervals against published values and by simulation, and scores in pairs.

import Evaluation
import Testing

@Suite("Intervals") struct IntervalTests {
    @Test(
        "Wilson's interval",
        arguments: [
            // Worked out from the formula.
            (81, 263, 0.2553, 0.3662), (0, 10, 0, 0.2775), (10, 10, 0.7225, 1), (1, 2, 0.0945, 0.9055), (0, 0, 0, 1),
        ] as [(Int, Int, Double, Double)])
    func wilson(successes: Int, trials: Int, low: Double, high: Double) {
        let interval = Interval.wilson(successes: successes, of: trials)
        #expect(abs(interval.low - low) < 6e-5 && abs(interval.high - high) < 6e-5, "\(interval)")
    }

    @Test("a ratio of shares on the same questions covers the true ratio about 95 times of 100")
    func coverage() throws {
        var random = Draw(seed: 1)
        var covered = 0
        let rounds = 2_000
        for _ in 0..<rounds {
            // Of 100 questions the second answers 90 %, the first 95 % of those and a tenth of the others.
            var (both, first, second) = (0, 0, 0)
            for _ in 0..<100 {
                let isSecond = random.below(1_000) < 900
                let isFirst = random.below(1_000) < (isSecond ? 950 : 100)
                both += isFirst && isSecond ? 1 : 0
                first += isFirst && !isSecond ? 1 : 0
                second += isSecond && !isFirst ? 1 : 0
            }
            let interval = try #require(Interval.pairedRatio(both: both, onlyFirst: first, onlySecond: second))
            let truth = (0.9 * 0.95 + 0.1 * 0.1) / 0.9
            covered += (interval.low...interval.high).contains(truth) ? 1 : 0
        }
        #expect((0.935...0.975).contains(Double(covered) / Double(rounds)), "\(covered) of \(rounds)")
    }

    @Test("extremes of a ratio")
    func extremes() throws {
        #expect(Interval.pairedRatio(both: 0, onlyFirst: 0, onlySecond: 0) == nil)
        let same = try #require(Interval.pairedRatio(both: 300, onlyFirst: 0, onlySecond: 0))
        #expect(same.low > 0.98 && same.low < 1 && same.high > 1 && same.high < 1.02)
        let none = try #require(Interval.pairedRatio(both: 0, onlyFirst: 0, onlySecond: 5))
        #expect(none.low == 0 && none.high < 1)
        #expect(Interval.pairedRatio(both: 0, onlyFirst: 5, onlySecond: 0)?.high == .infinity)
    }

    @Test("scores by kind, and as a share of another setting's")
    func scores() throws {
        var (full, compact) = (Scores(), Scores())
        for index in 0..<10 {
            full.add(index < 8 ? 1 : 0, kind: index.isMultiple(of: 2) ? "even" : "odd")
            compact.add(index < 4 ? 1 : 0, kind: index.isMultiple(of: 2) ? "even" : "odd")
        }
        #expect(full.mean == 0.8)
        #expect(compact.meanByKind == ["even": 0.4, "odd": 0.4])
        #expect(compact.share(of: full) == 0.5)
        #expect(compact.shareInterval(of: full) == Interval.pairedRatio(both: 4, onlyFirst: 0, onlySecond: 4))
        #expect(compact.interval == Interval.wilson(successes: 4, of: 10))
        #expect(Scores().interval == nil && Scores().share(of: full) == nil)
    }

    @Test("scores that are neither right nor wrong are resampled")
    func fractions() throws {
        var (full, compact) = (Scores(), Scores())
        for index in 0..<40 {
            full.add(0.5 + 0.01 * Double(index), kind: "")
            compact.add(0.25 + 0.005 * Double(index), kind: "")
        }
        let interval = try #require(compact.interval)
        #expect(interval.low > 0.32 && interval.low < compact.mean && compact.mean < interval.high)
        let share = try #require(compact.shareInterval(of: full))
        #expect(abs(share.low - 0.5) < 1e-12 && abs(share.high - 0.5) < 1e-12)
    }

    @Test(
        "rank correlation, ties at their mean rank",
        arguments: [
            ([1, 2, 3, 4], [10, 20, 30, 40], 1), ([1, 2, 3, 4], [4, 3, 2, 1], -1),
            // 1 − 6 Σd²/(n(n² − 1)) with d² = 1, 1, 0, 0.
            ([1, 2, 3, 4], [2, 1, 3, 4], 0.8),
            // Ranks 0.5 0.5 2 3 against 0 1 2 3: 4.5 / √(4.5 · 5).
            ([1, 1, 2, 3], [1, 2, 3, 4], 0.948_683_298), ([1, 1], [1, 2], nil), ([], [], nil),
        ] as [([Double], [Double], Double?)])
    func spearman(x: [Double], y: [Double], expected: Double?) {
        let found = RankCorrelation.spearman(x, y)
        #expect((found == nil) == (expected == nil))
        #expect(abs((found ?? 0) - (expected ?? 0)) < 1e-8)
    }
}
