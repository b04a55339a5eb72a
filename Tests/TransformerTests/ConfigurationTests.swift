// Models that are refused: every one by the name of what is wrong with it.

import GGUF
import Testing
import Transformer

@Suite("Configuration")
struct ConfigurationTests {
    /// One way to spoil a model, and a word its error must contain.
    struct Spoiled: Sendable, CustomTestStringConvertible {
        let word: String
        let spoil: @Sendable (inout TinyModel) -> Void

        var testDescription: String { word }
    }

    private static func metadata(_ key: String, _ value: TinyModel.Value, _ word: String? = nil) -> Spoiled {
        Spoiled(word: word ?? key) { model in
            model.metadata.removeAll { $0.0 == "llama." + key }
            model.metadata.append(("llama." + key, value))
        }
    }

    private static func tensor(
        _ name: String, _ word: String? = nil, _ change: @escaping @Sendable (inout [Int], inout [Float]) -> Void
    ) -> Spoiled {
        Spoiled(word: word ?? name) { model in
            guard let index = model.tensors.firstIndex(where: { $0.name == name }) else { return }
            var tensor = model.tensors[index]
            change(&tensor.dimensions, &tensor.values)
            model.tensors[index] = tensor
        }
    }

    private static func gemma3(_ key: String, _ value: TinyModel.Value, _ word: String? = nil) -> Spoiled {
        Spoiled(word: word ?? key) { model in
            model = TinyModel(TinyShape(name: "gemma3", architecture: "gemma3", headNorms: .head, postNorms: true))
            model.metadata.append(("gemma3." + key, value))
        }
    }

    private static func experts(_ key: String, _ value: TinyModel.Value, _ word: String? = nil) -> Spoiled {
        Spoiled(word: word ?? key) { model in
            model = TinyModel(
                TinyShape(
                    name: "qwen3moe", architecture: "qwen3moe", neox: true, headNorms: .head, experts: (8, 2, true),
                    metadata: [("expert_feed_forward_length", .uint32(48))]))
            model.metadata.removeAll { $0.0 == key }
            model.metadata.append((key, value))
        }
    }

    static let spoiled: [Spoiled] = [
        Spoiled(word: "mamba") { $0.metadata[0] = ("general.architecture", .string("mamba")) },
        Spoiled(word: "general.architecture") { $0.metadata.removeFirst() },
        Spoiled(word: "sliding window") {
            $0 = TinyModel(TinyShape(name: "qwen2", architecture: "qwen2", neox: true, biases: true))
            $0.metadata.append(("qwen2.attention.sliding_window", .uint32(511)))
        },
        gemma3("attention.sliding_window_pattern", .uint32(0)),
        gemma3("attention.sliding_window_pattern", .bools([true])),
        gemma3("rope.freq_base_swa", .float(0)),
        gemma3("final_logit_softcapping", .float(-30)),
        gemma3("attn_logit_softcapping", .float(30), "soft-capping of attention"),
        metadata("expert_count", .uint32(1 << 31)),
        metadata("expert_count", .uint32(8), "expert_used_count"),
        metadata("expert_shared_count", .uint32(1), "every row"),
        Spoiled(word: "mixture of experts") {
            $0 = TinyModel(TinyShape(name: "qwen2", architecture: "qwen2", neox: true, biases: true))
            $0.metadata.append(("qwen2.expert_count", .uint32(8)))
        },
        experts("qwen3moe.expert_count", .uint32(0)),
        experts("qwen3moe.expert_count", .uint32(1 << 31)),
        experts("qwen3moe.expert_count", .uint32(7), "blk.0.ffn_gate_inp.weight"),
        experts("qwen3moe.expert_used_count", .uint32(0)),
        experts("qwen3moe.expert_used_count", .uint32(9)),
        experts("qwen3moe.expert_used_count", .uint32(1 << 31)),
        experts("qwen3moe.expert_feed_forward_length", .uint32(0)),
        experts("qwen3moe.expert_feed_forward_length", .uint32(1 << 31)),
        experts("qwen3moe.expert_feed_forward_length", .uint32(47), "ffn_gate_exps.weight"),
        experts("qwen3moe.expert_gating_func", .uint32(2), "other than a softmax"),
        metadata("ssm.state_size", .uint32(16), "state-space"),
        metadata("rope.scaling.yarn_log_multiplier", .float(0.1), "YaRN with constants"),
        metadata("rope.scaling.yarn_beta_fast", .float(8)),
        metadata("rope.scaling.type", .string("su"), "su"),
        metadata("rope.scaling.type", .string("longrope"), "rope_factors_short.weight"),
        metadata("rope.scaling.alpha", .float(50), "factor of RoPE's base"),
        metadata("rope.scaling.factor", .float(-2)),
        metadata("rope.scaling.attn_factor", .float(0)),
        metadata("attention.causal", .bool(false), "not causal"),
        metadata("attn_logit_softcapping", .float(30), "soft-capping"),
        metadata("logit_scale", .float(2), "scale of the logits"),
        metadata("residual_scale", .float(0.5), "scale of the residual stream"),
        metadata("block_count", .uint32(0)),
        metadata("block_count", .uint32(4_000_000_000)),
        metadata("block_count", .uint32(3), "blk.2.attn_norm.weight"),
        metadata("block_count", .string("two")),
        metadata("embedding_length", .uint32(4_000_000_000)),
        metadata("embedding_length", .uint32(64), "token_embd.weight"),
        metadata("attention.head_count", .uint32(0)),
        metadata("attention.head_count", .uint32(8), "attn_q.weight"),
        metadata("attention.head_count_kv", .uint32(3)),
        metadata("attention.head_count_kv", .uint32(8)),
        metadata("attention.key_length", .uint32(7)),
        metadata("attention.key_length", .uint32(16), "attention.value_length"),
        metadata("attention.value_length", .uint32(4)),
        metadata("rope.dimension_count", .uint32(10)),
        metadata("rope.dimension_count", .uint32(3)),
        metadata("rope.freq_base", .float(.nan)),
        metadata("rope.freq_base", .float(-1)),
        metadata("attention.layer_norm_rms_epsilon", .float(0)),
        metadata("context_length", .uint32(0)),
        metadata("feed_forward_length", .uint32(47), "ffn_gate.weight"),
        Spoiled(word: "llama.context_length") { $0.metadata.removeAll { $0.0 == "llama.context_length" } },
        Spoiled(word: "blk.1.ffn_up.weight") { $0.tensors.removeAll { $0.name == "blk.1.ffn_up.weight" } },
        Spoiled(word: "token_embd.weight") { $0.tensors.removeAll { $0.name == "token_embd.weight" } },
        Spoiled(word: "ffn_gate_inp.weight") {
            $0.tensors.removeAll { $0.name == "blk.0.ffn_gate.weight" }
            $0.tensors.append(("blk.0.ffn_gate_inp.weight", [32, 8], [Float](repeating: 1, count: 256)))
        },
        Spoiled(word: "attn_q_norm.weight") {
            $0.tensors.append(("blk.0.attn_q_norm.weight", [8], [Float](repeating: 1, count: 8)))
        },
        tensor("token_embd.weight") { dimensions, _ in dimensions = [1_280] },
        tensor("blk.0.attn_norm.weight") { dimensions, values in
            dimensions = [31]
            values.removeLast()
        },
        tensor("blk.1.ffn_norm.weight", "not a number") { _, values in values[3] = .nan },
        tensor("output_norm.weight", "not a number") { _, values in values[31] = .infinity },
        tensor("blk.0.attn_output.weight") { dimensions, _ in dimensions = [16, 64] },
        tensor("output.weight") { dimensions, values in
            dimensions = [32, 39]
            values.removeLast(32)
        },
    ]

