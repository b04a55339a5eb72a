// The forward pass in double precision, row by row and key by key, with any visibility: what the module is tested
// against.

import Foundation

/// What the reference computed.
struct ReferenceResult {
    /// `[row][vocabulary]`.
    var logits: [[Double]] = []
    /// Attention weights, `[layer][query head][row][key]`; 0 where a row does not see a key.
    var attention: [[[[Double]]]] = []
    /// The residual stream before each layer, `[layer][row][width]`, and the layer's values, `[layer][row][kvHeads ·
    /// headWidth]`.
    var residual: [[[Double]]] = []
    var values: [[[Double]]] = []
}

extension TinyModel {
    /// Runs rows of (id, position); `sees(layer, kvHead, row)` lists the rows whose keys a row attends to.
    func forward(
        _ rows: [(id: Int32, position: Int)], sees: (_ layer: Int, _ kvHead: Int, _ row: Int) -> [Int]
    ) -> ReferenceResult {
        let embedding = values("token_embd.weight")
        let embeddingScale =
            shape.isGemma ? Double(shape.width).squareRoot() : Double(shape.scales?.embedding ?? 1)
        var x = rows.map { row in
            (0..<shape.width).map { embedding[Int(row.id) * shape.width + $0] * embeddingScale }
        }
        var result = ReferenceResult()
        let group = shape.heads / shape.kvHeads
        let width = shape.headWidth
        let attentionScale =
            shape.scales.map { Double($0.attention) } ?? 1 / Double(shape.scoreWidth ?? width).squareRoot()
        for layer in 0..<shape.layers {
            let block = "blk.\(layer)."
            let normed = x.map { normParts($0, values(block + "attn_norm.weight")) }
            var query = multiply(normed, block + "attn_q")
            var key = multiply(normed, block + "attn_k")
            let value = multiply(normed, block + "attn_v")
            func normHeads() {
                query = query.map { normParts($0, values(block + "attn_q_norm.weight")) }
                key = key.map { normParts($0, values(block + "attn_k_norm.weight")) }
            }
            if !shape.headNormsFollowRotation { normHeads() }
            let window = shape.window(layer: layer)
            let isRotated =
                shape.unrotatedEvery.map { (layer + 1) % $0 != 0 } ?? !(shape.rotatesWindowsOnly && window == nil)
            let sinks = values(block + "attn_sinks.weight")
            for (row, place) in rows.enumerated() where isRotated {
                for head in 0..<shape.heads { rotate(&query[row], from: head * width, place.position, layer) }
                for head in 0..<shape.kvHeads { rotate(&key[row], from: head * width, place.position, layer) }
            }
            if shape.headNormsFollowRotation { normHeads() }
            if let (scale, context) = shape.temperature {
                for (row, place) in rows.enumerated() {
                    let factor = 1 + Double(scale) * log(floor(Double(place.position) / Double(context)) + 1)
                    query[row] = query[row].map { $0 * factor }
                }
            }
            var weights = [[[Double]]](
                repeating: Array(repeating: Array(repeating: 0, count: rows.count), count: rows.count),
                count: shape.heads)
            var attended = rows.map { _ in [Double](repeating: 0, count: shape.heads * width) }
            for row in rows.indices {
                for head in 0..<shape.heads {
                    let kv = head / group
                    let keys = sees(layer, kv, row).filter { other in
                        window.map { rows[row].position - rows[other].position < $0 } ?? true
                    }
                    let scores = keys.map { other in
                        let score =
                            (0..<width).reduce(0.0) { $0 + query[row][head * width + $1] * key[other][kv * width + $1] }
                            * attentionScale
                        return cap(score, shape.caps?.attention)
                    }
                    let sink = sinks.isEmpty ? -.infinity : sinks[head]
                    let peak = max(scores.max() ?? 0, sink)
                    let sum = scores.reduce(exp(sink - peak)) { $0 + exp($1 - peak) }
                    for (other, score) in zip(keys, scores) {
                        let weight = exp(score - peak) / sum
                        weights[head][row][other] = weight
                        for i in 0..<width { attended[row][head * width + i] += weight * value[other][kv * width + i] }
                    }
                }
            }
            result.attention.append(weights)
            result.residual.append(x)
            result.values.append(value)
            let output = multiply(attended, block + "attn_output")
            let behind = shape.postNorms ? values(block + "post_attention_norm.weight") : []
            add(output.map { normParts($0, behind) }, to: &x)
            let before = !shape.preNorms ? [] : values(block + shape.feedForwardNorm + ".weight")
            let inner = x.map { normParts($0, before) }
            let down = shape.experts == nil ? feedForward(inner, block) : mixture(inner, block)
            add(down.map { normParts($0, values(block + "post_ffw_norm.weight")) }, to: &x)
        }
        let last = x.map { norm($0, values("output_norm.weight")) }
        result.logits = multiply(last, shape.tied ? "token_embd" : "output").map { logits in
            logits.map { cap($0 / Double(shape.scales?.logits ?? 1), shape.caps?.logits) }
        }
        return result
    }

