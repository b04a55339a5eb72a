// Presets, budgets at their limits, and what is refused.

import CAKE
import Testing

@Suite("Method")
struct MethodTests {
    private func cascade(_ method: Method, tokens: Int, prefix: Int = 0, budget: Int) throws -> Cascade {
        try Cascade(
            method: method, layers: 2, kvHeads: 2, tokens: tokens, templatePrefixTokens: prefix, budget: budget)
    }

    private func retention(
        _ method: Method, tokens: Int, prefix: Int = 0, budget: Int, preferences: [Double] = [1, 3]
    ) throws -> Retention {
        var cascade = try cascade(method, tokens: tokens, prefix: prefix, budget: budget)
        let values = 2 * method.observedTokens(documentTokens: tokens)
        for preference in preferences {
            _ = cascade.add(
                LayerObservation(
                    entropy: 1, variance: 1, preference: preference,
                    indicator: (0..<values).map { Float($0 * 7 % 13) }))
        }
        return cascade.finish()
    }

    @Test("every preset is found by its name") func presets() throws {
        #expect(
            Method.presetNames == [
                "full", "cake", "cake-global", "cake-reconstruct", "cake-reconstruct-max", "cake-probe", "snapkv",
                "pyramidkv", "adakv", "streamingllm", "h2o", "tova", "kvzip",
            ])
        for name in Method.presetNames { #expect(try Method.preset(name).name == name) }
        #expect(Method.presetNames.contains(Method.defaultPreset))
    }

    @Test("an unknown preset is refused with the names there are") func unknownPreset() {
        let error = CAKEError.unknownPreset(name: "pie", known: Method.presetNames)
        #expect(throws: error) { try Method.preset("pie") }
        let names = Method.presetNames.joined(separator: ", ")
        #expect(error.description == "unknown method \"pie\"; use one of: \(names)")
    }

