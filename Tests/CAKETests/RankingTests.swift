// One total order, whatever the indicator holds.

import CAKE
import Testing

@Suite("Ranking")
struct RankingTests {
    private let nothingKept = AlwaysKept(
        Method(name: "", observation: .none, indicator: .maximum, allocation: .uniform), tokens: 6,
        templatePrefixTokens: 0)

    @Test("ties rank by position, then by head") func ties() {
        let layer = RankedLayer(
            indicator: [1, 2, 2, 0, 1, 2, 2, 2, 0, 0, 1, 3], kvHeads: 2, alwaysKept: nothingKept, kept: 6,
            shares: .compete(safeguard: 0))
        #expect(layer.heads.map(\.positions) == [[1, 2, 5, 0, 4, 3], [5, 0, 1, 4, 2, 3]])
        // In one order: 5₁ 0₁ 1₀ 1₁ 2₀ 5₀ 0₀ 4₀ 4₁ 2₁ 3₀ 3₁
        for (kept, counts) in [(5, [5, 5]), (4, [5, 3]), (3, [3, 3]), (2, [1, 3]), (1, [0, 2]), (0, [0, 0])] {
            var cut = layer
            cut.truncate(to: kept)
            #expect(cut.heads.map(\.count) == counts, "kept \(kept)")
        }
    }

    @Test("not-a-number ranks last, infinities at the ends, and -0 is 0") func unusual() {
        let layer = RankedLayer(
            indicator: [.nan, -.infinity, -0.0, 0, .infinity, -1], kvHeads: 1, alwaysKept: nothingKept, kept: 6,
            shares: .equal)
        #expect(layer.heads[0].positions == [4, 2, 3, 5, 1, 0])
    }

    @Test("the protected start comes first, then the window, then the rest") func alwaysKept() {
        let method = Method(
            name: "", observation: .window(rows: 3), indicator: .maximum, allocation: .uniform, protectedTokens: 2,
            protectsTemplatePrefix: true)
        for (prefix, positions) in [(0, [0, 1, 7, 8, 9, 4, 3, 2, 5, 6]), (4, [0, 1, 2, 3, 7, 8, 9, 4, 5, 6])] {
            let alwaysKept = AlwaysKept(method, tokens: 10, templatePrefixTokens: prefix)
            let layer = RankedLayer(
                indicator: [9, 9, 3, 4, 5, 2, 1], kvHeads: 1, alwaysKept: alwaysKept, kept: 10 - alwaysKept.count,
                shares: .equal)
            #expect(layer.heads[0].positions.map(Int.init) == positions)
        }
    }

    @Test("the best keys are the head of a full sort", arguments: [1, 3, 1000])
    func best(levels: Int) {
        var random = Seeded(state: 5)
        for _ in 0..<200 {
            let keys = (0..<random.int(0...300)).map {
                RankKey(indicator: Float(random.int(0...levels)) / 7 - 20, index: $0)
            }
            let count = random.int(0...300)
            #expect(Array(RankKey.best(count, of: keys)) == Array(keys.sorted().prefix(count)))
        }
    }

    @Test("a safeguarded head keeps its best entries, whatever the others offer") func safeguard() {
        // Head 1 has the better entries throughout; half of the average is safe for head 0.
        let layer = RankedLayer(
            indicator: [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16], kvHeads: 2, alwaysKept: nothingKept, kept: 6,
            shares: .compete(safeguard: 0.5))
        #expect(layer.heads.map(\.positions) == [[5, 4, 3, 2, 1, 0], [5, 4, 3, 2, 1, 0]])
        for (kept, counts) in [(5, [4, 6]), (4, [2, 6]), (3, [1, 5]), (2, [1, 3]), (1, [0, 2]), (0, [0, 0])] {
            var cut = layer
            cut.truncate(to: kept)
            #expect(cut.heads.map(\.count) == counts, "kept \(kept)")
        }
    }

