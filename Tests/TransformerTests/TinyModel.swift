// Small random models as GGUF bytes, and a forward pass in double precision that reads like the paper: the oracle.

import Foundation
import GGUF
import Testing
import Transformer

/// The shape of a random model; one row of a test's table.
struct TinyShape: Sendable, CustomTestStringConvertible {
    var name: String
    var architecture = "llama"
    var layers = 2
    var width = 32
    var heads = 4
    var kvHeads = 2
    var headWidth = 8
    var feedForwardWidth = 48
    var vocabulary = 40
    var contextLength = 512
    var ropeDimensions: Int?
    var ropeFactors = false
    var ropeScale: Float?
    /// The context that YaRN extends by `ropeScale`.
    var yarnContext: Int?
    /// What RoPE multiplies rotated elements with.
    var ropeMagnitude: Float?
    /// Every so many-th layer is not rotated: what the architecture has, for the reference.
    var unrotatedEvery: Int?
    var neox = false
    var biases = false
    /// What norms of queries and keys span.
    var headNorms: HeadNorms?
    /// Whether those come after RoPE.
    var headNormsFollowRotation = false
    /// Tensors that hold several matrices, one behind the other, by their names.
    var fused: [(tensor: String, parts: [String])] = []
    /// LongRoPE's factors: whether the context asks for the long ones.
    var longFactors: Bool?
    /// RoPE's base and YaRN's magnitude as metadata beyond these make them: for the reference.
    var ropeBaseFactor = 1.0
    var yarnMagnitudeFactor = 1.0
    /// s of the factor 1 + s ln(⌊p / context⌋ + 1) of queries, and its context.
    var temperature: (scale: Float, context: Int)?
    /// The norm before the feed-forward half.
    var feedForwardNorm = "ffn_norm"
    /// Whether norms stand behind the two halves of a block, and whether only there.
    var postNorms = false
    var preNorms: Bool { !postNorms || ["glm4", "gemma2", "gemma3"].contains(architecture) }
    /// Whether gates go through GELU and the embedding is scaled by √width, as Gemma's.
    var isGemma: Bool { architecture.hasPrefix("gemma") }
    /// Every so many-th layer has RoPE's base and scale, the others this base alone: for the reference.
    var localRope: (globalEvery: Int, base: Double)?
    /// What scores are divided by the square root of: for the reference.
    var scoreWidth: Int?
    /// The last tokens that rows of all but every so many-th layer see.
    var window: (tokens: Int, period: Int)?
    /// The same, where the file says it of each layer.
    var windowsListed: [Bool]?
    /// Whether layers that see everything are not rotated: for the reference.
    var rotatesWindowsOnly = false
    /// Soft caps of scores and logits: for the reference, where they are what the architecture has.
    var caps: (attention: Double, logits: Double)?
    /// Whether heads have a score for nothing.
    var hasSinks = false
    /// Whether gates are held in seven, as gpt-oss's.
    var isClamped: Bool { architecture == "gpt-oss" }
    var tied = false
    /// Experts in place of one feed-forward block, of `feedForwardWidth` elements each.
    var experts: (count: Int, used: Int, isRenormalised: Bool)?
    /// Factors of the embedding, of scores, of what is added to the residual stream, and of logits, by which they are
    /// divided.
    var scales: Scales?
    /// Metadata beyond those of the shape, under the architecture's name.
    var metadata: [(String, TinyModel.Value)] = []

    struct Scales: Sendable {
        var embedding: Float
        var attention: Float
        var residual: Float
        var logits: Float
    }

    enum HeadNorms { case head, row }

    static let windows = TinyShape(
        name: "gemma3 as published: windows", architecture: "gemma3", layers: 4, ropeScale: 8, neox: true,
        headNorms: .head, postNorms: true, localRope: (2, 500), window: (24, 2), tied: true,
        metadata: [("rope.freq_base_swa", .float(500))])

    static let sinks = TinyShape(
        name: "gpt-oss: windows, sinks, experts with biases", architecture: "gpt-oss", layers: 3, headWidth: 16,
        ropeScale: 4, yarnContext: 512, neox: true, biases: true, feedForwardNorm: "post_attention_norm",
        window: (24, 2), hasSinks: true, experts: (6, 3, true),
        metadata: [("expert_feed_forward_length", .uint32(48))])

    static let mixture = TinyShape(name: "llama with experts", experts: (5, 2, true))

    static let fusedMatrices = [
        (tensor: "attn_qkv", parts: ["attn_q", "attn_k", "attn_v"]), (tensor: "ffn_up", parts: ["ffn_gate", "ffn_up"]),
    ]

