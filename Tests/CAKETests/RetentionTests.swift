// A smaller budget asked for later is a truncation.

import CAKE
import Testing

@Suite("Retention")
struct RetentionTests {
    @Test("a smaller budget keeps prefixes, spends every slot, and is what it had kept at once but for rounding")
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
            try #require(entries == budget * draw.observations.count * draw.kvHeads, "draw \(number)")
            for (layer, (kept, fresh)) in zip(after.layers, atOnce.layers).enumerated() {
                try #require(kept.budget == fresh.budget)
                for head in 0..<draw.kvHeads {
                    let (one, other) = (kept.heads[head].positions, fresh.heads[head].positions)
                    try #require(before.layers[layer].heads[head].positions.starts(with: one))
                    try #require(one.starts(with: other) || other.starts(with: one))
                }
                let apart = kept.heads.map(\.count).reduce(0, +) - fresh.heads.map(\.count).reduce(0, +)
                try #require(abs(apart) <= draw.kvHeads, "draw \(number)")
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
