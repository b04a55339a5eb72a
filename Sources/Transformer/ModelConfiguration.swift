// A model's shape and constants, read from the metadata of an untrusted GGUF file and refused by name when unsupported.

import GGUF

/// Everything about a model but its weights.
public struct ModelConfiguration: Sendable, Equatable, Codable {
    /// How RoPE pairs the elements of a head.
    public enum RopeStyle: String, Sendable, Codable {
        /// (2i, 2i + 1): GGUF's `llama`, whose query and key rows are permuted for it.
        case interleaved
        /// (i, i + half): `qwen2`.
        case neox
    }

    /// The architectures that can be run.
    public static let architectures = ["llama", "qwen2"]

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
    /// Positions are divided by this (linear scaling); 1 when there is none.
    public let ropeScale: Float
    /// ε of RMSNorm.
    public let rmsEpsilon: Float
    /// Whether the embedding is also the output head.
    public let tiedHead: Bool

    /// Query heads that share one KV head.
    public var groupWidth: Int { heads / kvHeads }

    /// Reads the shape; sizes are bounded here and cross-checked with the tensors' shapes by `Model`.
    public init(_ file: GGUFFile) throws(ModelError) {
        var reader = ConfigurationReader(metadata: file.metadata)
        architecture = try reader.architecture()
        try reader.refuseUnsupportedFeatures()
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
        feedForwardWidth = try reader.size("feed_forward_length", upTo: 1 << 20)
        contextLength = try reader.size("context_length", upTo: 1 << 24)
        ropeDimensions = try reader.size("rope.dimension_count", upTo: headWidth, default: headWidth)
        guard ropeDimensions.isMultiple(of: 2) else {
            throw reader.invalid("rope.dimension_count", ropeDimensions, "an even number")
        }
        ropeStyle = architecture == "qwen2" ? .neox : .interleaved
        ropeBase = try reader.positive("rope.freq_base", default: 10_000)
        ropeScale = try reader.ropeScale()
        rmsEpsilon = try reader.positive("attention.layer_norm_rms_epsilon", default: nil)
        // The embedding says how many tokens there are; `vocab_size` is absent from many files.
        guard let embedding = file.tensor("token_embd.weight") else { throw .missingTensor("token_embd.weight") }
        guard embedding.dimensions.count == 2, (1...1 << 21).contains(embedding.dimensions[1]) else {
            throw .wrongShape(tensor: embedding.name, dimensions: embedding.dimensions, expected: [width, 1 << 21])
        }
        vocabulary = embedding.dimensions[1]
        tiedHead = file.tensor("output.weight") == nil
    }
}

/// Looks metadata up under the architecture's name, with bounds.
private struct ConfigurationReader {
    let metadata: GGUFMetadata
    private var prefix = ""

    init(metadata: GGUFMetadata) { self.metadata = metadata }

    mutating func architecture() throws(ModelError) -> String {
        guard let name = try wrapped({ () throws(GGUFError) in try metadata.string("general.architecture") }) else {
            throw .missingKey("general.architecture")
        }
        guard ModelConfiguration.architectures.contains(name) else { throw .unsupportedArchitecture(name) }
        prefix = name + "."
        return name
    }

    func name() throws(ModelError) -> String {
        try wrapped { () throws(GGUFError) in try metadata.string("general.name") } ?? ""
    }

    /// A size from 1 to `limit`.
    func size(_ key: String, upTo limit: Int, default fallback: Int? = nil) throws(ModelError) -> Int {
        guard let value = try integer(key) ?? fallback else { throw .missingKey(prefix + key) }
        guard (1...limit).contains(value) else { throw invalid(key, value, "from 1 to \(limit)") }
        return value
    }

    func positive(_ key: String, default fallback: Float?) throws(ModelError) -> Float {
        guard let value = try float(key) ?? fallback else { throw .missingKey(prefix + key) }
        guard value.isFinite, value > 0 else {
            throw .invalidValue(key: prefix + key, value: "\(value)", needed: "a positive number")
        }
        return value
    }

    func ropeScale() throws(ModelError) -> Float {
        if let factor = try float("rope.scale_linear"), factor != 0 {
            return try positive("rope.scale_linear", default: 1)
        }
        let kind = try string("rope.scaling.type") ?? "none"
        switch kind {
        case "none", "": return 1
        case "linear": return try positive("rope.scaling.factor", default: 1)
        default:
            throw .unsupportedFeature(
                key: prefix + "rope.scaling.type", value: kind, feature: "RoPE scaling of this type")
        }
    }

    /// Refuses what would change the forward pass and is not built.
    func refuseUnsupportedFeatures() throws(ModelError) {
        for (key, feature) in [
            ("attention.sliding_window", "attention over a sliding window"),
            ("expert_count", "a mixture of experts"),
            ("ssm.conv_kernel", "a recurrent (state-space) layer"),
            ("ssm.state_size", "a recurrent (state-space) layer"),
            ("wkv.head_size", "a recurrent layer"),
            ("attention.max_alibi_bias", "ALiBi"),
            ("attention.clamp_kqv", "clamping of queries, keys and values"),
            ("attention.scale", "a scale of attention of its own"),
            ("attn_logit_softcapping", "soft-capping of attention"),
            ("final_logit_softcapping", "soft-capping of logits"),
            ("logit_scale", "a scale of the logits"),
            ("residual_scale", "a scale of the residual stream"),
            ("embedding_scale", "a scale of the embedding"),
        ] {
            if let value = try float(key), value != 0 {
                throw .unsupportedFeature(
                    key: prefix + key, value: value == value.rounded() ? "\(Int(exactly: value) ?? 0)" : "\(value)",
                    feature: feature)
            }
        }
        for (key, plain, feature) in [
            ("attention.causal", true, "attention that is not causal"),
            ("use_parallel_residual", false, "a parallel residual"),
        ] {
            let value = try wrapped { () throws(GGUFError) in try metadata.bool(prefix + key) }
            if let value, value != plain {
                throw .unsupportedFeature(key: prefix + key, value: "\(value)", feature: feature)
            }
        }
    }

    func invalid(_ key: String, _ value: Int, _ needed: String) -> ModelError {
        .invalidValue(key: prefix + key, value: "\(value)", needed: needed)
    }

    private func integer(_ key: String) throws(ModelError) -> Int? {
        try wrapped { () throws(GGUFError) in try metadata.integer(prefix + key) }
    }

    private func float(_ key: String) throws(ModelError) -> Float? {
        try wrapped { () throws(GGUFError) in try metadata.float(prefix + key) }
    }

    private func string(_ key: String) throws(ModelError) -> String? {
        try wrapped { () throws(GGUFError) in try metadata.string(prefix + key) }
    }

    private func wrapped<Value>(_ body: () throws(GGUFError) -> Value) throws(ModelError) -> Value {
        do throws(GGUFError) { return try body() } catch { throw .file(error) }
    }
}
