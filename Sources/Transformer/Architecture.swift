// The decoders that can be run, an entry each: how its block differs from Llama's, and which metadata it takes.

/// What a model of one `general.architecture` computes.
///
/// The properties of an entry are Llama's unless it says otherwise. Tensors, metadata and order are those of
/// llama.cpp's `llama-arch.cpp` and `llama-model.cpp`.
struct Architecture: Sendable {
    /// The tensors of a block's norms, behind `blk.N.`; nil: there is no norm.
    struct Norms: Sendable {
        /// What a norm of queries and keys (`attn_q_norm`, `attn_k_norm`) is taken over.
        enum Span { case head, row }

        var beforeAttention: String? = "attn_norm"
        var queriesAndKeys: Span?
        /// Whether those stand behind RoPE.
        var followsRotation = false
        var afterAttention: String?
        var beforeFeedForward: String? = "ffn_norm"
        var afterFeedForward: String?

        /// Behind the two halves of a block, in place of before them.
        static func behind(queriesAndKeys: Span) -> Norms {
            Norms(
                beforeAttention: nil, queriesAndKeys: queriesAndKeys, afterAttention: "post_attention_norm",
                beforeFeedForward: nil, afterFeedForward: "post_ffw_norm")
        }

        /// Before and behind them.
        static let around = Norms(afterAttention: "post_attention_norm", afterFeedForward: "post_ffw_norm")
    }

    /// Matrices of one input that may lie in one tensor, one behind the other.
    enum Fusion: Sendable {
        case queriesKeysValues
        case gateAndUp

        /// The tensor, between `blk.N.` and `.weight`: fused where the first part has none of its own.
        var tensor: String {
            switch self {
            case .queriesKeysValues: "attn_qkv"
            case .gateAndUp: "ffn_up"
            }
        }

        var parts: [LayerMatrix] {
            switch self {
            case .queriesKeysValues: [.query, .key, .value]
            case .gateAndUp: [.gate, .up]
            }
        }
    }

    /// Experts, chosen by a softmax over the scores of all.
    struct Routing: Sendable {
        /// Where the width of an expert is.
        var widthKey = "expert_feed_forward_length"
        /// Whether the weights of the chosen ones are made to sum to 1.
        var isRenormalised = true
    }

    /// What the gate of a feed-forward block goes through before it multiplies.
    enum Gate: Sendable {
        /// x / (1 + e^−x): SwiGLU.
        case silu
        /// x · Φ(x) by its approximation with tanh: GEGLU (Shazeer, arXiv 2002.05202).
        case gelu
        /// min(x, 7) / (1 + e^−1.702x), times what it multiplies held in ±7, and 1: gpt-oss.
        case clampedSilu
    }

    /// The layers that see a window, where the metadata have one: all where there is no period.
    struct Windows: Sendable {
        /// Every so many-th layer sees everything, where `attention.sliding_window_pattern` does not say.
        var period: Int?
        /// Where the metadata do not say.
        var tokens: Int?
        /// RoPE's base there, where the metadata have none; nil: that of all layers.
        var ropeBase: Float?
        /// Whether RoPE is scaled in the other layers alone.
        var isUnscaled = false
    }

    /// Soft caps, where the metadata do not say: of scores and of logits.
    struct Caps: Sendable {
        var attention: Float
        var logits: Float
    }

    /// The layers whose queries and keys turn with their positions.
    enum Rotation: Sendable {
        case all
        /// All but every so many-th.
        case allBut(every: Int)
        /// All, unless this key is false: then none.
        case unless(key: String)
        /// Those that see a window; all in a model without windows.
        case windows
    }

    /// `general.architecture`.
    let name: String
    /// RoPE's pairs.
    let ropeStyle: ModelConfiguration.RopeStyle
    var rotation = Rotation.all
    /// nil: a model with a window is refused, or its window ignored.
    var windows: Windows?
    var caps: Caps?
    /// Whether heads have a score for attending to nothing (Xiao et al., arXiv 2309.17453), `attn_sinks`.
    var hasSinks = false
    var norms = Norms()
    /// The matrices that always have a bias; any other may have one.
    var biased: [LayerMatrix] = []
    var fused: [Fusion] = []
    var gate = Gate.silu
    /// Whether the embedding is multiplied by the square root of its width.
    var scalesEmbeddingByWidth = false
    /// A model of so many layers has scores multiplied by 1/√(width / heads).
    var layersScaledByWidth: Int?
    /// nil: it has no experts.
    var experts: Routing?
    /// Options that it must have, may have, and has no use for; a model with any other is refused.
    var needs: Set<ModelOption> = []
    var takes: Set<ModelOption> = []
    var ignores: Set<ModelOption> = []

