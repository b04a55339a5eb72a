// Checks of a compact cache: they change nothing, and a cache that lost nothing passes.

import CAKE
import Testing
import Transformer

@Suite("Cache checks")
struct CacheCheckTests {
    static let shape = TinyShape(name: "deep", layers: 3, width: 64, headWidth: 32)
    static let methods = [
        "full", "cake", "cake-reconstruct", "cake-probe", "h2o", "streamingllm", "kvzip", "tova",
    ]

    let model: Model
    let pool: WorkerPool
    let ids: [Int32]
    let places: [CheckPlace]

    init() throws {
        model = try TinyModel(Self.shape).load()
        pool = try WorkerPool(threads: 2)
        var random = TestRandom(state: 11)
        ids = random.ids(300, below: Self.shape.vocabulary)
        // Of different lengths, longer than a window too.
        places = [(20, 5, 1), (100, 40, 12), (250, 9, 30)].map { [ids] first, lead, truth in
            CheckPlace(
                lead: [3, 4] + ids[first..<first + lead],
                truth: Array(ids[first + lead - 10..<first + lead - 10 + truth]))
        }
    }

    private func prefill(_ method: String, budget: Int, checks: [CheckPlace]) throws -> DocumentPrefill {
        let method = try Method.preset(method)
        return try DocumentPrefill(
            model: model, pool: pool, tokens: ids, templatePrefixTokens: 3, method: method, budget: budget,
            instruction: [1, 2], probes: method.observation == .probe ? [[5, 6, 7], [8]] : [], checks: checks)
    }

    private func check(_ base: BaseRows, _ full: OutputRows, rowsPerStep: Int = 128) throws -> [CacheCheck.Token] {
        let decoder = try Decoder(model: model, pool: pool, maxRowsPerStep: rowsPerStep)
        let check = CacheCheck(decoder: decoder, places: places, full: full, base: base)
        while try !check.step() {}
        return check.tokens
    }

    private func contents(_ cache: CompactCache) -> (Retention, [[UInt8]]) {
        var rows: [[UInt8]] = []
        for layer in 0..<cache.layers {
            for head in 0..<cache.kvHeads {
                let entries = cache.rows(layer: layer, head: head)
                rows.append(unsafe Array(entries.keys) + Array(entries.values))
            }
        }
        return (cache.retention, rows)
    }

    @Test("what is kept does not depend on whether it is checked", arguments: methods)
    func unchanged(_ method: String) throws {
        let plain = try prefill(method, budget: 60, checks: [])
        while try !plain.step().isDone {}
        let checked = try prefill(method, budget: 60, checks: places)
        var last = 0.0
        while true {
            let progress = try checked.step()
            #expect(progress.fraction >= last && progress.fraction <= 1)
            last = progress.fraction
            if progress.isDone { break }
        }
        let (expected, found) = (contents(try plain.finish()), contents(try checked.finish()))
        #expect(found.0 == expected.0)
        #expect(found.1 == expected.1)
        #expect(try checked.checkedRows().count == 43)
    }

    @Test("a cache that lost nothing expects what the full one does, at every token", arguments: methods)
    func wholeCache(_ method: String) throws {
        let prefill = try prefill(method, budget: ids.count, checks: places)
        while try !prefill.step().isDone {}
        let (full, cache) = (try prefill.checkedRows(), try prefill.finish())
        let tokens = try check(cache.base, full)
        #expect(tokens.map(\.truth) == places.flatMap { $0.truth.map { Int($0) } })
        #expect(tokens.allSatisfy { $0.best == $0.fullBest && $0.divergence < 1e-6 })
        // However few rows a step takes.
        #expect(try check(cache.base, full, rowsPerStep: 40).map(\.best) == tokens.map(\.best))
    }

    @Test("a cache that lost most of its entries is found out, the more the smaller it is")
    func truncated() throws {
        let prefill = try prefill("streamingllm", budget: 200, checks: places)
        while try !prefill.step().isDone {}
        let (full, cache) = (try prefill.checkedRows(), try prefill.finish())
        func divergence(_ budget: Int) throws -> Double {
            let smaller = cache.truncated(
                to: try cache.retention.truncated(
                    to: budget, method: .preset("streamingllm"), templatePrefixTokens: 3))
            #expect(smaller.counts.allSatisfy { $0.allSatisfy { $0 == budget } })
            #expect(smaller.storedBytes * 200 == cache.storedBytes * budget)
            return try check(smaller.base, full).reduce(0) { $0 + $1.divergence }
        }
        let (large, small) = (try divergence(200), try divergence(8))
        #expect(large > 0 && small > large)
        #expect(cache.counts.allSatisfy { $0.allSatisfy { $0 == 200 } })
    }

    @Test("a reading that goes on from a checkpoint finds the same")
    func checkpoint() throws {
        let whole = try prefill("cake", budget: 60, checks: places)
        while try !whole.step().isDone {}
        let first = try prefill("cake", budget: 60, checks: places)
        while first.checkpointLayer != 2 { _ = try first.step() }
        var bytes: [UInt8] = []
        unsafe first.writeCheckpoint { unsafe bytes.append(contentsOf: $0) }
        let second = try prefill("cake", budget: 60, checks: places)
        var rest = bytes[...]
        try unsafe second.resume { target throws(ModelError) in
            unsafe target.copyBytes(from: rest.prefix(target.count))
            rest = rest.dropFirst(target.count)
        }
        while try !second.step().isDone {}
        let expected = try check(whole.finish().base, whole.checkedRows())
        #expect(try check(second.finish().base, second.checkedRows()) == expected)
    }

    @Test("places without a request or a continuation, or too many of them, are refused")
    func refused() throws {
        let place = CheckPlace(lead: [1], truth: [2])
        for places in [
            [CheckPlace(lead: [], truth: [2])], [CheckPlace(lead: [1], truth: [])],
            [CheckPlace(lead: [Int32(Self.shape.vocabulary)], truth: [2])],
            Array(repeating: place, count: DocumentPrefill.maximumChecks + 1),
        ] {
            #expect(throws: ModelError.self) { try prefill("cake", budget: 60, checks: places) }
        }
    }
}