    @Test("an effort changes what is read and judged again, and is found by its name") func effort() throws {
        let best = try Method.preset("cake-reconstruct")
        #expect(best.with(effort: .best) == best)
        let fast = best.with(effort: .fast)
        #expect(fast.name == "cake-reconstruct:fast")
        #expect(
            fast.observation
                == .reconstruction(chunkRows: 512, reads: .around(tokens: 512), judges: .around(tokens: 0)))
        #expect(try Method.preset("cake-reconstruct:fast") == fast)
        let balanced = try Method.preset("cake-reconstruct:balanced")
        #expect(balanced.observation == .reconstruction(chunkRows: 512, reads: .around(tokens: 1024)))
        #expect(fast.with(effort: .balanced) == balanced && balanced.with(effort: .best) == best)
        for name in ["cake", "kvzip", "full"] {
            #expect(try Method.preset(name).with(effort: .fast) == Method.preset(name))
            #expect(throws: CAKEError.self) { try Method.preset(name + ":fast") }
        }
        for name in ["cake-reconstruct:", "cake-reconstruct:slow", ":fast", "cake-reconstruct:fast:fast"] {
            #expect(throws: CAKEError.self) { try Method.preset(name) }
        }
    }

    @Test("tuned exponents replace the preset's and nothing else") func tuned() throws {
        let tuned = try #require(try Method.preset("cake").tuned(model: "llama3.1-8b", budget: 1024))
        #expect(tuned.allocation == .cake(tau1: 1.6, tau2: 0.4, floorShare: 0))
        #expect(tuned.observation == .window(rows: 32))
        #expect(try Method.preset("cake").tuned(model: "llama3.1-8b", budget: 512) == nil)
        #expect(try Method.preset("full").tuned(model: "llama3.1-8b", budget: 1024) == nil)
    }

    @Test("full keeps every entry in position order, whatever the budget", arguments: [0, 5, 50, 5000])
    func full(budget: Int) throws {
        var cascade = try cascade(.preset("full"), tokens: 50, budget: budget)
        _ = cascade.add(.none)
        _ = cascade.add(.none)
        let result = cascade.finish()
        let heads = result.layers.flatMap(\.heads)
        #expect(heads.count == 4 && heads.allSatisfy { $0.positions == Array(0..<50) })
        #expect(!result.preferenceFellBack)
    }

    @Test(
        "a share of a document is rounded up, never below what is kept in any case, never above the document",
        arguments: [(10.0, 1000, 100), (10.0, 1001, 101), (1.0, 1000, 32), (100.0, 1000, 1000), (10.0, 20, 20)])
    func share(percent: Double, tokens: Int, budget: Int) throws {
        #expect(try Method.preset("cake").budget(keepingPercent: percent, tokens: tokens) == budget)
        #expect(try Method.preset("full").budget(keepingPercent: percent, tokens: tokens) == tokens)
    }

    @Test("a budget of the whole document evicts nothing but still ranks", arguments: ["cake", "cake-reconstruct"])
    func wholeBudget(preset: String) throws {
        let method = try Method.preset(preset)
        let result = try retention(method, tokens: 80, prefix: 6, budget: 80)
        for head in result.layers.flatMap(\.heads) {
            #expect(head.positions.sorted() == Array(0..<80))
            #expect(head.positions != Array(0..<80))
            #expect(zip(head.indicators, head.indicators.dropFirst()).allSatisfy { $0 >= $1 })
        }
    }

    @Test("a document within the window is kept whole", arguments: [1, 10, 31, 32])
    func withinWindow(tokens: Int) throws {
        let method = try Method.preset("cake")
        #expect(method.observedTokens(documentTokens: tokens) == 0)
        let result = try retention(method, tokens: tokens, budget: 1, preferences: [0, 0])
        #expect(result.counts == [[tokens, tokens], [tokens, tokens]])
        #expect(result.layers[0].heads[0].positions == Array(0..<UInt32(tokens)))
        #expect(!result.preferenceFellBack)
    }

    @Test("the window counts in the budget") func windowInBudget() throws {
        let result = try retention(.preset("cake"), tokens: 100, budget: 40)
        // 16 evictable slots a head besides the window of 32, as 1 to 3.
        #expect(result.counts == [[36, 36], [44, 44]])
        #expect(result.layers[1].heads[0].positions.prefix(32) == Array(68..<100)[...])
    }

    @Test("the template prefix and the first tokens are kept and count") func protected() throws {
        let method = try Method.preset("cake-reconstruct")
        for (prefix, kept) in [(0, 4), (3, 4), (9, 9)] {
            let result = try retention(method, tokens: 100, prefix: prefix, budget: kept)
            #expect(result.layers.flatMap(\.heads).allSatisfy { $0.positions == Array(0..<UInt32(kept)) })
            #expect(method.smallestBudget(tokens: 100, templatePrefixTokens: prefix) == kept)
        }
    }

    @Test("a floor feeds a starved layer") func floor() throws {
        let result = try retention(
            .preset("cake-reconstruct"), tokens: 400, budget: 104, preferences: [1e-9, 1])
        #expect(result.layers.map(\.budget) == [24, 184])
        #expect(result.counts.map { $0.reduce(0, +) } == [48, 368])
    }

    struct Degenerate: Sendable {
        let preferences: [Double]
        let budgets: [Double]
    }

    @Test(
        "unusable preferences fall back to the average, and say so",
        arguments: [
            Degenerate(preferences: [0, 0], budgets: [50, 50]),
            Degenerate(preferences: [.nan, .nan], budgets: [50, 50]),
            Degenerate(preferences: [1, .infinity], budgets: [50, 50]),
            Degenerate(preferences: [.nan, 0], budgets: [50, 50]),
            Degenerate(preferences: [-1, 2], budgets: [50, 50]),
            Degenerate(preferences: [1e300, 1], budgets: [50, 50]),
            Degenerate(preferences: [.leastNonzeroMagnitude, .leastNonzeroMagnitude], budgets: [50, 50]),
        ])
    func degenerate(_ example: Degenerate) throws {
        let result = try retention(
            .preset("cake"), tokens: 100, budget: 50, preferences: example.preferences)
        #expect(result.layers.map(\.budget) == example.budgets)
        #expect(result.preferenceFellBack)
    }

    @Test("a zero preference among others is no fallback") func zeroPreference() throws {
        let result = try retention(.preset("cake"), tokens: 100, budget: 50, preferences: [0, 2])
        #expect(result.layers.map(\.budget) == [32, 68])
        #expect(!result.preferenceFellBack)
    }

    @Test("an empty document is refused") func emptyDocument() throws {
        for name in Method.presetNames {
            #expect(throws: CAKEError.emptyDocument) { try cascade(.preset(name), tokens: 0, budget: 1) }
        }
    }

    @Test("a budget that does not fit is refused with one that does") func budgets() throws {
        let cake = try Method.preset("cake")
        #expect(throws: CAKEError.budgetTooSmall(budget: 31, smallest: 32)) {
            try cascade(cake, tokens: 100, budget: 31)
        }
        #expect(throws: CAKEError.budgetAboveDocument(budget: 101, tokens: 100)) {
            try cascade(cake, tokens: 100, budget: 101)
        }
        #expect(throws: CAKEError.budgetTooSmall(budget: 0, smallest: 1)) {
            try cascade(cake, tokens: 20, budget: 0)
        }
        #expect(throws: CAKEError.budgetTooSmall(budget: -5, smallest: 12)) {
            try cascade(.preset("cake-reconstruct"), tokens: 100, prefix: 12, budget: -5)
        }
        #expect(throws: Never.self) { try cascade(cake, tokens: 100, budget: 32) }
        let error = CAKEError.budgetTooSmall(budget: 31, smallest: 32)
        #expect(error.description == "a budget of 31 entries is below what is always kept; use at least 32")
    }

    @Test("the smallest budget of a document works, one less does not", arguments: ["cake", "cake-reconstruct"])
    func smallestBudget(preset: String) throws {
        let method = try Method.preset(preset)
        for tokens in [33, 40, 100] {
            let smallest = method.smallestBudget(tokens: tokens, templatePrefixTokens: 7)
            #expect(throws: Never.self) { try cascade(method, tokens: tokens, prefix: 7, budget: smallest) }
            #expect(throws: CAKEError.self) { try cascade(method, tokens: tokens, prefix: 7, budget: smallest - 1) }
        }
    }
}
