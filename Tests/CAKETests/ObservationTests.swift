// Moments, indicators and preference, worked by hand; tiles and chunks gather to the same.

import CAKE
import Testing

@Suite("Observation")
struct ObservationTests {
    @Test("moments of two rows") func moments() {
        let moments = AttentionMoments(attention: [0.5, 0.25, 0, 0.25, 0.25, 0.5], rows: 2, columns: 3)
        #expect(moments.mean == [0.375, 0.25, 0.25])
        #expect(moments.variance == [0.03125, 0, 0.125])
        #expect(moments.maximum == [0.5, 0.25, 0.5])
        // 2 · ½ ln 2 + 3 · ¼ ln 4
        #expect(abs(moments.entropy - 1.732868) < 1e-6)
    }

    @Test("one row has no variance") func oneRow() {
        #expect(AttentionMoments(attention: [0.5, 0.5], rows: 1, columns: 2).variance == [0, 0])
    }

    @Test("pools with zeros beyond the ends, which count") func pooling() {
        #expect(
            Pooling.average([5, 10, 15, 20, 25, 30, 5, 0, 0, 0, 0, 0], rowLength: 6, width: 5)
                == [6, 10, 15, 20, 18, 15, 1, 1, 1, 0, 0, 0])
        #expect(Pooling.average([1, 2, 3], rowLength: 3, width: 1) == [1, 2, 3])
    }

    private func moments(_ random: inout Seeded, rows: Int, columns: Int) -> AttentionMoments {
        AttentionMoments(
            attention: (0..<rows * columns).map { _ in Float.random(in: 0..<1, using: &random) / Float(columns) },
            rows: rows, columns: columns)
    }

    @Test("the variance is taken per query head, the mean over the group after it") func group() {
        let method = Method(
            name: "", observation: .window(rows: 2), indicator: .meanPlusVariance(gamma: 8, poolWidth: 1),
            allocation: .cake(tau1: 2, tau2: 0.5, floorShare: 0))
        var accumulator = ObservationAccumulator(method: method, kvHeads: 2, groupWidth: 2, evictableTokens: 1)
        for (head, attention) in [[0.5, 0], [0, 0.5], [0.25, 0.25], [0, 0]].enumerated() {
            accumulator.add(
                queryHead: head, AttentionMoments(attention: attention.map { Float($0) }, rows: 2, columns: 1))
        }
        let observation = accumulator.finish()
        // Means ¼ ¼ ¼ 0, variances ⅛ ⅛ 0 0.
        #expect(observation.indicator == [1.25, 0.125])
        #expect(observation.variance == 0.25)
        #expect(abs(observation.entropy - 1.386294) < 1e-6)
        // √H · V²
        #expect(abs(observation.preference - 0.0735881) < 1e-6)
    }

    @Test("tiles of keys gather to what the whole row gives", arguments: ["cake", "cake-reconstruct", "cake-global"])
    func tiles(preset: String) throws {
        let method = try Method.preset(preset)
        var random = Seeded(state: 3)
        var whole = ObservationAccumulator(method: method, kvHeads: 2, groupWidth: 2, evictableTokens: 61)
        var tiled = whole
        for head in 0..<4 {
            let moments = moments(&random, rows: 5, columns: 61)
            whole.add(queryHead: head, moments)
            for first in stride(from: 0, to: 61, by: 16) {
                let tile = first..<min(61, first + 16)
                tiled.add(
                    queryHead: head, firstToken: first, mean: Array(moments.mean[tile]).span,
                    variance: Array(moments.variance[tile]).span, maximum: Array(moments.maximum[tile]).span,
                    entropy: moments.entropy * Double(tile.count) / 61)
            }
        }
        let (one, other) = (whole.finish(), tiled.finish())
        #expect(one.indicator == other.indicator && one.indicator.count == 122)
        #expect(abs(one.variance - other.variance) < 1e-12 && abs(one.entropy - other.entropy) < 1e-9)
        #expect(one.variance > 0 && one.entropy > 0)
        #expect(abs(one.preference - one.entropy * one.variance) < 1e-12)
    }

    @Test("chunks: variance within each, summed; the largest attention of all") func chunks() throws {
        let method = try Method.preset("cake-reconstruct-max")
        var accumulator = ObservationAccumulator(method: method, kvHeads: 1, groupWidth: 2, evictableTokens: 2)
        // Between the chunks attention differs, within a chunk only the last one's does.
        for (head, attention) in [(0, [0.5, 0, 0.5, 0]), (0, [0, 0.25, 0, 0.25]), (1, [0.125, 0, 0.125, 0.5])] {
            accumulator.add(
                queryHead: head, AttentionMoments(attention: attention.map { Float($0) }, rows: 2, columns: 2))
        }
        let observation = accumulator.finish()
        #expect(observation.indicator == [0.5, 0.5])
        #expect(observation.variance == 0.125)
    }

    @Test("the largest change is averaged over its neighbours, twice") func change() {
        let method = Method(
            name: "", observation: .reconstruction(chunkRows: 8), indicator: .largestChange(poolWidth: 3),
            allocation: .uniform)
        var accumulator = ObservationAccumulator(method: method, kvHeads: 1, groupWidth: 2, evictableTokens: 3)
        let none: [Float] = [0, 0, 0]
        for (head, changes) in [(0, [3, 0, 6]), (1, [0, 9, 0])] as [(Int, [Float])] {
            accumulator.add(
                queryHead: head, firstToken: 0, mean: none.span, variance: none.span, maximum: changes.span, entropy: 0)
        }
        // Once: 4, 6, 5.
        #expect(accumulator.finish().indicator == [10.0 / 3, 5, 11.0 / 3])
    }

    @Test("the largest attention is averaged over its neighbours, of which each counts half the next nearer one")
    func halving() throws {
        var accumulator = ObservationAccumulator(
            method: try .preset("cake-global"), kvHeads: 2, groupWidth: 1, evictableTokens: 4)
        let none: [Float] = [0, 0, 0, 0]
        for (head, largest) in [(0, [0.5, 0, 0, 0.25]), (1, [0, 1, 0, 0])] as [(Int, [Float])] {
            accumulator.add(
                queryHead: head, firstToken: 0, mean: none.span, variance: none.span, maximum: largest.span, entropy: 0)
        }
        let expected: [Float] = [0.5, 0.3125, 0.25, 0.25, 0.5, 1, 0.5, 0.25]
        #expect(zip(accumulator.finish().indicator, expected).allSatisfy { abs($0 - $1 / 2.5) < 1e-7 })
    }

    @Test("values weigh every kind of score", arguments: ["snapkv", "tova", "h2o", "kvzip"]) func weights(
        preset: String
    ) throws {
        var method = try Method.preset(preset)
        if case .meanPlusVariance = method.indicator { method.indicator = .meanPlusVariance(gamma: 0, poolWidth: 1) }
        var plain = ObservationAccumulator(method: method, kvHeads: 1, groupWidth: 1, evictableTokens: 3)
        var weighed = plain
        let moments = AttentionMoments(attention: [0.5, 0.25, 0, 0.25, 0.25, 0.5], rows: 2, columns: 3)
        plain.add(queryHead: 0, rows: 2, moments)
        let norms: [Float] = [1, 2, 4]
        weighed.add(
            queryHead: 0, firstToken: 0, rows: 2, mean: moments.mean.span, variance: moments.variance.span,
            maximum: moments.maximum.span, entropy: moments.entropy, valueNorms: norms.span)
        let (one, other) = (plain.finish(), weighed.finish())
        #expect(other.indicator == zip(one.indicator, norms).map { $0 * $1 } && one.indicator.contains { $0 > 0 })
        #expect(one.entropy == other.entropy && one.variance == other.variance)
    }

    @Test("a method that observes nothing has no indicator") func none() throws {
        let accumulator = ObservationAccumulator(
            method: try .preset("full"), kvHeads: 2, groupWidth: 2, evictableTokens: 9)
        #expect(accumulator.finish() == LayerObservation.none)
    }
}
