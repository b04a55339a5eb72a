// What a model's arithmetic amounts to: bytes and operations per token, from the file's tensors.

import GGUF
import Transformer

/// Bytes and operations of a model's matrices and of its attention.
struct ModelCosts: Encodable {
    /// Bytes of the blocks' matrices and of the head, as stored: what decoding a token reads.
    let block_bytes: Int
    let head_bytes: Int
    /// Multiply-adds of one token in the blocks' matrices, and in the head.
    let block_weights: Int
    let head_weights: Int
    let is_quantised: Bool
    let file_bytes: Int
    private let shape: ModelConfiguration

    private enum CodingKeys: CodingKey {
        case block_bytes, head_bytes, block_weights, head_weights, is_quantised, file_bytes
    }

    init(path: String, shape: ModelConfiguration) throws {
        let file = try GGUFFile(path: path)
        let matrices = file.tensors.filter { $0.name.hasPrefix("blk.") && $0.dimensions.count > 1 }
        let head = file.tensor("output.weight") ?? file.tensor("token_embd.weight")
        // Of experts, those that a row goes to.
        block_bytes = matrices.reduce(0) { sum, tensor in
            guard let experts = shape.experts, tensor.dimensions.count == 3 else { return sum + tensor.byteCount }
            return sum + tensor.byteCount / experts.count * experts.used
        }
        head_bytes = head?.byteCount ?? 0
        head_weights = head?.elementCount ?? 0
        is_quantised = matrices.contains { ![.f32, .f16, .bf16].contains($0.type) }
        file_bytes = file.fileBytes
        block_weights = shape.layers * shape.blockWeights
        self.shape = shape
    }

    /// Bytes of so many entries for each layer and head.
    func cacheBytes(entries: Int, _ rows: KVRows) -> Int {
        shape.layers * shape.kvHeads * rows.bytes(entries: entries, headWidth: shape.headWidth)
    }

    /// Bytes that decoding one token reads, over a cache of so many entries per layer and head.
    func decodeBytes(entries: Int, rows: KVRows) -> Int {
        block_bytes + head_bytes + cacheBytes(entries: entries, rows)
    }

    /// Operations of reading a document in the matrices: the last layer needs keys and values alone, and nothing the
    /// head.
    func prefillOperations(tokens: Int) -> Double {
        2 * Double(tokens) * Double((shape.layers - 1) * shape.blockWeights + shape.keyValueWeights)
    }

    /// Operations of its attention in all layers but the last: a product with each key before, and one with its value.
    func prefillAttentionOperations(tokens: Int) -> Double {
        let pairs = Double(tokens) * Double(tokens + 1) / 2
        return 2 * pairs * Double(shape.attentionWeights) * Double(shape.layers - 1)
    }

    /// Seconds that reading a document takes at least.
    func prefillSeconds(tokens: Int, limits: Limits) -> Double {
        prefillOperations(tokens: tokens) / (limits.productPeak(isQuantised: is_quantised).gops * 1e9)
            + prefillAttentionOperations(tokens: tokens) / (limits.attentionPeak.gops * 1e9)
    }

    /// Seconds that a decoded token takes at least.
    func decodeSeconds(entries: Int, rows: KVRows, limits: Limits) -> Double {
        limits.seconds(reading: Double(decodeBytes(entries: entries, rows: rows)))
    }
}
