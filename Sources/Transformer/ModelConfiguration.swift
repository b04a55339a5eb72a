// A model's shape and constants, read from the metadata of an untrusted GGUF file and refused by name when unsupported.

import GGUF
import Glibc

/// Everything about a model but its weights.
public struct ModelConfiguration: Sendable, Equatable, Codable {
    /// How RoPE pairs the elements of a head.
    public enum RopeStyle: String, Sendable, Codable {
        /// (2i, 2i + 1): as GGUF's `llama`, whose query and key rows are permuted for it.
        case interleaved
        /// (i, i + half): as `qwen2`.
        case neox
    }

    /// The architectures that can be run.
    public static let architectures = Architecture.all.map(\.name)

    /// `general.architecture`.
    public let architecture: String
    /// `general.name`, or empty.
    public let name: String
    /// Decoder blocks, L.
    public let layers: Int
    /// Elements of the residual stream, d.
    public let width: Int
    /// Query heads, H.
    public let heads: Int
    /// Key and value heads, G; H is a multiple of it.
    public let kvHeads: Int
    /// Elements of a head, D; not necessarily d / H.
    public let headWidth: Int
    /// Elements inside the feed-forward block.
    public let feedForwardWidth: Int
    /// nil: every row goes through the same feed-forward block.
    public let experts: ExpertShape?
    /// Token ids are below this.
    public let vocabulary: Int
    /// Positions the model was made for.
    public let contextLength: Int
    /// RoPE's base frequency, θ.
    public let ropeBase: Float
    /// Rotated elements of a head, from its first on.
    public let ropeDimensions: Int
    /// RoPE's pairs.
    public let ropeStyle: RopeStyle
    /// Positions are divided by this; 1 when there is no scaling.
    public let ropeScale: Float
    /// The positions it was first made for, which RoPE's scaling extends.
    public let originalContextLength: Int
    /// Whether each pair's frequency is divided by a factor of its own, one for short contexts and one for long ones
    /// (LongRoPE, Ding et al., arXiv 2402.13753).
    public let hasRopeFactors: Bool
    /// The context that YaRN extends (Peng et al., arXiv 2309.00071): pairs that turn often in it are not scaled; nil:
    /// all are.
    public let yarnContextLength: Int?
    /// What RoPE multiplies queries and keys with, besides turning them; 1 as a rule.
    public let ropeMagnitude: Float
    /// RoPE's base in layers that see a window; nil: that of all layers.
    public let localRopeBase: Float?
    /// Every so many-th layer is not rotated, of 1 none is; nil: all are.
    public let unrotatedEvery: Int?
    /// What scores are multiplied with, 1/√D as a rule.
    public let attentionScale: Float
    /// s in the factor of queries at position p, 1 + s ln(⌊p / original context⌋ + 1); 0: there is none.
    public let temperatureScale: Float
    /// The last tokens that a row sees, itself included, where that is fewer than the context; nil: all before it.
    public let attentionWindow: Int?
    /// Every so many-th layer sees everything in any case, the others are those that see a window; nil: all are.
    public let globalEvery: Int?
    /// Whether each layer is one of those, where the file lists them.
    public let localLayers: [Bool]?
    /// What scores are softly held below: cap · tanh(score / cap); nil: they stay as they are.
    public let attentionCap: Float?
    /// The same of logits.
    public let logitCap: Float?
    /// What the embedding is multiplied with.
    public let embeddingScale: Float
    /// What each half of a block is multiplied with before it is added to the residual stream.
    public let residualScale: Float
    /// What logits are divided by.
    public let logitScale: Float
    /// ε of RMSNorm.
    public let rmsEpsilon: Float
    /// Whether the embedding is also the output head.
    public let tiedHead: Bool

    /// Query heads that share one KV head.
    public var groupWidth: Int { heads / kvHeads }