    @Test("a safeguarded ranking cut later is the one cut at once, and the definition's") func safeguardNested() {
        var random = Seeded(state: 31)
        for number in 0..<1000 {
            let (kvHeads, tokens) = (random.int(1...4), random.int(1...40))
            let alwaysKept = AlwaysKept(
                Method(name: "", observation: .none, indicator: .maximum, allocation: .uniform), tokens: tokens,
                templatePrefixTokens: 0)
            let levels = random.int(2...90)
            let indicator = (0..<kvHeads * tokens).map { _ in Float(random.int(0...levels)) }
            let safeguard = [0, 0.2, 0.5, 1][random.int(0...3)]
            var cut = RankedLayer(
                indicator: indicator, kvHeads: kvHeads, alwaysKept: alwaysKept, kept: tokens,
                shares: .compete(safeguard: safeguard))
            for kept in stride(from: tokens, through: 0, by: -random.int(1...5)) {
                cut.truncate(to: kept)
                let atOnce = RankedLayer(
                    indicator: indicator, kvHeads: kvHeads, alwaysKept: alwaysKept, kept: kept,
                    shares: .compete(safeguard: safeguard))
                let best = Self.safeguarded(indicator, kvHeads, kept: kept, safe: Int(safeguard * Double(kept)))
                #expect(cut.heads.map(\.positions) == atOnce.heads.map(\.positions), "draw \(number)")
                #expect(cut.heads.map { $0.positions.sorted() } == best, "draw \(number) kept \(kept)")
            }
        }
    }

    /// What is kept, `[head]`, by the definition: the best of each head are lifted above all others, then the best of
    /// all.
    private static func safeguarded(_ indicator: [Float], _ kvHeads: Int, kept: Int, safe: Int) -> [[UInt32]] {
        let tokens = indicator.count / kvHeads
        var lifted = indicator
        for head in 0..<kvHeads {
            let order = (0..<tokens).sorted {
                let (one, other) = (indicator[head * tokens + $0], indicator[head * tokens + $1])
                return one != other ? one > other : $0 < $1
            }
            for token in order.prefix(safe) { lifted[head * tokens + token] = .infinity }
        }
        let order = indicator.indices.sorted { one, other in
            lifted[one] != lifted[other]
                ? lifted[one] > lifted[other] : (one % tokens, one / tokens) < (other % tokens, other / tokens)
        }
        let best = order.prefix(kept * kvHeads)
        return (0..<kvHeads).map { head in
            best.filter { $0 / tokens == head }.map { UInt32($0 % tokens) }.sorted()
        }
    }

    @Test("agrees with a plain sort by indicator, position and head", arguments: [false, true])
    func plainSort(compete: Bool) {
        var random = Seeded(state: 9)
        for _ in 0..<500 {
            let (kvHeads, tokens) = (random.int(1...3), random.int(1...50))
            let alwaysKept = AlwaysKept(
                Method(name: "", observation: .none, indicator: .maximum, allocation: .uniform), tokens: tokens,
                templatePrefixTokens: 0)
            let indicator = (0..<kvHeads * tokens).map { _ in Float(random.int(-9...9)) }
            let kept = random.int(0...tokens)
            let layer = RankedLayer(
                indicator: indicator, kvHeads: kvHeads, alwaysKept: alwaysKept, kept: kept,
                shares: compete ? .compete(safeguard: 0) : .equal)
            let order = (0..<kvHeads * tokens).map { ($0 % tokens, $0 / tokens) }.sorted { one, other in
                let (first, second) = (indicator[one.1 * tokens + one.0], indicator[other.1 * tokens + other.0])
                return first != second ? first > second : one < other
            }
            let best = compete ? Array(order.prefix(kept * kvHeads)) : order
            for head in 0..<kvHeads {
                let own = best.filter { $0.1 == head }.map { UInt32($0.0) }
                #expect(layer.heads[head].positions == Array(own.prefix(compete ? own.count : kept)))
            }
        }
    }
}
