// A smaller budget asked for later is a truncation.

import CAKE
import Testing

@Suite("Retention")
struct RetentionTests {
    @Test("a smaller budget keeps prefixes, spends every slot, and is exactly what it had kept at once")
    func truncated() throws {
        var random = Seeded(state: 21)
        var smaller = 0
        for number in 0..<2000 {
            let draw = Draw(&random)
            guard !draw.isAllKept else { continue }
            var cascade = try draw.cascade()
            for observation in draw.observations { _ = cascade.add(observation) }
            let before = cascade.finish()
            let smallest = draw.method.smallestBudget(tokens: draw.tokens, templatePrefixTokens: draw.prefix)
            let budget = random.int(smallest...draw.budget)
            let after = try before.truncated(to: budget, method: draw.method, templatePrefixTokens: draw.prefix)
            let atOnce = try draw.oneShot(budget: budget)

            let entries = after.counts.joined().reduce(0, +)
            try #require(draw.spends(entries, budget: budget), "draw \(number)")
            let areEqual =
                after.layers.map(\.heads) == atOnce.layers.map(\.heads)
                && after.layers.map(\.budget) == atOnce.layers.map(\.budget)
                && after.preferenceFellBack == atOnce.preferenceFellBack
            try #require(areEqual, "draw \(number): \(draw.method), \(draw.budget) to \(budget)")
            for (layer, kept) in after.layers.enumerated() {
                for (head, entries) in kept.heads.enumerated() {
                    try #require(before.layers[layer].heads[head].positions.starts(with: entries.positions))
                }
            }
            if budget < draw.budget { smaller += 1 }
        }
        #expect(smaller > 1000)
    }

    @Test("a document kept in full is not truncated") func full() throws {
        var cascade = try Cascade(
            method: .preset("full"), layers: 1, kvHeads: 1, tokens: 9, templatePrefixTokens: 0, budget: 9)
        _ = cascade.add(.none)
        let retention = cascade.finish()
        #expect(try retention.truncated(to: 3, method: .preset("full"), templatePrefixTokens: 0) == retention)
    }
}
