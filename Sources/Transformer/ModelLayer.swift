// One decoder block as data: its matrices and norms by name, how its heads turn, and what they attend to.

import CKernels

/// The matrices of a block, in the order in which a row meets them.
enum LayerMatrix: Int, CaseIterable, Sendable {
    case query, key, value, attentionOutput, gate, up, down

    /// Its tensor, between `blk.N.` and `.weight`.
    var tensor: String {
        switch self {
        case .query: "attn_q"
        case .key: "attn_k"
        case .value: "attn_v"
        case .attentionOutput: "attn_output"
        case .gate: "ffn_gate"
        case .up: "ffn_up"
        case .down: "ffn_down"
        }
    }

    /// What it maps, `[outputs, inputs]`.
    func shape(_ model: ModelConfiguration) -> (inputs: Int, outputs: Int) {
        switch self {
        case .query: (model.width, model.heads * model.headWidth)
        case .key, .value: (model.width, model.kvHeads * model.headWidth)
        case .attentionOutput: (model.heads * model.headWidth, model.width)
        case .gate, .up: (model.width, model.feedForwardWidth)
        case .down: (model.feedForwardWidth, model.width)
        }
    }
}

/// What becomes of scores before their softmax, and how far back they reach.
struct AttentionBounds: Sendable {
    /// 1/√D in the paper.
    let scale: Float
    /// The last tokens that a row sees, itself included; nil: all before it.
    let window: Int?
    /// Scores become cap · tanh(score / cap); nil: they stay as they are.
    let cap: Float?
    /// A score of each head that has no entry and no value, `[heads]`; nil: there is none.
    let sinks: FloatBuffer?

    /// The oldest position that a row at `position` sees.
    func oldest(seenFrom position: Int) -> Int { window.map { max(0, position - $0 + 1) } ?? 0 }

    /// What a kernel is told for `rows` rows from `position` on, `heads` of which stand at each position; nil: nothing
    /// becomes of their scores.
    @unsafe func scoring(_ entries: Entries, rows: Int, position: Int, heads: Int = 1) -> caked_scoring? {
        guard cap != nil || oldest(seenFrom: position + rows - 1) > 0 else { return nil }
        return unsafe caked_scoring(
            cap: cap ?? 0, positions: entries.positions, first_position: entries.firstPosition,
            oldest: window.map { position - $0 + 1 } ?? .min / 2, heads: heads)
    }

    /// Those of the query heads of one KV head.
    func sinks(kvHead: Int, groupWidth: Int) -> Floats? { sinks?.floats.slice(kvHead * groupWidth, groupWidth) }
}

/// One decoder block; a norm that is nil is left out.
///
///     x ← x + norm(Wo attention(RoPE(norm(Wq h)), RoPE(norm(Wk h)), Wv h))     h = norm(x)
///     x ← x + norm(Wdown (f(Wgate h) · Wup h))                                 h = norm(x)
struct ModelLayer: Sendable {
    /// In the order of `LayerMatrix`; those of the feed-forward half are the experts' where there are experts.
    private(set) var matrices: [Linear]
    let experts: Experts?
    /// `[width]`, as all norms but those of queries and keys.
    let attentionNorm: FloatBuffer?
    /// Over a head, `[headWidth]`, or over all heads of a row, `[heads · headWidth]`; of keys `[kvHeads · headWidth]`.
    let queryNorm: FloatBuffer?
    let keyNorm: FloatBuffer?
    /// Whether those come after the rotation.
    let normsFollowRotation: Bool
    /// One of the model's rotations; nil: queries and keys know nothing of positions.
    let rotation: (rope: RotaryEmbedding, index: Int)?
    let bounds: AttentionBounds
    let attentionOutputNorm: FloatBuffer?
    let feedForwardNorm: FloatBuffer?
    let feedForwardOutputNorm: FloatBuffer?