    /// A plain causal prompt from position 0.
    func forward(_ ids: [Int32]) -> ReferenceResult {
        forward(ids.enumerated().map { ($1, $0) }, sees: { _, _, row in Array(0...row) })
    }

    /// How far W_o moves, as a share of the residual stream, when `row` forgets `key` in a query head: by the
    /// definition, with the other weights renormalised.
    func change(_ result: ReferenceResult, layer: Int, head: Int, row: Int, forgetting key: Int) -> Double {
        let kv = head / (shape.heads / shape.kvHeads)
        let weights = result.attention[layer][head][row]
        // With what heads give to nothing.
        let others = 1 - weights[key]
        let moved = (0..<shape.headWidth).map { i in
            weights.indices.reduce(0.0) { sum, other in
                let less = other == key ? weights[other] : weights[other] - weights[other] / others
                return sum + less * result.values[layer][other][kv * shape.headWidth + i]
            }
        }
        let output = values("blk.\(layer).attn_output.weight")
        let inputs = shape.heads * shape.headWidth
        let squares = (0..<shape.width).map { row in
            let moved = moved.indices.reduce(0.0) {
                $0 + output[row * inputs + head * shape.headWidth + $1] * moved[$1]
            }
            return moved * moved
        }
        let size = result.residual[layer][row].reduce(0) { $0 + $1 * $1 }
        return (squares.reduce(0, +) / size).squareRoot()
    }

    /// ‖W_o v‖ of a key's value through a query head.
    func norm(_ result: ReferenceResult, layer: Int, head: Int, value key: Int) -> Double {
        let kv = head / (shape.heads / shape.kvHeads)
        let output = values("blk.\(layer).attn_output.weight")
        let inputs = shape.heads * shape.headWidth
        let squares = (0..<shape.width).map { row in
            let sum = (0..<shape.headWidth).reduce(0.0) {
                let value = result.values[layer][key][kv * shape.headWidth + $1]
                return $0 + output[row * inputs + head * shape.headWidth + $1] * value
            }
            return sum * sum
        }
        return squares.reduce(0, +).squareRoot()
    }

    private func cap(_ score: Double, _ cap: Double?) -> Double {
        guard let cap, cap > 0 else { return score }
        return cap * tanh(score / cap)
    }

    private func norm(_ x: [Double], _ weight: [Double]) -> [Double] {
        let scale = 1 / (x.reduce(0) { $0 + $1 * $1 } / Double(x.count) + Double(Float(1e-5))).squareRoot()
        return zip(x, weight).map { $0 * scale * $1 }
    }

    /// Norms every part of x that is as long as the weight; x itself without a weight.
    private func normParts(_ x: [Double], _ weight: [Double]) -> [Double] {
        guard !weight.isEmpty else { return x }
        return stride(from: 0, to: x.count, by: weight.count).flatMap { norm(Array(x[$0..<$0 + weight.count]), weight) }
    }

    private func feedForward(_ x: [[Double]], _ block: String, expert: Int? = nil) -> [[Double]] {
        let gate = multiply(x, block + "ffn_gate", expert)
        let up = multiply(x, block + "ffn_up", expert)
        let hidden = zip(gate, up).map { zip($0, $1).map { gated($0, $1) } }
        return multiply(hidden, block + "ffn_down", expert)
    }

