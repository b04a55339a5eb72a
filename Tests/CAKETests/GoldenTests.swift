// The paper's quantities against float32 values of the authors' code.

import CAKE
import Testing

@Suite("Golden values of the released code")
struct GoldenTests {
    private func close(_ one: Double, _ other: Double) -> Bool {
        abs(one - other) <= 1e-4 * max(abs(one), abs(other))
    }

    @Test("the fixture holds six cases") func sixCases() {
        #expect(GoldenCase.all.map(\.name) == ["mild", "tau", "mha", "mqa", "capped", "short"])
    }

    @Test("entropy, variance, preference and indicator agree to 1e-4", arguments: GoldenCase.all)
    func observation(_ golden: GoldenCase) {
        for layer in 0..<golden.layers {
            let observed = golden.observation(layer: layer)
            #expect(close(observed.entropy, golden.entropy[layer]))
            #expect(close(observed.variance, golden.variance[layer]))
            #expect(close(observed.preference, golden.preference[layer]))
            let expected = golden.goldenIndicator(layer)
            #expect(observed.indicator.count == golden.kvHeads * golden.observed)
            #expect(expected.count == observed.indicator.count)
            let apart = zip(observed.indicator, expected).count { !close(Double($0), Double($1)) }
            #expect(apart == 0)
        }
    }

    @Test("at the released budgets the kept sets are the released ones, up to ties", arguments: GoldenCase.all)
    func keptSets(_ golden: GoldenCase) throws {
        let ranking = try golden.retention(budget: golden.tokens)
        for (layer, heads) in golden.keptReleasedOneshot.enumerated() {
            let indicator = golden.goldenIndicator(layer)
            for (head, released) in heads.enumerated() {
                let ours = Set(ranking.layers[layer].heads[head].positions.prefix(released.count))
                let theirs = Set(released)
                let disputed = ours.symmetricDifference(theirs).map { position in
                    Double(indicator[head * golden.observed + Int(position)])
                }
                if let low = disputed.min(), let high = disputed.max() { #expect(close(low, high)) }
                #expect(ours.count == theirs.count)
            }
        }
    }

    @Test(
        "where no layer is capped, budgets are the released ones within a token",
        arguments: ["mild", "tau", "mha", "mqa"])
    func budgets(_ name: String) throws {
        let golden = try #require(GoldenCase.all.first { $0.name == name })
        let retention = try golden.retention(budget: golden.cacheSize)
        #expect(!retention.preferenceFellBack)
        for (counts, released) in zip(retention.counts, golden.budgetsReleasedOneshot) {
            #expect(counts.allSatisfy { abs($0 - released) <= 1 })
        }
        #expect(retention.counts.joined().reduce(0, +) == golden.cacheSize * golden.layers * golden.kvHeads)
    }

    // Worked by hand from P: layers 1 and 2 hold all 104, the other 48 of 256 go to layers 0 and 3 as 0.1156 to 0.2353.
    @Test("a capped layer's surplus goes to the others in proportion") func capped() throws {
        let golden = try #require(GoldenCase.all.first { $0.name == "capped" })
        let counts = try golden.retention(budget: golden.cacheSize).counts
        #expect(counts == [[32, 32], [120, 120], [120, 120], [48, 48]])
    }

    // The released code evicts nothing when the prompt is at most budget + window; here the budget is what is kept.
    @Test("a budget holds for a short prompt, too") func short() throws {
        let golden = try #require(GoldenCase.all.first { $0.name == "short" })
        #expect(try golden.retention(budget: golden.cacheSize).counts == [[48, 48], [61, 61], [83, 83]])
        #expect(try golden.retention(budget: golden.tokens).counts == [[90, 90], [90, 90], [90, 90]])
    }
}
