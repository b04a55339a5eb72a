// Each preset against what its peers' own code keeps: Fixtures/presets.json, made by Fixtures/presets.py.

import CAKE
import Foundation
import Testing

/// One preset on one case; queries and keys are drawn as the script draws them.
private struct PresetCase: Decodable, Sendable, CustomTestStringConvertible {
    let `case`: String
    let preset: String
    let seed: UInt64
    let layers: Int
    let heads: Int
    let kvHeads: Int
    let tokens: Int
    let width: Int
    let budget: Int
    /// Document tokens per chunk of a repeat.
    let chunk: Int?
    /// Given instead of observed.
    let preferences: [Double]?
    /// Positions, `[layer][head]`.
    let kept: [[[UInt32]]]

    var testDescription: String { "\(preset), \(`case`), \(preferences ?? [])" }
    var groupWidth: Int { heads / kvHeads }

    static let all: [PresetCase] = {
        let path = Bundle.module.resourceURL?.appendingPathComponent("Fixtures/presets.json").path ?? ""
        let json = FileManager.default.contents(atPath: path) ?? Data()
        return (try? JSONDecoder().decode([PresetCase].self, from: json)) ?? []
    }()

    /// The generator of the script: a counter, so that any stretch can be drawn alone.
    func uniform(_ first: Int, _ count: Int) -> [Float] {
        (0..<count).map { index in
            var random = Seeded(state: (seed + UInt64(first + index)) &* 0x9e37_79b9_7f4a_7c15)
            return Float(random.next() >> 40) / Float(1 << 23) - 1
        }
    }

    /// Queries of a layer's query head, the document's rows and then the repeat's.
    func queries(_ layer: Int, _ head: Int) -> [Float] {
        let count = 2 * tokens * width
        return uniform((layer * heads + head) * count, count).map { $0 * 4 }
    }

    /// Keys likewise, of the KV head that serves a query head.
    func keys(_ layer: Int, _ head: Int) -> [Float] {
        let count = 2 * tokens * width
        return uniform(layers * heads * count + (layer * kvHeads + head / groupWidth) * count, count)
    }

    /// Softmax attention of one row over the given keys.
    func attention(_ query: [Float], _ row: Int, _ key: [Float], over seen: [Int]) -> [Float] {
        let scores = seen.map { other in
            (0..<width).reduce(Float(0)) { $0 + query[row * width + $1] * key[other * width + $1] }
                / Float(width).squareRoot()
        }
        let peak = scores.max() ?? 0
        let weights = scores.map { Float(exp(Double($0 - peak))) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }
}

@Suite("Presets of the peers")
struct PresetTests {
    @Test("the fixture has every rival on three cases") func complete() {
        let rivals = Set(Method.presetNames).subtracting(["full", "cake", "cake-reconstruct-max", "cake-probe"])
        #expect(Set(PresetCase.all.map(\.preset)) == rivals)
        #expect(PresetCase.all.count == 39)
    }

    @Test("keeps what the peers keep", arguments: PresetCase.all)
    private func kept(_ fixture: PresetCase) throws {
        let method = try Method.preset(fixture.preset)
        var cascade = try Cascade(
            method: method, layers: fixture.layers, kvHeads: fixture.kvHeads, tokens: fixture.tokens,
            templatePrefixTokens: 0, budget: fixture.budget)
        for layer in 0..<fixture.layers { _ = cascade.add(observation(fixture, method, layer)) }
        let retention = cascade.finish()
        #expect(retention.layers.map { $0.heads.map { $0.positions.sorted() } } == fixture.kept)
    }

    private func observation(_ fixture: PresetCase, _ method: CAKE.Method, _ layer: Int) -> LayerObservation {
        guard method.observation != .none else { return .none }
        var accumulator = ObservationAccumulator(
            method: method, kvHeads: fixture.kvHeads, groupWidth: fixture.groupWidth,
            evictableTokens: method.observedTokens(documentTokens: fixture.tokens))
        if let preferences = fixture.preferences {
            addChanges(fixture, layer, to: &accumulator)
            var observation = accumulator.finish()
            observation.preference = preferences[layer]
            return observation
        }
        for head in 0..<fixture.heads {
            if let chunk = fixture.chunk {
                addRepeat(fixture, chunk: chunk, layer: layer, head: head, to: &accumulator)
            } else {
                addRows(fixture, method, layer: layer, head: head, to: &accumulator)
            }
        }
        return accumulator.finish()
    }

    /// The document's own rows: the window, or all.
    private func addRows(
        _ fixture: PresetCase, _ method: CAKE.Method, layer: Int, head: Int,
        to accumulator: inout ObservationAccumulator
    ) {
        let (query, key) = (fixture.queries(layer, head), fixture.keys(layer, head))
        let observed = method.observedTokens(documentTokens: fixture.tokens)
        let rows = method.observation == .everyRow ? 0..<fixture.tokens : observed..<fixture.tokens
        let attention = rows.flatMap { row -> [Float] in
            let weights = fixture.attention(query, row, key, over: Array(0...row))
            return Array((weights + [Float](repeating: 0, count: fixture.tokens)).prefix(observed))
        }
        accumulator.add(
            queryHead: head, rows: rows.count,
            AttentionMoments(attention: attention, rows: rows.count, columns: observed))
    }

    /// The repeat in chunks, as KVzip judges it: over the first four tokens, the chunk, and itself.
    private func addRepeat(
        _ fixture: PresetCase, chunk: Int, layer: Int, head: Int, to accumulator: inout ObservationAccumulator
    ) {
        let (query, key) = (fixture.queries(layer, head), fixture.keys(layer, head))
        for first in stride(from: 4, to: fixture.tokens, by: chunk) {
            let source = first..<min(first + chunk, fixture.tokens)
            let own = fixture.tokens + first
            let attention = source.flatMap { token in
                let row = fixture.tokens + token
                let seen = Array(0..<4) + Array(source) + Array(own...row)
                return fixture.attention(query, row, key, over: seen)[4..<4 + source.count]
            }
            let moments = AttentionMoments(attention: attention, rows: source.count, columns: source.count)
            accumulator.add(
                queryHead: head, firstToken: first, rows: source.count, mean: moments.mean.span,
                variance: moments.variance.span, maximum: moments.maximum.span, entropy: moments.entropy)
        }
    }

    /// Changes that are drawn, not observed.
    private func addChanges(_ fixture: PresetCase, _ layer: Int, to accumulator: inout ObservationAccumulator) {
        let none = [Float](repeating: 0, count: fixture.tokens)
        for head in 0..<fixture.kvHeads {
            let changes = fixture.uniform(7 + (layer * fixture.kvHeads + head) * fixture.tokens, fixture.tokens)
                .map { $0 * $0 }
            accumulator.add(
                queryHead: head * fixture.groupWidth, firstToken: 0, mean: none.span, variance: none.span,
                maximum: changes.span, entropy: 0)
        }
    }
}