    var testDescription: String { name }

    /// The last tokens that a row of a layer sees; nil: all.
    func window(layer: Int) -> Int? {
        if let windowsListed { return windowsListed[layer] ? 24 : nil }
        return window.flatMap { (layer + 1) % $0.period == 0 ? nil : $0.tokens }
    }

    static let all = [
        TinyShape(name: "grouped queries"),
        TinyShape(name: "as many KV heads as heads", kvHeads: 4),
        TinyShape(name: "one KV head", kvHeads: 1),
        TinyShape(name: "qwen2: biases, NeoX RoPE", architecture: "qwen2", neox: true, biases: true),
        TinyShape(name: "qwen3: norms of heads", architecture: "qwen3", neox: true, headNorms: .head),
        TinyShape(
            name: "olmo2: norms behind, and of whole rows", architecture: "olmo2", neox: true, headNorms: .row,
            postNorms: true),
        TinyShape(
            name: "exaone4: norms behind, and of heads", architecture: "exaone4", neox: true, headNorms: .head,
            postNorms: true),
        TinyShape(
            name: "seed_oss: another name of a norm", architecture: "seed_oss", neox: true, biases: true,
            feedForwardNorm: "post_attention_norm"),
        TinyShape(name: "phi3: fused matrices", architecture: "phi3", neox: true, fused: fusedMatrices),
        TinyShape(
            name: "phi3: factors of a long context", architecture: "phi3", ropeMagnitude: 1.2, neox: true,
            fused: fusedMatrices, longFactors: true,
            metadata: [("rope.scaling.original_context_length", .uint32(256))]),
        TinyShape(
            name: "LongRoPE under llama, a short context", longFactors: false,
            metadata: [("rope.scaling.type", .string("longrope"))]),
        TinyShape(
            name: "glm4: norms around, biases of fused matrices", architecture: "glm4", ropeDimensions: 4,
            biases: true, fused: fusedMatrices, postNorms: true),
        TinyShape(
            name: "hunyuan-dense: norms of heads behind RoPE, a factor of its base", architecture: "hunyuan-dense",
            neox: true, headNorms: .head, headNormsFollowRotation: true, ropeBaseFactor: pow(50, 8.0 / 6),
            metadata: [("rope.scaling.alpha", .float(50))]),
        TinyShape(
            name: "mistral3: a temperature, YaRN with a logarithm", architecture: "mistral3", headWidth: 16,
            ropeScale: 4, yarnContext: 16, yarnMagnitudeFactor: 1 / (1 + 0.1 * 0.75 * log(4)), temperature: (0.25, 16),
            metadata: [
                ("rope.scaling.yarn_log_multiplier", .float(0.75)), ("attention.temperature_scale", .float(0.25)),
            ]),
        TinyShape(name: "gemma: GELU, a scaled embedding", architecture: "gemma", neox: true, tied: true),
        TinyShape(
            name: "gemma3: another RoPE in most layers", architecture: "gemma3", layers: 4, ropeScale: 8, neox: true,
            headNorms: .head, postNorms: true, localRope: (3, 500), tied: true,
            metadata: [
                ("attention.sliding_window", .uint32(512)), ("attention.sliding_window_pattern", .uint32(3)),
                ("rope.freq_base_swa", .float(500)),
            ]),
        TinyShape(
            name: "gemma3 of 62 layers: another scale of scores", architecture: "gemma3", layers: 62, width: 16,
            heads: 2, kvHeads: 1, neox: true, headNorms: .head, postNorms: true, localRope: (6, 10_000),
            scoreWidth: 8, tied: true),
        TinyShape(
            name: "gemma2: soft caps, its own", architecture: "gemma2", layers: 3, neox: true, postNorms: true,
            window: (24, 2), caps: (50, 30), tied: true),
        TinyShape(
            name: "gemma2: soft caps of the file, all in its window", architecture: "gemma2", neox: true,
            postNorms: true, caps: (0.75, 4), tied: true,
            metadata: [
                ("attn_logit_softcapping", .float(0.75)), ("final_logit_softcapping", .float(4)),
                ("attention.sliding_window", .uint32(512)),
            ]),
        TinyShape(
            name: "gemma3: a soft cap of logits", architecture: "gemma3", neox: true, headNorms: .head, postNorms: true,
            localRope: (6, 10_000), caps: (0, 4), tied: true, metadata: [("final_logit_softcapping", .float(4))]),
        TinyShape(
            name: "olmo2: YaRN where all is seen", architecture: "olmo2", layers: 3, headWidth: 16, ropeScale: 4,
            yarnContext: 512, neox: true, headNorms: .row, postNorms: true, localRope: (3, 1_000), window: (24, 3)),
        TinyShape(
            name: "olmo2: windows that the file lists", architecture: "olmo2", layers: 2, neox: true, headNorms: .row,
            postNorms: true, windowsListed: [true, false],
            metadata: [
                ("attention.sliding_window", .uint32(24)),
                ("attention.sliding_window_pattern", .bools([true, false])),
            ]),
        TinyShape(
            name: "exaone4: RoPE in windows alone", architecture: "exaone4", layers: 4, neox: true, headNorms: .head,
            postNorms: true, window: (24, 2), rotatesWindowsOnly: true),
        windows, sinks,
        mixture, TinyShape(name: "one expert", experts: (1, 1, true)),
        TinyShape(
            name: "qwen3moe: experts of their own width", architecture: "qwen3moe", neox: true, headNorms: .head,
            experts: (16, 4, true), metadata: [("expert_feed_forward_length", .uint32(48))]),
        TinyShape(
            name: "olmoe: weights of experts as they are", architecture: "olmoe", neox: true, headNorms: .row,
            experts: (8, 3, false)),
        TinyShape(
            name: "granite: scales", architecture: "granite",
            scales: Scales(embedding: 3, attention: 0.2, residual: 0.4, logits: 2.5)),
        TinyShape(
            name: "granite without RoPE", architecture: "granite", unrotatedEvery: 1,
            scales: Scales(embedding: 3, attention: 0.2, residual: 0.4, logits: 2.5),
            metadata: [("rope.scaling.finetuned", .bool(false))]),
        TinyShape(name: "smollm3: layers without RoPE", architecture: "smollm3", layers: 5, unrotatedEvery: 4),
        TinyShape(name: "llama with biases", biases: true),
        TinyShape(name: "Llama 3.1's RoPE factors", ropeFactors: true),
        TinyShape(
            name: "linear RoPE scaling", ropeScale: 4, metadata: [("rope.scaling.type", .string("linear"))]),
        TinyShape(name: "a RoPE factor without a type", ropeScale: 4),
        TinyShape(name: "YaRN", headWidth: 16, ropeScale: 4, yarnContext: 512),
        TinyShape(name: "RoPE with a magnitude", ropeMagnitude: 1.25),
        TinyShape(name: "a sliding window under llama", metadata: [("attention.sliding_window", .uint32(16))]),
        TinyShape(name: "partial RoPE", ropeDimensions: 4),
        TinyShape(name: "heads wider than width / heads", headWidth: 16),
        TinyShape(name: "tied head", tied: true),
    ]
}