    init(
        _ index: Int, _ shape: ModelConfiguration, _ architecture: Architecture, _ ropes: [RotaryEmbedding],
        _ tensors: inout TensorReader
    ) throws(ModelError) {
        let block = "blk.\(index)."
        func norm(_ name: String?, _ count: Int, _ tensors: inout TensorReader) throws(ModelError) -> FloatBuffer? {
            guard let name else { return nil }
            return try tensors.vector(block + name + ".weight", count: count)
        }
        // Routes rows to experts, which take the place of `ffn_gate`, `ffn_up` and `ffn_down`.
        if shape.experts == nil { try tensors.refuse(block + "ffn_gate_inp.weight") }
        let norms = architecture.norms
        attentionNorm = try norm(norms.beforeAttention, shape.width, &tensors)
        matrices = []
        for matrix in shape.layerMatrices {
            let linear = try tensors.linear(matrix, block, shape, architecture.fused)
            guard linear.bias != nil || !architecture.biased.contains(matrix) else {
                throw .missingTensor(block + matrix.tensor + ".bias")
            }
            matrices.append(linear)
        }
        normsFollowRotation = norms.followsRotation
        let heads = norms.queriesAndKeys == .row ? (shape.heads, shape.kvHeads) : (1, 1)
        experts = try shape.experts.map { experts throws(ModelError) in
            try Experts(block, shape, experts, &tensors)
        }
        let hasHeadNorms = norms.queriesAndKeys != nil
        queryNorm = try norm(hasHeadNorms ? "attn_q_norm" : nil, heads.0 * shape.headWidth, &tensors)
        keyNorm = try norm(hasHeadNorms ? "attn_k_norm" : nil, heads.1 * shape.headWidth, &tensors)
        let isLocal = shape.isLocal(layer: index)
        let rope = isLocal ? ropes.indices.last : ropes.indices.first
        rotation = shape.isRotated(layer: index) ? rope.map { (ropes[$0], $0) } : nil
        let window = isLocal ? shape.attentionWindow : nil
        if let window, architecture.windows == nil {
            let option = ModelOption.slidingWindow
            throw .unsupportedFeature(
                key: shape.architecture + "." + option.rawValue, value: "\(window)", feature: option.feature)
        }
        bounds = AttentionBounds(
            scale: shape.attentionScale, window: window, cap: shape.attentionCap,
            sinks: architecture.hasSinks ? try tensors.vector(block + "attn_sinks.weight", count: shape.heads) : nil)
        attentionOutputNorm = try norm(norms.afterAttention, shape.width, &tensors)
        feedForwardNorm = try norm(norms.beforeFeedForward, shape.width, &tensors)
        feedForwardOutputNorm = try norm(norms.afterFeedForward, shape.width, &tensors)
    }

    subscript(_ matrix: LayerMatrix) -> Linear { matrices[matrix.rawValue] }

    /// Has products of `matrix` read re-tiled weights.
    mutating func repack(_ matrix: LayerMatrix, _ panel: DensePanel) { matrices[matrix.rawValue].repacked = panel }
}

extension TensorReader {
    /// A matrix of a block: a tensor, or the rows of one that holds several.
    fileprivate mutating func linear(
        _ matrix: LayerMatrix, _ block: String, _ shape: ModelConfiguration, _ fusions: [Architecture.Fusion]
    ) throws(ModelError) -> Linear {
        let (inputs, outputs) = matrix.shape(shape)
        let fusion = fusions.first { $0.parts.contains(matrix) && !has(block + $0.parts[0].tensor) }
        guard let fusion else { return try linear(block + matrix.tensor, inputs: inputs, outputs: outputs) }
        func rows(_ parts: some Swift.Sequence<LayerMatrix>) -> Int {
            parts.reduce(0) { $0 + $1.shape(shape).outputs }
        }
        return try linear(
            block + fusion.tensor, inputs: inputs, outputs: outputs,
            from: rows(fusion.parts.prefix { $0 != matrix }), of: rows(fusion.parts))
    }
}

extension ModelConfiguration {
    /// Weights of some matrices of a block: multiply-adds of a row.
    func weights(_ matrices: [LayerMatrix]) -> Int {
        matrices.reduce(0) { $0 + $1.shape(self).inputs * $1.shape(self).outputs }
    }

    /// The matrices of a block that every row meets.
    var layerMatrices: [LayerMatrix] {
        experts == nil ? LayerMatrix.allCases : [.query, .key, .value, .attentionOutput]
    }

    /// Multiply-adds of a row in all matrices of a block, of experts in those that it goes to.
    public var blockWeights: Int {
        weights(layerMatrices) + (experts.map { width * ($0.count + 3 * $0.used * $0.width) } ?? 0)
    }

    /// Multiply-adds of a row in those of its keys and values.
    public var keyValueWeights: Int { weights([.key, .value]) }

    /// Multiply-adds of a query row and a key it sees in all heads of a block: a product with the key, one with the
    /// value.
    public var attentionWeights: Int { 2 * heads * headWidth }
}
