// Theorem 1 with caps, floors, competing heads and degenerate preferences: cascading changes nothing.

import CAKE
import Testing

@Suite("Cascade")
struct CascadeTests {
    @Test("equals one-shot in 10,000 draws, stages nested and no slot unspent") func equalsOneShot() throws {
        var random = Seeded(state: 2503_12491)
        var seen = (
            capped: 0, floored: 0, fellBack: 0, allKept: 0, ragged: 0, evicted: 0, global: 0, guarded: 0,
            safeguarded: 0, windows: 0
        )
        for number in 0..<10_000 {
            let draw = Draw(&random)
            var cascade = try draw.cascade()
            var stages: [Cascade.Stage] = []
            for observation in draw.observations {
                // Going on from what is known between two layers changes nothing either.
                var resumed = try draw.cascade()
                resumed.resume(cascade.progress)
                cascade = resumed
                stages.append(cascade.add(observation))
            }
            let result = cascade.finish()
            let oracle = try draw.oneShot()
            try #require(result.layers.map(\.heads) == oracle.layers.map(\.heads), "draw \(number): \(draw)")
            try #require(result.layers.map(\.budget) == oracle.layers.map(\.budget), "draw \(number)")
            try #require(result.preferenceFellBack == oracle.preferenceFellBack)
            try #require(areNested(stages, result), "draw \(number): \(draw)")

            let entries = result.counts.joined().reduce(0, +)
            try #require(draw.spends(entries, budget: draw.budget), "draw \(number): \(draw)")
            try #require(liesInWindows(result, draw), "draw \(number): \(draw)")

            if draw.isAllKept { seen.allKept += 1 }
            if draw.capacities != nil { seen.windows += 1 }
            if draw.budget < draw.tokens, result.layers.contains(where: { $0.budget == Double(draw.tokens) }) {
                seen.capped += 1
            }
            if case .cake(_, _, let share) = draw.method.allocation, share > 0, draw.budget < draw.tokens {
                seen.floored += 1
            }
            if case .global = draw.method.allocation { seen.global += 1 }
            if case .guardedGlobal = draw.method.allocation { seen.guarded += 1 }
            if case .compete(let safeguard) = draw.method.heads, safeguard > 0 { seen.safeguarded += 1 }
            if result.preferenceFellBack { seen.fellBack += 1 }
            if result.counts.contains(where: { Set($0).count > 1 }) { seen.ragged += 1 }
            if zip(stages, result.counts).contains(where: { $0.heads.map(\.count) != $1 }) { seen.evicted += 1 }
        }
        // The draws reach the corners they are for.
        #expect(seen.capped > 500 && seen.floored > 1500 && seen.fellBack > 300)
        #expect(seen.global > 1000 && seen.guarded > 1000 && seen.safeguarded > 2000)
        #expect(seen.windows > 2000)
        #expect(seen.allKept > 100 && seen.ragged > 2000 && seen.evicted > 4000)
    }

    /// Whether no layer keeps what later rows do not see.
    private func liesInWindows(_ result: Retention, _ draw: Draw) -> Bool {
        guard let capacities = draw.capacities else { return true }
        return zip(result.layers, capacities).allSatisfy { layer, capacity in
            layer.heads.allSatisfy { $0.positions.allSatisfy { Int($0) >= draw.tokens - capacity } }
        }
    }

    /// Whether counts never grow and every later stage, and the result, keeps a prefix of what an earlier one kept.
    private func areNested(_ stages: [Cascade.Stage], _ result: Retention) -> Bool {
        for (number, stage) in stages.enumerated() {
            guard stage.layer == number, stage.counts.count == number + 1 else { return false }
            guard stage.counts[number] == stage.heads.map(\.count) else { return false }
            let next = number + 1 < stages.count ? stages[number + 1].counts : result.counts
            for (counts, later) in zip(stage.counts, next) where zip(counts, later).contains(where: { $0 < $1 }) {
                return false
            }
            for (head, kept) in zip(stage.heads, result.layers[number].heads) {
                guard head.positions.starts(with: kept.positions) else { return false }
                guard head.indicators.starts(with: kept.indicators) else { return false }
            }
        }
        return true
    }

    @Test("holds no more than the budget while cascading") func bound() throws {
        var random = Seeded(state: 7)
        for _ in 0..<500 {
            let draw = Draw(&random)
            guard !draw.isAllKept else { continue }
            var cascade = try draw.cascade()
            for observation in draw.observations {
                let stage = cascade.add(observation)
                let budget = draw.budget * draw.observations.count * draw.kvHeads
                let kept = stage.counts.joined().reduce(0, +)
                try #require(kept <= budget)
            }
        }
    }

    @Test("a uniform layer is cut to its final size at once") func uniform() throws {
        let method = Method(
            name: "uniform", observation: .window(rows: 2), indicator: .maximum, allocation: .uniform)
        var cascade = try Cascade(
            method: method, layers: 3, kvHeads: 1, tokens: 10, templatePrefixTokens: 0, budget: 4)
        let first = cascade.add(
            LayerObservation(entropy: 1, variance: 1, preference: 9, indicator: [1, 5, 2, 8, 3, 0, 0, 0]))
        #expect(first.heads[0].positions == [8, 9, 3, 1])
        #expect(first.heads[0].indicators == [.infinity, .infinity, 8, 5])
    }

    @Test("layers evict as later ones claim their share") func stages() throws {
        let method = Method(
            name: "cake", observation: .window(rows: 1), indicator: .maximum,
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0))
        var cascade = try Cascade(
            method: method, layers: 3, kvHeads: 1, tokens: 9, templatePrefixTokens: 0, budget: 3)
        func layer(_ preference: Double) -> LayerObservation {
            LayerObservation(
                entropy: 1, variance: 1, preference: preference, indicator: [0, 1, 2, 3, 4, 5, 6, 7])
        }
        // Six evictable slots besides a window of one: 6; 4.5 and 1.5, a tie; 3, 1 and 2.
        #expect(cascade.add(layer(3)).counts == [[7]])
        #expect(cascade.add(layer(1)).counts == [[6], [2]])
        #expect(cascade.add(layer(2)).counts == [[4], [2], [3]])
        let result = cascade.finish()
        #expect(result.layers.map { $0.heads[0].positions } == [[8, 7, 6, 5], [8, 7], [8, 7, 6]])
        #expect(result.layers.map(\.budget) == [4, 2, 3])
    }
}