    /// Of the vision models (`vl`), the text: their positions are one number for each token then.
    static let all = [
        Architecture(
            name: "llama", ropeStyle: .interleaved, experts: Routing(widthKey: "feed_forward_length"),
            takes: [.experts], ignores: [.slidingWindow, .temperature]),
        Architecture(
            name: "mistral3", ropeStyle: .interleaved, takes: [.temperature, .yarnLogarithm],
            ignores: [.slidingWindow]),
        Architecture(name: "internlm2", ropeStyle: .interleaved),
        Architecture(name: "ernie4_5", ropeStyle: .interleaved),
        Architecture(name: "smollm3", ropeStyle: .interleaved, rotation: .allBut(every: 4)),
        Architecture(
            name: "granite", ropeStyle: .interleaved, rotation: .unless(key: "rope.scaling.finetuned"),
            needs: [.logitScale], takes: [.embeddingScale, .attentionScale, .residualScale]),
        Architecture(
            name: "granitemoe", ropeStyle: .interleaved, rotation: .unless(key: "rope.scaling.finetuned"),
            experts: Routing(widthKey: "feed_forward_length"), needs: [.logitScale, .experts],
            takes: [.embeddingScale, .attentionScale, .residualScale]),
        Architecture(
            name: "glm4", ropeStyle: .interleaved, norms: .around, fused: [.queriesKeysValues, .gateAndUp]),
        Architecture(
            name: "phi3", ropeStyle: .neox, fused: [.queriesKeysValues, .gateAndUp], ignores: [.slidingWindow]),
        Architecture(name: "qwen2", ropeStyle: .neox, biased: [.query, .key, .value]),
        Architecture(name: "qwen2vl", ropeStyle: .neox, biased: [.query, .key, .value]),
        Architecture(
            name: "seed_oss", ropeStyle: .neox, norms: Norms(beforeFeedForward: "post_attention_norm"),
            biased: [.query, .key, .value]),
        Architecture(name: "qwen3", ropeStyle: .neox, norms: Norms(queriesAndKeys: .head)),
        Architecture(name: "qwen3vl", ropeStyle: .neox, norms: Norms(queriesAndKeys: .head)),
        Architecture(
            name: "qwen3moe", ropeStyle: .neox, norms: Norms(queriesAndKeys: .head), experts: Routing(),
            needs: [.experts]),
        Architecture(
            name: "qwen3vlmoe", ropeStyle: .neox, norms: Norms(queriesAndKeys: .head), experts: Routing(),
            needs: [.experts]),
        Architecture(
            name: "olmoe", ropeStyle: .neox, norms: Norms(queriesAndKeys: .row),
            experts: Routing(widthKey: "feed_forward_length", isRenormalised: false), needs: [.experts]),
        Architecture(
            name: "hunyuan-dense", ropeStyle: .neox, norms: Norms(queriesAndKeys: .head, followsRotation: true),
            takes: [.ropeBaseFactor]),
        Architecture(name: "gemma", ropeStyle: .neox, gate: .gelu, scalesEmbeddingByWidth: true),
        Architecture(
            name: "gemma2", ropeStyle: .neox, windows: Windows(period: 2, tokens: 4_096),
            caps: Caps(attention: 50, logits: 30), norms: .around, gate: .gelu, scalesEmbeddingByWidth: true,
            layersScaledByWidth: 46, takes: [.attentionCap, .logitCap]),
        Architecture(
            name: "gemma3", ropeStyle: .neox, windows: Windows(period: 6, ropeBase: 10_000, isUnscaled: true),
            norms: Norms(
                queriesAndKeys: .head, afterAttention: "post_attention_norm", afterFeedForward: "post_ffw_norm"),
            gate: .gelu, scalesEmbeddingByWidth: true, layersScaledByWidth: 62, takes: [.logitCap]),
        Architecture(
            name: "olmo2", ropeStyle: .neox, windows: Windows(period: 4, isUnscaled: true),
            norms: .behind(queriesAndKeys: .row)),
        Architecture(
            name: "exaone4", ropeStyle: .neox, rotation: .windows, windows: Windows(period: 4),
            norms: .behind(queriesAndKeys: .head)),
        Architecture(
            name: "gpt-oss", ropeStyle: .neox, windows: Windows(period: 2), hasSinks: true,
            norms: Norms(beforeFeedForward: "post_attention_norm"), gate: .clampedSilu, experts: Routing(),
            needs: [.experts]),
    ]

