// What the observing rows saw, against the reference's attention: the branches of a reconstruction, and the window.

import CAKE
import Foundation
import Testing
import Transformer

@Suite("Observation")
struct ObservationTests {
    static let shapes = [0, 1, 3, 4].map { TinyShape.all[$0] } + [TinyShape.windows, TinyShape.sinks]
    let pool: WorkerPool

    init() throws { pool = try WorkerPool(threads: 2) }

    /// Compares the preference and every entry's indicator of a cache that keeps everything.
    private func compare(_ cache: CompactCache, with expected: [LayerObservation], tokens: Int) {
        for (layer, observation) in expected.enumerated() {
            let retained = cache.retention.layers[layer]
            #expect(abs(retained.preference - observation.preference) <= 1e-3 * observation.preference)
            for (head, entries) in retained.heads.enumerated() {
                #expect(entries.count == cache.retention.capacities?[layer] ?? cache.tokens)
                for (position, indicator) in zip(entries.positions, entries.indicators) where indicator < .infinity {
                    let wanted = observation.indicator[head * tokens + Int(position)]
                    #expect(abs(indicator - wanted) <= 1e-3 * wanted + 1e-6, "layer \(layer) token \(position)")
                }
            }
        }
    }

    @Test("a branch sees the document and itself, and its largest attention is the indicator", arguments: shapes)
    func reconstruction(_ shape: TinyShape) throws {
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 21)
        let document = random.ids(150, below: shape.vocabulary)
        let instruction: [Int32] = [3, 1, 4]
        let method = Method(
            name: "test", observation: .reconstruction(chunkRows: 64), indicator: .maximum,
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0))
        let group = shape.heads / shape.kvHeads
        var accumulators = (0..<shape.layers).map { _ in
            ObservationAccumulator(
                method: method, kvHeads: shape.kvHeads, groupWidth: group, evictableTokens: document.count)
        }
        for first in stride(from: 0, to: document.count, by: 64) {
            let branch = instruction + document[first..<min(first + 64, document.count)]
            let rows = (document + branch).enumerated().map { ($1, $0) }
            let attention = tiny.forward(rows) { _, _, row in Array(0...row) }.attention
            for layer in 0..<shape.layers {
                for head in 0..<shape.heads {
                    let seen = attention[layer][head][document.count...].flatMap {
                        $0[..<document.count].map(Float.init)
                    }
                    accumulators[layer].add(
                        queryHead: head,
                        AttentionMoments(attention: seen, rows: branch.count, columns: document.count))
                }
            }
        }
        let cache = try read(
            document, try tiny.load(), pool, method: method, budget: document.count, rows: .f32,
            instruction: instruction)
        compare(cache, with: accumulators.map { $0.finish() }, tokens: document.count)
    }

    struct Sights: Sendable, CustomTestStringConvertible {
        let reads: CAKE.Method.Sight
        let judges: CAKE.Method.Sight
        var testDescription: String { "reads \(reads), judges \(judges)" }
    }

    @Test(
        "a branch reads the sinks, its sight and itself, and judges what it shall",
        arguments: [
            Sights(reads: .document, judges: .around(tokens: 0)), Sights(reads: .around(tokens: 20), judges: .document),
            Sights(reads: .around(tokens: 20), judges: .around(tokens: 5)),
            Sights(reads: .document, judges: .chunk),
        ])
    func sights(_ sights: Sights) throws {
        let shape = TinyShape.all[1]
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 24)
        let document = random.ids(150, below: shape.vocabulary)
        let instruction: [Int32] = [3, 1, 4]
        let probes: [[Int32]] = [[7, 8, 9], [2]]
        let method = Method(
            name: "test",
            observation: .reconstruction(chunkRows: 64, reads: sights.reads, judges: sights.judges),
            indicator: .maximum, allocation: .cake(tau1: 1, tau2: 1, floorShare: 0), protectedTokens: 3)
        var accumulators = (0..<shape.layers).map { _ in
            ObservationAccumulator(
                method: method, kvHeads: shape.kvHeads, groupWidth: shape.heads / shape.kvHeads,
                evictableTokens: document.count)
        }
        func range(_ sight: CAKE.Method.Sight, _ first: Int) -> Range<Int> {
            switch sight {
            case .document: 0..<150
            case .around(let reach): max(0, first - reach)..<min(150, first + 64 + reach)
            case .chunk: first..<min(150, first + 64)
            }
        }
        let chunks = stride(from: 0, to: 150, by: 64).map { first in
            (
                ids: instruction + document[first..<min(first + 64, 150)], reads: range(sights.reads, first),
                judges: range(sights.judges, first), isRenormalised: sights.judges == .chunk
            )
        }
        for branch in chunks + probes.map({ ($0, 0..<150, 0..<150, false) }) {
            let rows = (document + branch.ids).enumerated().map { ($1, $0) }
            let attention = tiny.forward(rows) { _, _, row in
                row < 150 ? Array(0...row) : (0...row).filter { $0 < 3 || $0 >= 150 || branch.reads.contains($0) }
            }.attention
            let judged = branch.judges.clamped(to: branch.reads)
            for layer in 0..<shape.layers {
                for head in 0..<shape.heads {
                    let seen = attention[layer][head][150...].flatMap { row in
                        let sum = row.indices.filter { $0 < 3 || $0 >= 150 || judged.contains($0) }
                            .reduce(0.0) { $0 + row[$1] }
                        return judged.map { Float(branch.isRenormalised ? row[$0] / sum : row[$0]) }
                    }
                    let moments = AttentionMoments(attention: seen, rows: branch.ids.count, columns: judged.count)
                    accumulators[layer].add(
                        queryHead: head, firstToken: judged.lowerBound, rows: branch.ids.count,
                        mean: moments.mean.span, variance: moments.variance.span, maximum: moments.maximum.span,
                        entropy: moments.entropy)
                }
            }
        }
        let cache = try read(
            document, try tiny.load(), pool, method: method, budget: document.count, rows: .f32,
            instruction: instruction, probes: probes)
        compare(cache, with: accumulators.map { $0.finish() }, tokens: document.count)
    }

    @Test("every row observes what it sees", arguments: shapes)
    func everyRow(_ shape: TinyShape) throws {
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 25)
        let document = random.ids(300, below: shape.vocabulary)
        let method = Method(
            name: "test", observation: .everyRow, indicator: .accumulated, allocation: .uniform)
        let attention = tiny.forward(document).attention
        let expected = (0..<shape.layers).map { layer in
            var accumulator = ObservationAccumulator(
                method: method, kvHeads: shape.kvHeads, groupWidth: shape.heads / shape.kvHeads, evictableTokens: 300)
            for head in 0..<shape.heads {
                let seen = attention[layer][head].flatMap { $0.map(Float.init) }
                accumulator.add(
                    queryHead: head, rows: 300, AttentionMoments(attention: seen, rows: 300, columns: 300))
            }
            return accumulator.finish()
        }
        let cache = try read(document, try tiny.load(), pool, method: method, budget: 300, rows: .f32)
        compare(cache, with: expected, tokens: 300)
    }

    @Test("probes are refused where nothing branches, and missed where nothing else does") func probes() throws {
        let model = try TinyModel(TinyShape.all[0]).load()
        #expect(throws: ModelError.self) {
            try read([1, 2, 3], model, pool, method: .preset("snapkv"), budget: 3, probes: [[1]])
        }
        #expect(throws: ModelError.self) {
            try read([1, 2, 3], model, pool, method: .preset("cake-probe"), budget: 3)
        }
        #expect(throws: ModelError.self) {
            try read([1, 2, 3], model, pool, method: .preset("cake-probe"), budget: 3, probes: [[]])
        }
        #expect(throws: Never.self) {
            try read([1, 2, 3], model, pool, method: .preset("cake-probe"), budget: 3, probes: [[1]])
        }
    }

    @Test("the largest change is what forgetting an entry does to a row", arguments: shapes, [false, true])
    func change(_ shape: TinyShape, _ isWindow: Bool) throws {
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 23)
        let document = random.ids(70, below: shape.vocabulary)
        let method = Method(
            name: "test", observation: isWindow ? .window(rows: 8) : .reconstruction(chunkRows: 100),
            indicator: .largestChange(poolWidth: 1), allocation: .uniform)
        let observed = method.observedTokens(documentTokens: document.count)
        let rows = (isWindow ? document : document + document).enumerated().map { ($1, $0) }
        let reference = tiny.forward(rows) { _, _, row in Array(0...row) }
        let cache = try read(
            document, try tiny.load(), pool, method: method, budget: document.count, rows: .f32, instruction: [])
        let group = shape.heads / shape.kvHeads
        for layer in 0..<shape.layers {
            for kvHead in 0..<shape.kvHeads {
                let entries = cache.retention.layers[layer].heads[kvHead]
                for (position, indicator) in zip(entries.positions, entries.indicators) where indicator < .infinity {
                    var largest = 0.0
                    for row in observed..<rows.count {
                        for head in kvHead * group..<(kvHead + 1) * group {
                            let change = tiny.change(
                                reference, layer: layer, head: head, row: row, forgetting: Int(position))
                            largest = max(largest, change)
                        }
                    }
                    #expect(abs(Double(indicator) - largest) <= 5e-3 * largest, "layer \(layer) token \(position)")
                }
            }
        }
    }

    @Test("an entry can weigh as much as its value adds", arguments: shapes) func valueNorms(_ shape: TinyShape) throws
    {
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 26)
        let document = random.ids(150, below: shape.vocabulary)
        var method = Method(
            name: "test", observation: .window(rows: 8), indicator: .maximum, allocation: .uniform)
        let plain = try read(document, try tiny.load(), pool, method: method, budget: 150, rows: .f32)
        method.weighsValues = true
        let weighed = try read(document, try tiny.load(), pool, method: method, budget: 150, rows: .f32)
        let reference = tiny.forward(document)
        let group = shape.heads / shape.kvHeads
        for layer in 0..<shape.layers {
            for kvHead in 0..<shape.kvHeads {
                let entries = weighed.retention.layers[layer].heads[kvHead]
                for (position, indicator) in zip(entries.positions, entries.indicators) where indicator < .infinity {
                    let wanted =
                        (0..<group).map { j in
                            let head = kvHead * group + j
                            let largest =
                                (142..<150).map { reference.attention[layer][head][$0][Int(position)] }.max() ?? 0
                            return largest * tiny.norm(reference, layer: layer, head: head, value: Int(position))
                        }.max() ?? 0
                    #expect(abs(Double(indicator) - wanted) <= 1e-3 * wanted, "layer \(layer) token \(position)")
                }
                #expect(entries.positions != plain.retention.layers[layer].heads[kvHead].positions)
            }
        }
    }

    @Test("the window's rows observe what stands before them", arguments: shapes, [300, 258, 40])
    func window(_ shape: TinyShape, _ tokens: Int) throws {
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 22)
        let document = random.ids(tokens, below: shape.vocabulary)
        let method = Method(
            name: "test", observation: .window(rows: 16), indicator: .meanPlusVariance(gamma: 200, poolWidth: 5),
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0))
        let observed = tokens - 16
        let attention = tiny.forward(document).attention
        let expected = (0..<shape.layers).map { layer in
            var accumulator = ObservationAccumulator(
                method: method, kvHeads: shape.kvHeads, groupWidth: shape.heads / shape.kvHeads,
                evictableTokens: observed)
            for head in 0..<shape.heads {
                let seen = attention[layer][head][observed...].flatMap { $0[..<observed].map(Float.init) }
                accumulator.add(
                    queryHead: head, AttentionMoments(attention: seen, rows: 16, columns: observed))
            }
            return accumulator.finish()
        }
        let cache = try read(document, try tiny.load(), pool, method: method, budget: tokens, rows: .f32)
        compare(cache, with: expected, tokens: observed)
    }

    @Test("a document no longer than its window is kept whole", arguments: [1, 2, 16])
    func allWindow(_ tokens: Int) throws {
        let model = try TinyModel(TinyShape.all[0]).load()
        let cache = try read(
            [Int32](repeating: 4, count: tokens), model, pool, method: Method.preset("cake"), budget: tokens)
        #expect(cache.counts == [[tokens, tokens], [tokens, tokens]])
    }
}
