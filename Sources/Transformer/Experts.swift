// A feed-forward half made of experts (Shazeer et al., arXiv 1701.06538): their weights, and which of them a row goes
// to.

import Glibc

/// How many experts there are, and how rows are routed.
public struct ExpertShape: Sendable, Equatable, Codable {
    /// Experts of a layer.
    public let count: Int
    /// Experts that a row goes to.
    public let used: Int
    /// Elements inside an expert.
    public let width: Int
    /// Whether the weights of those that a row goes to are made to sum to 1.
    public let isRenormalised: Bool
}

/// The experts of one layer, in the mapped file.
struct Experts: Sendable {
    /// Scores of each expert, `[count, width]`.
    let router: Linear
    /// By expert, as a layer's own.
    let gate: [Linear]
    let up: [Linear]
    let down: [Linear]

    init(_ block: String, _ shape: ModelConfiguration, _ experts: ExpertShape, _ tensors: inout TensorReader)
        throws(ModelError)
    {
        router = try tensors.linear(block + "ffn_gate_inp", inputs: shape.width, outputs: experts.count)
        gate = try tensors.linears(
            block + "ffn_gate_exps", inputs: shape.width, outputs: experts.width, count: experts.count)
        up = try tensors.linears(
            block + "ffn_up_exps", inputs: shape.width, outputs: experts.width, count: experts.count)
        down = try tensors.linears(
            block + "ffn_down_exps", inputs: experts.width, outputs: shape.width, count: experts.count)
    }

    /// Whether some matrix is multiplied as bytes.
    var isInteger: Bool { router.isInteger || gate[0].isInteger || up[0].isInteger || down[0].isInteger }
}

/// The likeliest experts of each row by a softmax over all, and their weights.
struct ChooseExperts: RowTask {
    let rows: Int
    let shape: ExpertShape
    /// `[rows, count]`; overwritten.
    let scores: Floats
    /// `[rows, used]`, the likeliest first, of equals the first.
    let chosen: Cells<Int32>
    let weights: Floats

    /// What the sum of the weights is divided by at least: the smallest normal number of 16 bits, as in llama.cpp.
    private static let leastSum: Float = 6.103515625e-5

    func run(_ range: Range<Int>) {
        for row in range {
            let weights = weights.slice(row * shape.used, shape.used)
            choose(scores.slice(row * shape.count, shape.count), row, weights)
            guard shape.isRenormalised else { continue }
            var sum: Float = 0
            for rank in 0..<shape.used { sum += weights[rank] }
            // Not a number stays one.
            let divisor = sum < Self.leastSum ? Self.leastSum : sum
            for rank in 0..<shape.used { weights[rank] /= divisor }
        }
    }

    private func choose(_ scores: Floats, _ row: Int, _ weights: Floats) {
        let taken: Float = -1
        softmax(scores)
        for rank in 0..<shape.used {
            var best: Int?
            for expert in 0..<shape.count where scores[expert] != taken {
                // Where scores are not numbers, the first ones left will do: the logits tell.
                guard let other = best else {
                    best = expert
                    continue
                }
                if scores[expert] > scores[other] || (scores[other].isNaN && !scores[expert].isNaN) { best = expert }
            }
            guard let best else { preconditionFailure("no more experts are used than there are") }
            chosen[row * shape.used + rank] = Int32(best)
            weights[rank] = scores[best]
            scores[best] = taken
        }
    }

    private func softmax(_ scores: Floats) {
        var peak = -Float.infinity
        for expert in 0..<shape.count { peak = max(peak, scores[expert]) }
        var sum: Float = 0
        for expert in 0..<shape.count {
            scores[expert] = exp(scores[expert] - peak)
            sum += scores[expert]
        }
        for expert in 0..<shape.count { scores[expert] /= sum }
    }
}