    @Test("a model that cannot be run is refused by name", arguments: spoiled)
    func refused(_ spoiled: Spoiled) throws {
        var model = TinyModel(TinyShape.all[0])
        spoiled.spoil(&model)
        let error = #expect(throws: ModelError.self) { try model.load() }
        #expect(error?.description.contains(spoiled.word) == true, "\(error?.description ?? "nothing thrown")")
    }

    @Test(
        "a model without a tensor that its architecture has is refused",
        arguments: [
            ("qwen2", "blk.0.attn_q.bias"),
            ("qwen3", "blk.0.attn_q_norm.weight"),
            ("olmo2", "blk.0.attn_q_norm.weight"),
        ])
    func missingPart(_ architecture: String, _ tensor: String) {
        let model = TinyModel(TinyShape(name: architecture, architecture: architecture))
        #expect(throws: ModelError.missingTensor(tensor)) { try model.load() }
    }

    @Test("granite without a scale of its logits is refused, and one without other scales has none")
    func graniteScales() throws {
        #expect(throws: ModelError.missingKey("granite.logit_scale")) {
            try TinyModel(TinyShape(name: "granite", architecture: "granite")).load()
        }
        let plain = TinyShape(name: "plain", architecture: "granite", metadata: [("logit_scale", .float(2))])
        let configuration = try TinyModel(plain).load().configuration
        #expect(configuration.logitScale == 2 && configuration.residualScale == 1 && configuration.embeddingScale == 1)
        #expect(configuration.attentionScale == 1 / Float(plain.headWidth).squareRoot())
    }

    @Test("a sliding window as long as the context bounds nothing")
    func longWindow() throws {
        var model = TinyModel(TinyShape(name: "qwen2", architecture: "qwen2", neox: true, biases: true))
        model.metadata.append(("qwen2.attention.sliding_window", .uint32(512)))
        #expect(try model.load().configuration.attentionWindow == nil)
    }

    @Test("a RoPE factor of type none, or of 0, scales nothing", arguments: [("none", Float(4)), ("linear", 0)])
    func unscaledRope(_ type: String, _ factor: Float) throws {
        var model = TinyModel(TinyShape(name: "unscaled", ropeScale: factor))
        model.metadata.append(("llama.rope.scaling.type", .string(type)))
        #expect(try model.load().configuration.ropeScale == 1)
    }

    @Test("RoPE factors that are not positive are refused", arguments: [Float(0), -1, .nan, .infinity])
    func ropeFactors(_ factor: Float) {
        var model = TinyModel(TinyShape(name: "factors", ropeFactors: true))
        model.tensors[model.tensors.count - 1].values[1] = factor
        #expect(throws: ModelError.self) { try model.load() }
    }

    @Test("the shape is read")
    func shape() throws {
        let configuration = try TinyModel(TinyShape.all[3]).load().configuration
        #expect(configuration.architecture == "qwen2" && configuration.name == "tiny")
        #expect(configuration.layers == 2 && configuration.width == 32 && configuration.vocabulary == 40)
        #expect(configuration.heads == 4 && configuration.kvHeads == 2 && configuration.groupWidth == 2)
        #expect(configuration.ropeStyle == .neox && configuration.ropeDimensions == 8 && !configuration.tiedHead)
    }
}