    /// Reads the shape; sizes are bounded here and cross-checked with the tensors' shapes by `Model`.
    public init(_ file: GGUFFile) throws(ModelError) {
        let reader = try ConfigurationReader(metadata: file.metadata)
        try reader.refuseUnsupportedOptions()
        architecture = reader.architecture.name
        name = try reader.name()
        layers = try reader.size("block_count", upTo: 1_024)
        width = try reader.size("embedding_length", upTo: 65_536)
        heads = try reader.size("attention.head_count", upTo: 1_024)
        kvHeads = try reader.size("attention.head_count_kv", upTo: heads, default: heads)
        guard heads.isMultiple(of: kvHeads) else {
            throw reader.invalid("attention.head_count_kv", kvHeads, "a divisor of the \(heads) heads")
        }
        headWidth = try reader.size("attention.key_length", upTo: 1_024, default: width / heads)
        guard headWidth >= 2, headWidth.isMultiple(of: 2) else {
            throw reader.invalid("attention.key_length", headWidth, "an even number")
        }
        let valueWidth = try reader.size("attention.value_length", upTo: 1_024, default: headWidth)
        guard valueWidth == headWidth else {
            throw reader.invalid("attention.value_length", valueWidth, "equal to attention.key_length, \(headWidth)")
        }
        experts = try reader.experts()
        feedForwardWidth = try reader.size("feed_forward_length", upTo: 1 << 20, default: experts?.width)
        contextLength = try reader.size("context_length", upTo: 1 << 24)
        ropeDimensions = try reader.size("rope.dimension_count", upTo: headWidth, default: headWidth)
        guard ropeDimensions.isMultiple(of: 2) else {
            throw reader.invalid("rope.dimension_count", ropeDimensions, "an even number")
        }
        ropeStyle = reader.architecture.ropeStyle
        ropeBase = try reader.ropeBase(dimensions: headWidth)
        let scaling = try reader.ropeScaling()
        ropeScale = try reader.ropeScale(scaling)
        originalContextLength = try reader.originalContextLength(contextLength)
        yarnContextLength = scaling == .yarn ? originalContextLength : nil
        hasRopeFactors = scaling == .longrope || file.tensor(RopeFactors.long) != nil
        ropeMagnitude = try reader.ropeMagnitude(scaling, scale: ropeScale)
        let scoreWidth = reader.architecture.layersScaledByWidth == layers ? width / heads : headWidth
        attentionScale = try reader.scale(.attentionScale, default: 1 / Float(max(1, scoreWidth)).squareRoot())
        temperatureScale = try reader.scale(.temperature, default: 0)
        attentionWindow = try reader.window(contextLength: contextLength)
        globalEvery = try reader.globalEvery()
        localLayers = try reader.localLayers()
        guard localLayers?.count ?? layers == layers else {
            throw reader.invalid("attention.sliding_window_pattern", localLayers?.count ?? 0, "\(layers) values")
        }
        localRopeBase = try reader.localRopeBase(ropeBase)
        unrotatedEvery = try reader.unrotatedEvery(window: attentionWindow)
        attentionCap = try reader.cap(.attentionCap)
        logitCap = try reader.cap(.logitCap)
        embeddingScale =
            reader.architecture.scalesEmbeddingByWidth
            ? Float(width).squareRoot() : try reader.scale(.embeddingScale)
        residualScale = try reader.scale(.residualScale)
        logitScale = try reader.scale(.logitScale)
        rmsEpsilon = try reader.positive("attention.layer_norm_rms_epsilon", default: nil)
        // The embedding says how many tokens there are; `vocab_size` is absent from many files.
        guard let embedding = file.tensor("token_embd.weight") else { throw .missingTensor("token_embd.weight") }
        guard embedding.dimensions.count == 2, (1...1 << 21).contains(embedding.dimensions[1]) else {
            throw .wrongShape(tensor: embedding.name, dimensions: embedding.dimensions, expected: [width, 1 << 21])
        }
        vocabulary = embedding.dimensions[1]
        tiedHead = file.tensor("output.weight") == nil
    }

    /// What the queries of a row at `position` are multiplied with, besides the scale of attention.
    func temperature(position: Int) -> Float {
        1 + temperatureScale * log(Float(position / originalContextLength + 1))
    }

    /// Whether a layer is one of those that see a window, where the model's is shorter than its context.
    func isLocal(layer: Int) -> Bool {
        localLayers?[layer] ?? globalEvery.map { !(layer + 1).isMultiple(of: $0) } ?? true
    }

    /// The last tokens of a document that a row behind it can see in each layer; nil: all of them in every one.
    ///
    /// The first row behind it sees itself, and one token less of the document than its window holds.
    public func capacities(tokens: Int) -> [Int]? {
        guard let window = attentionWindow, window <= tokens else { return nil }
        return (0..<layers).map { isLocal(layer: $0) ? window - 1 : tokens }
    }

    /// Whether a layer's queries and keys turn with their positions.
    func isRotated(layer: Int) -> Bool { unrotatedEvery.map { !(layer + 1).isMultiple(of: $0) } ?? true }
}