    /// The entry of that name.
    static func named(_ name: String) throws(ModelError) -> Architecture {
        guard let entry = all.first(where: { $0.name == name }) else { throw .unsupportedArchitecture(name) }
        return entry
    }
}

/// Metadata that change the forward pass, without the architecture's name before them.
enum ModelOption: String, CaseIterable, Sendable {
    case slidingWindow = "attention.sliding_window"
    case experts = "expert_count"
    case sharedExperts = "expert_shared_count"
    case sharedExpertWidth = "expert_shared_feed_forward_length"
    case expertScores = "expert_gating_func"
    case expertScale = "expert_weights_scale"
    case expertGroups = "expert_group_count"
    case denseLayers = "leading_dense_block_count"
    case convolution = "ssm.conv_kernel"
    case state = "ssm.state_size"
    case recurrence = "wkv.head_size"
    case alibi = "attention.max_alibi_bias"
    case clamp = "attention.clamp_kqv"
    case attentionScale = "attention.scale"
    case temperature = "attention.temperature_scale"
    case attentionCap = "attn_logit_softcapping"
    case logitCap = "final_logit_softcapping"
    case logitScale = "logit_scale"
    case residualScale = "residual_scale"
    case embeddingScale = "embedding_scale"
    case ropeBaseFactor = "rope.scaling.alpha"
    case yarnFastTurns = "rope.scaling.yarn_beta_fast"
    case yarnSlowTurns = "rope.scaling.yarn_beta_slow"
    case yarnExtrapolation = "rope.scaling.yarn_ext_factor"
    case yarnMagnitude = "rope.scaling.yarn_attn_factor"
    case yarnLogarithm = "rope.scaling.yarn_log_multiplier"
    case causal = "attention.causal"
    case parallelResidual = "use_parallel_residual"

    /// What a model that sets it has.
    var feature: String {
        switch self {
        case .slidingWindow: "attention over a sliding window"
        case .experts: "a mixture of experts"
        case .sharedExperts, .sharedExpertWidth: "an expert that every row goes to"
        case .expertScores: "a choice of experts by other than a softmax"
        case .expertScale: "a scale of the weights of experts"
        case .expertGroups: "a choice of experts by groups"
        case .denseLayers: "a mixture of experts in some layers"
        case .convolution, .state: "a recurrent (state-space) layer"
        case .recurrence: "a recurrent layer"
        case .alibi: "ALiBi"
        case .clamp: "clamping of queries, keys and values"
        case .attentionScale: "a scale of attention of its own"
        case .temperature: "a temperature of attention that depends on the position"
        case .attentionCap: "soft-capping of attention"
        case .logitCap: "soft-capping of logits"
        case .logitScale: "a scale of the logits"
        case .residualScale: "a scale of the residual stream"
        case .embeddingScale: "a scale of the embedding"
        case .ropeBaseFactor: "a factor of RoPE's base"
        case .yarnFastTurns, .yarnSlowTurns, .yarnExtrapolation, .yarnMagnitude, .yarnLogarithm:
            "YaRN with constants of its own"
        case .causal: "attention that is not causal"
        case .parallelResidual: "a parallel residual"
        }
    }

    /// What a number is in a model without the feature.
    var plainNumber: Float {
        switch self {
        case .yarnFastTurns: Float(RotaryEmbedding.yarnFastTurns)
        case .yarnSlowTurns: Float(RotaryEmbedding.yarnSlowTurns)
        case .yarnExtrapolation, .yarnMagnitude, .expertScores, .expertScale: 1
        default: 0
        }
    }

    /// What a flag is there; nil: it is a number.
    var plainFlag: Bool? {
        switch self {
        case .causal: true
        case .parallelResidual: false
        default: nil
        }
    }
}