/// SplitMix64, so that every run has the same weights.
struct TestRandom {
    var state: UInt64

    mutating func unit() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
    }

    mutating func floats(_ count: Int, scale: Double, around mean: Double = 0) -> [Float] {
        (0..<count).map { _ in Float(mean + (unit() * 2 - 1) * scale) }
    }

    mutating func ids(_ count: Int, below vocabulary: Int) -> [Int32] {
        (0..<count).map { _ in Int32(unit() * Double(vocabulary)) }
    }
}

/// A random model: its tensors, its file, and what it should compute.
struct TinyModel {
    enum Value {
        case string(String), uint32(UInt32), float(Float), bool(Bool), bools([Bool])
    }

    let shape: TinyShape
    var metadata: [(String, Value)]
    /// Name, dimensions (fastest first) and floats.
    var tensors: [(name: String, dimensions: [Int], values: [Float])] = []
    /// Type and bytes of tensors that are not F32, by name.
    var stored: [String: (type: TensorType, bytes: [UInt8])] = [:]
    let ropeFactors: [Float]?
    /// Those that are parts of others.
    private var parts: [(name: String, dimensions: [Int], values: [Float])] = []

    init(_ shape: TinyShape, seed: UInt64 = 1) {
        self.shape = shape
        var random = TestRandom(state: seed)
        let a = shape.architecture + "."
        metadata = [
            ("general.architecture", .string(shape.architecture)), ("general.name", .string("tiny")),
            (a + "block_count", .uint32(UInt32(shape.layers))), (a + "embedding_length", .uint32(UInt32(shape.width))),
            (a + "attention.head_count", .uint32(UInt32(shape.heads))),
            (a + "attention.head_count_kv", .uint32(UInt32(shape.kvHeads))),
            (a + "attention.key_length", .uint32(UInt32(shape.headWidth))),
            (a + "attention.value_length", .uint32(UInt32(shape.headWidth))),
            (a + "feed_forward_length", .uint32(UInt32(shape.feedForwardWidth))),
            (a + "context_length", .uint32(UInt32(shape.contextLength))),
            (a + "attention.layer_norm_rms_epsilon", .float(1e-5)), (a + "rope.freq_base", .float(1_000)),
        ]
        if let dimensions = shape.ropeDimensions {
            metadata.append((a + "rope.dimension_count", .uint32(UInt32(dimensions))))
        }
        if let scale = shape.ropeScale {
            metadata.append((a + "rope.scaling.factor", .float(scale)))
        }
        if let context = shape.yarnContext {
            metadata += [
                (a + "rope.scaling.type", .string("yarn")),
                (a + "rope.scaling.original_context_length", .uint32(UInt32(context))),
                (a + "rope.scaling.yarn_beta_fast", .float(32)), (a + "rope.scaling.yarn_beta_slow", .float(1)),
            ]
        }
        if let magnitude = shape.ropeMagnitude {
            metadata.append((a + "rope.scaling.attn_factor", .float(magnitude)))
        }
        if let scales = shape.scales {
            metadata += [
                (a + "embedding_scale", .float(scales.embedding)), (a + "attention.scale", .float(scales.attention)),
                (a + "residual_scale", .float(scales.residual)), (a + "logit_scale", .float(scales.logits)),
            ]
        }
        if let window = shape.window {
            metadata += [
                (a + "attention.sliding_window", .uint32(UInt32(window.tokens))),
                (a + "attention.sliding_window_pattern", .uint32(UInt32(window.period))),
            ]
        }
        if let experts = shape.experts {
            metadata += [
                (a + "expert_count", .uint32(UInt32(experts.count))),
                (a + "expert_used_count", .uint32(UInt32(experts.used))),
            ]
        }
        metadata += shape.metadata.map { (a + $0.0, $0.1) }
        let half = (shape.ropeDimensions ?? shape.headWidth) / 2
        let isScaled = shape.ropeFactors || shape.longFactors != nil
        ropeFactors = isScaled ? (0..<half).map { 1 + Float($0 * $0) } : nil

        var tensors: [(name: String, dimensions: [Int], values: [Float])] = []
        func matrix(_ name: String, _ inputs: Int, _ outputs: Int, bias: Bool = false) {
            let scale = 1.5 / Double(inputs).squareRoot()
            tensors.append((name + ".weight", [inputs, outputs], random.floats(inputs * outputs, scale: scale)))
            if bias { tensors.append((name + ".bias", [outputs], random.floats(outputs, scale: 0.5))) }
        }
        func norm(_ name: String, _ count: Int? = nil) {
            let count = count ?? shape.width
            tensors.append((name, [count], random.floats(count, scale: 0.3, around: 1)))
        }
        let queryWidth = shape.heads * shape.headWidth
        let keyWidth = shape.kvHeads * shape.headWidth
        tensors.append(
            (
                "token_embd.weight", [shape.width, shape.vocabulary],
                random.floats(shape.width * shape.vocabulary, scale: 1)
            ))
        for layer in 0..<shape.layers {
            let block = "blk.\(layer)."
            if shape.preNorms { norm(block + "attn_norm.weight") }
            if shape.postNorms { norm(block + "post_attention_norm.weight") }
            matrix(block + "attn_q", shape.width, queryWidth, bias: shape.biases)
            matrix(block + "attn_k", shape.width, keyWidth, bias: shape.biases)
            matrix(block + "attn_v", shape.width, keyWidth, bias: shape.biases)
            matrix(block + "attn_output", queryWidth, shape.width, bias: shape.hasSinks)
            if shape.hasSinks {
                tensors.append((block + "attn_sinks.weight", [shape.heads], random.floats(shape.heads, scale: 2)))
            }
            if let span = shape.headNorms {
                norm(block + "attn_q_norm.weight", span == .head ? shape.headWidth : queryWidth)
                norm(block + "attn_k_norm.weight", span == .head ? shape.headWidth : keyWidth)
            }
            if shape.preNorms { norm(block + shape.feedForwardNorm + ".weight") }
            if shape.postNorms { norm(block + "post_ffw_norm.weight") }
            let (outer, inner) = (shape.width, shape.feedForwardWidth)
            for (name, inputs, outputs) in [("gate", outer, inner), ("up", outer, inner), ("down", inner, outer)] {
                guard let count = shape.experts?.count else {
                    matrix(block + "ffn_" + name, inputs, outputs)
                    continue
                }
                matrix(block + "ffn_\(name)_exps", inputs, outputs * count, bias: shape.biases)
                for index in tensors.indices.suffix(shape.biases ? 2 : 1) {
                    tensors[index].dimensions = tensors[index].dimensions.dropLast() + [outputs, count]
                }
            }
            if let experts = shape.experts { matrix(block + "ffn_gate_inp", outer, experts.count, bias: shape.biases) }
        }
        norm("output_norm.weight")
        if !shape.tied { matrix("output", shape.width, shape.vocabulary) }
        if let ropeFactors {
            guard let isLong = shape.longFactors else {
                self.tensors = tensors + [("rope_freqs.weight", [half], ropeFactors)]
                return
            }
            let others = ropeFactors.map { 2 * $0 }
            tensors.append(("rope_factors_long.weight", [half], isLong ? ropeFactors : others))
            tensors.append(("rope_factors_short.weight", [half], isLong ? others : ropeFactors))
        }
        self.tensors = tensors
        fuse()
    }

