// Models of every stored type: what they compute is what their weights as floats compute; other types are refused.

import CKernels
import GGUF
import Testing
import Transformer

@Suite("Stored types")
struct StoredTypeTests {
    let pool: WorkerPool

    init() throws { pool = try WorkerPool(threads: 2) }

    /// The types of a model's matrices, in turns.
    struct Mixture: Sendable, CustomTestStringConvertible {
        var types: [TensorType]
        var testDescription: String { types.map(\.name).joined(separator: " and ") }
    }

    /// Those with products of bytes; others are unpacked to floats.
    static let multiplied: [TensorType] = [
        .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q4_K, .q5_K, .q6_K, .q3_K, .iq4_NL, .iq4_XS,
        .mxfp4,
    ]

    static let mixtures =
        ([
            .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q4_K, .q5_K, .q6_K, .q2_K, .q3_K, .iq4_NL, .iq4_XS, .mxfp4,
        ] + TensorType.ternary + TensorType.lattices).map { Mixture(types: [$0]) }
        + [
            Mixture(types: [.q4_K, .q4_K, .q6_K]), Mixture(types: [.f16, .q5_0, .bf16]),
            Mixture(types: [.q2_K, .q3_K, .q6_K]), Mixture(types: [.iq4_XS, .q5_K]),
        ]

    @Test("a model computes what its weights as floats compute", arguments: mixtures)
    func sameLogits(_ mixture: Mixture) throws {
        var model = TinyModel(TinyShape(name: "wide", width: 256, headWidth: 64, feedForwardWidth: 512))
        model.store(mixture.types)
        var floats = model
        floats.stored = [:]
        let stored = try model.load(integerProducts: false)
        let reference = try floats.load()
        var random = TestRandom(state: 7)
        let ids = random.ids(40, below: model.shape.vocabulary)
        // All at once takes the dense products, one by one those from the stored weights.
        let together = try reference.logits(ids: ids, pool: pool)
        expectSame(try stored.logits(ids: ids, pool: pool), together)
        let decoders = try [stored, reference].map { try Decoder(model: $0, pool: pool) }
        let sequences = try [stored, reference].map { try Sequence(model: $0, base: nil, rows: .f32) }
        for id in ids {
            let logits = try zip(decoders, sequences).map { try $0.step([Decoder.Piece($1, [id])]).array(0) }
            expectSame(logits[0], logits[1])
        }
    }

    @Test(
        "experts compute what their weights as floats compute, from bytes nearly",
        arguments: [[.q8_0], [.q4_K, .q4_K, .q6_K], [.f16, .q5_0, .bf16]].map { Mixture(types: $0) })
    func experts(_ mixture: Mixture) throws {
        // All of them are used: a choice between two that are nearly equal falls either way.
        var shape = TinyShape(name: "experts", experts: (5, 5, true))
        (shape.width, shape.headWidth, shape.feedForwardWidth) = (256, 64, 256)
        var model = TinyModel(shape)
        model.store(mixture.types)
        var floats = model
        floats.stored = [:]
        var random = TestRandom(state: 7)
        let ids = random.ids(40, below: model.shape.vocabulary)
        let expected = try floats.load().logits(ids: ids, pool: pool)
        expectSame(try model.load(integerProducts: false).logits(ids: ids, pool: pool), expected)
        let bytes = try model.load()
        let logits = try bytes.logits(ids: ids, pool: pool)
        #expect(distance(logits, expected.map(Double.init)) < 0.1)
        #expect(try model.load(repacking: .on, pool: pool).logits(ids: ids, pool: pool) == logits)
    }

    @Test(
        "products of bytes err by what rounded activations explain, the same alone and together", .needsByteProducts,
        arguments: mixtures)
    func integerLogits(_ mixture: Mixture) throws {
        var model = TinyModel(TinyShape(name: "wide", width: 256, headWidth: 64, feedForwardWidth: 512))
        model.store(mixture.types)
        let bytes = try model.load()
        let floats = try model.load(integerProducts: false)
        var random = TestRandom(state: 7)
        let ids = random.ids(40, below: model.shape.vocabulary)
        let together = try bytes.logits(ids: ids, pool: pool)
        #expect(distance(together, try floats.logits(ids: ids, pool: pool).map(Double.init)) < 0.1)
        guard mixture.types.allSatisfy({ Self.multiplied.contains($0) }) else { return }
        // Quants are multiplied alike however many rows there are, re-tiled or straight from the file.
        let decoder = try Decoder(model: bytes, pool: pool)
        let sequence = try Sequence(model: bytes, base: nil, rows: .f32)
        var alone: [Float] = []
        // Few enough that attention is that of a decode step; that of many rows may multiply bfloats.
        let few = Array(ids[..<8])
        for id in few { alone = try decoder.step([Decoder.Piece(sequence, [id])]).array(0) }
        #expect(alone == (try bytes.logits(ids: few, pool: pool)))
        let repacked = try model.load(repacking: .on, pool: pool)
        #expect(repacked.isRepacked && !bytes.isRepacked)
        #expect(try repacked.logits(ids: ids, pool: pool) == together)
    }

