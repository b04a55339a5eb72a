// The reference cases: inputs and float32 results of the authors' released code.

import CAKE
import Foundation
import Testing

/// One case of `Fixtures/cake-golden.json`, with its arrays read from `cake-golden.f32`.
struct GoldenCase: Decodable, Sendable, CustomTestStringConvertible {
    struct Block: Decodable, Sendable {
        let offset: Int
        let count: Int
    }

    let name: String
    let layers: Int
    let heads: Int
    let kvHeads: Int
    let headDim: Int
    let tokens: Int
    let window: Int
    let cacheSize: Int
    let tau1: Double
    let tau2: Double
    let gamma: Float
    let entropy: [Double]
    let variance: [Double]
    let preference: [Double]
    let budgetsReleasedOneshot: [Int]
    let keptReleasedOneshot: [[[UInt32]]]
    let queries: Block
    let keys: Block
    let indicator: Block

    var testDescription: String { name }
    var observed: Int { tokens - window }
    var groupWidth: Int { heads / kvHeads }

    var method: Method {
        Method(
            name: name, observation: .window(rows: window),
            indicator: .meanPlusVariance(gamma: gamma, poolWidth: 5),
            allocation: .cake(tau1: tau1, tau2: tau2, floorShare: 0))
    }

    static let all: [GoldenCase] = {
        struct File: Decodable { let cases: [GoldenCase] }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let json = FileManager.default.contents(atPath: path("cake-golden.json")) ?? Data()
        return (try? decoder.decode(File.self, from: json).cases) ?? []
    }()

    private static let floats: [Float] = {
        let bytes = FileManager.default.contents(atPath: path("cake-golden.f32")) ?? Data()
        return stride(from: 0, to: bytes.count & ~3, by: 4).map { at in
            Float(bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[at + $1]) << UInt32($1 * 8) })
        }
    }()

    private static func path(_ file: String) -> String {
        Bundle.module.resourceURL?.appendingPathComponent("Fixtures/\(file)").path ?? file
    }

    /// The indicator of a layer, `[kvHeads, observed]`.
    func goldenIndicator(_ layer: Int) -> [Float] {
        Self.slice(indicator, layer, of: layers)
    }

    /// Attention of a layer's query head over the window, `[window, observed]`, in float32.
    func attention(layer: Int, head: Int) -> [Float] {
        let query = Self.slice(queries, layer * heads + head, of: layers * heads)
        let key = Self.slice(keys, layer * kvHeads + head / groupWidth, of: layers * kvHeads)
        return (0..<window).flatMap { row in
            let visible = observed + row + 1
            let scores = (0..<visible).map { token in
                (0..<headDim).reduce(Float(0)) { $0 + query[row * headDim + $1] * key[token * headDim + $1] }
                    / Float(headDim).squareRoot()
            }
            let peak = scores.max() ?? 0
            let weights = scores.map { Float(exp(Double($0 - peak))) }
            let sum = weights.reduce(0, +)
            return weights.prefix(observed).map { $0 / sum }
        }
    }

    /// A layer as the method observes it.
    func observation(layer: Int) -> LayerObservation {
        var accumulator = ObservationAccumulator(
            method: method, kvHeads: kvHeads, groupWidth: groupWidth, evictableTokens: observed)
        for head in 0..<heads {
            accumulator.add(
                queryHead: head,
                AttentionMoments(attention: attention(layer: layer, head: head), rows: window, columns: observed))
        }
        return accumulator.finish()
    }

    /// The cascade over all layers at a budget.
    func retention(budget: Int) throws -> Retention {
        var cascade = try Cascade(
            method: method, layers: layers, kvHeads: kvHeads, tokens: tokens, templatePrefixTokens: 0, budget: budget)
        for layer in 0..<layers { _ = cascade.add(observation(layer: layer)) }
        return cascade.finish()
    }

    private static func slice(_ block: Block, _ index: Int, of parts: Int) -> [Float] {
        let length = block.count / parts
        return Array(floats[(block.offset + index * length)..<(block.offset + (index + 1) * length)])
    }
}