    /// Puts matrices that lie in one tensor there.
    private mutating func fuse() {
        for layer in 0..<shape.layers {
            for (tensor, names) in shape.fused {
                for suffix in [".weight", ".bias"] {
                    let fused = names.compactMap { name in
                        tensors.first { $0.name == "blk.\(layer).\(name)\(suffix)" }
                    }
                    guard let first = fused.first else { continue }
                    parts += fused
                    tensors.removeAll { tensor in fused.contains { $0.name == tensor.name } }
                    let outputs = fused.reduce(0) { $0 + ($1.dimensions.last ?? 0) }
                    tensors.append(
                        (
                            "blk.\(layer).\(tensor)\(suffix)", first.dimensions.dropLast() + [outputs],
                            fused.flatMap(\.values)
                        ))
                }
            }
        }
    }

    /// The model as a GGUF file of version 3, tensors F32 where `stored` has nothing else.
    var bytes: [UInt8] {
        var out: [UInt8] = []
        func number(_ value: some FixedWidthInteger) {
            var rest = UInt64(truncatingIfNeeded: value)
            for _ in 0..<value.bitWidth / 8 {
                out.append(UInt8(truncatingIfNeeded: rest))
                rest >>= 8
            }
        }
        func text(_ value: String) {
            number(UInt64(value.utf8.count))
            out += Array(value.utf8)
        }
        out += Array("GGUF".utf8)
        number(UInt32(3))
        number(UInt64(tensors.count))
        number(UInt64(metadata.count))
        for (key, value) in metadata {
            text(key)
            switch value {
            case .uint32(let value):
                number(UInt32(4))
                number(value)
            case .float(let value):
                number(UInt32(6))
                number(value.bitPattern)
            case .bool(let value):
                number(UInt32(7))
                number(UInt8(value ? 1 : 0))
            case .string(let value):
                number(UInt32(8))
                text(value)
            case .bools(let values):
                number(UInt32(9))
                number(UInt32(7))
                number(UInt64(values.count))
                out += values.map { $0 ? 1 : 0 }
            }
        }
        var offset = 0
        for tensor in tensors {
            text(tensor.name)
            number(UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { number(UInt64(dimension)) }
            number(stored[tensor.name]?.type.rawValue ?? 0)
            number(UInt64(offset))
            offset += ((stored[tensor.name]?.bytes.count ?? tensor.values.count * 4) + 31) / 32 * 32
        }
        while out.count % 32 != 0 { out.append(0) }
        for tensor in tensors {
            if let bytes = stored[tensor.name]?.bytes {
                out += bytes
            } else {
                for value in tensor.values { number(value.bitPattern) }
            }
            while out.count % 32 != 0 { out.append(0) }
        }
        return out
    }

    func load(
        integerProducts: Bool = true, repacking: Repacking = .off, pool: WorkerPool? = nil
    ) throws -> Model {
        try Model(
            file: GGUFFile(copying: bytes), integerProducts: integerProducts, repacking: repacking, pool: pool)
    }

    func values(_ name: String) -> [Double] {
        (parts + tensors).first { $0.name == name }?.values.map(Double.init) ?? []
    }
}

extension Model {
    /// The logits `[vocabulary]` behind the last of `ids`, with rows kept as floats: the exact forward pass.
    func logits(ids: [Int32], pool: WorkerPool, rows: KVRows = .f32) throws -> [Float] {
        let sequence = try Sequence(model: self, base: nil, rows: rows)
        return try Decoder(model: self, pool: pool).feed(ids, to: sequence)
    }
}