    /// Logits of about 1, from sums of up to 512 products that were added in another order.
    private func expectSame(_ logits: [Float], _ expected: [Float]) {
        #expect(expected.contains { abs($0) > 0.5 } && logits.allSatisfy(\.isFinite))
        #expect(distance(logits, expected.map(Double.init)) < 5e-6)
    }

    static let refused = (0...UInt32(63)).compactMap(TensorType.init(rawValue:)).filter { type in
        !([.f32, .f16, .bf16] + mixtures.flatMap(\.types)).contains(type)
    }

    @Test("every other type is refused by its name", arguments: refused)
    func refusedTypes(_ type: TensorType) throws {
        var model = TinyModel(TinyShape(name: "wide", width: 256, headWidth: 64, feedForwardWidth: 512))
        let count = 256 * 256 / type.blockElements * type.blockBytes
        model.stored["blk.1.attn_q.weight"] = (type, [UInt8](repeating: 0, count: count))
        #expect(throws: ModelError.unsupportedTensorType(tensor: "blk.1.attn_q.weight", type: type.name)) {
            try model.load()
        }
    }
}

extension Trait where Self == ConditionTrait {
    /// Skips a test, by this name, where the set of kernels in use has no products of bytes.
    static var needsByteProducts: Self {
        .enabled(if: KernelSet.current.multipliesBytes, "the kernels in use have no products of bytes")
    }
}

extension TinyModel {
    /// Replaces every matrix by random blocks of the types in turn, and its values by what those stand for.
    mutating func store(_ types: [TensorType], seed: UInt64 = 5) {
        var random = TestRandom(state: seed)
        var matrices = 0
        for index in tensors.indices where tensors[index].dimensions.count > 1 {
            let type = types[matrices % types.count]
            matrices += 1
            let count = tensors[index].values.count
            let bytes = (0..<count / type.blockElements).flatMap { _ in Self.block(type, &random) }
            stored[tensors[index].name] = (type, bytes)
            unsafe caked_dequantise(caked_type(rawValue: type.rawValue), bytes, &tensors[index].values, count)
        }
    }

    /// Random quants under fixed scales that make weights between -0.1 and 0.1.
    private static func block(_ type: TensorType, _ random: inout TestRandom) -> [UInt8] {
        let scales: [(offset: Int, value: Float16)] =
            switch type {
            case .q8_0: [(0, 7e-4)]
            case .q4_0: [(0, 0.012)]
            case .q4_1: [(0, 0.012), (2, -0.09)]
            case .q5_0: [(0, 0.006)]
            case .q5_1: [(0, 0.006), (2, -0.09)]
            case .q4_K: [(0, 1.9e-4), (2, 1.4e-3)]
            case .q5_K: [(0, 9e-5), (2, 1.4e-3)]
            case .q6_K: [(208, 2.4e-5)]
            case .q2_K: [(80, 1.5e-3), (82, 2e-3)]
            case .q3_K: [(108, 7e-4)]
            case .iq4_NL: [(0, 7e-4)]
            case .iq4_XS: [(0, 2.4e-5)]
            case TensorType.ternary[0]: [(52, 0.05)]
            case TensorType.ternary[1]: [(64, 0.05)]
            case let type where ["IQ2_XXS", "IQ2_XS", "IQ2_S"].contains(type.name): [(0, 5e-4)]
            case let type where ["IQ3_XXS", "IQ3_S"].contains(type.name): [(0, 2e-4)]
            case let type where type.name == "IQ1_S": [(0, 5e-3)]
            case .f16: [(0, Float16(random.unit() * 0.2 - 0.1))]
            default: []
            }
        if type == .bf16 {
            let bits = Float(random.unit() * 0.2 - 0.1).bitPattern
            return [UInt8(truncatingIfNeeded: bits >> 16), UInt8(bits >> 24)]
        }
        var block = (0..<type.blockBytes).map { _ in UInt8(random.unit() * 256) }
        // An exponent, and a half float in the upper nibbles of four bytes.
        if type == .mxfp4 { block[0] = 121 }
        if type.name == "IQ1_M" {
            for k in 0..<4 { block[49 + 2 * k] = block[49 + 2 * k] & 15 | UInt8(0x1d1f >> (4 * k) & 15) << 4 }
        }
        for (offset, value) in scales {
            block[offset] = UInt8(truncatingIfNeeded: value.bitPattern)
            block[offset + 1] = UInt8(value.bitPattern >> 8)
        }
        return block
    }
}