    private func gated(_ gate: Double, _ up: Double) -> Double {
        guard shape.isClamped else { return activate(gate) * up }
        let gate = min(gate, 7)
        return gate / (1 + exp(-1.702 * gate)) * (min(7, max(-7, up)) + 1)
    }

    private func activate(_ x: Double) -> Double {
        guard shape.isGemma else { return x / (1 + exp(-x)) }
        return x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    }

    /// Every row by itself: a softmax over all experts, the likeliest of them, their outputs by their weights.
    private func mixture(_ x: [[Double]], _ block: String) -> [[Double]] {
        guard let experts = shape.experts else { return x }
        return zip(x, multiply(x, block + "ffn_gate_inp")).map { row, scores in
            let sum = scores.reduce(0) { $0 + exp($1) }
            let likeliest = scores.indices.sorted { scores[$0] > scores[$1] }.prefix(experts.used)
            let all = experts.isRenormalised ? likeliest.reduce(0) { $0 + exp(scores[$1]) } : sum
            var output = [Double](repeating: 0, count: row.count)
            for expert in likeliest {
                let part = feedForward([row], block, expert: expert)[0]
                for i in output.indices { output[i] += exp(scores[expert]) / all * part[i] }
            }
            return output
        }
    }

    private func multiply(_ x: [[Double]], _ name: String, _ expert: Int? = nil) -> [[Double]] {
        var weight = values(name + (expert == nil ? ".weight" : "_exps.weight"))
        if let expert, let experts = shape.experts {
            let count = weight.count / experts.count
            weight = Array(weight[expert * count..<(expert + 1) * count])
        }
        var bias = values(name + (expert == nil ? ".bias" : "_exps.bias"))
        if let expert, let experts = shape.experts {
            let count = bias.count / experts.count
            bias = Array(bias[expert * count..<(expert + 1) * count])
        }
        let inputs = x[0].count
        return x.map { row in
            (0..<weight.count / inputs).map { output in
                var sum = bias.isEmpty ? 0 : bias[output]
                for i in 0..<inputs { sum += weight[output * inputs + i] * row[i] }
                return sum
            }
        }
    }

    private func add(_ y: [[Double]], to x: inout [[Double]]) {
        let scale = Double(shape.scales?.residual ?? 1)
        for row in x.indices { for i in x[row].indices { x[row][i] += y[row][i] * scale } }
    }

    private func rotate(_ row: inout [Double], from start: Int, _ position: Int, _ layer: Int) {
        let dimensions = shape.ropeDimensions ?? shape.headWidth
        let local = shape.localRope.flatMap { (layer + 1) % $0.globalEvery == 0 ? nil : $0.base }
        for pair in 0..<dimensions / 2 {
            var angle =
                Double(position) * pow(local ?? 1_000 * shape.ropeBaseFactor, -2 * Double(pair) / Double(dimensions))
            angle /= Double(ropeFactors?[pair] ?? 1)
            let scale = local == nil ? Double(shape.ropeScale ?? 1) : 1
            var magnitude = local == nil ? Double(shape.ropeMagnitude ?? 1) : 1
            if let context = shape.yarnContext, local == nil {
                // A ramp between the pairs that turn 32 times and once in the original context.
                func pairTurning(_ turns: Double) -> Double {
                    Double(dimensions) * log(Double(context) / (2 * Double.pi * turns)) / (2 * log(1_000))
                }
                let (low, high) = (max(0, floor(pairTurning(32))), ceil(pairTurning(1)))
                let scaled = min(1, max(0, (Double(pair) - low) / (high - low)))
                angle = angle / scale * scaled + angle * (1 - scaled)
                magnitude *= (1 + 0.1 * log(scale)) * shape.yarnMagnitudeFactor
            } else {
                angle /= scale
            }
            let one = start + (shape.neox ? pair : 2 * pair)
            let other = start + (shape.neox ? pair + dimensions / 2 : 2 * pair + 1)
            let (a, b) = (row[one] * magnitude, row[other] * magnitude)
            row[one] = a * cos(angle) - b * sin(angle)
            row[other] = a * sin(angle) + b * cos(angle)
        }
    }
}

/// The largest distance between computed and expected logits.
func distance(_ computed: [Float], _ expected: [Double]) -> Double {
    zip(computed, expected).reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
}
