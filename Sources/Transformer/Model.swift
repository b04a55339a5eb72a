// The weights of a Llama-like decoder, every tensor checked against the configuration before it is used.

import CKernels
import GGUF

/// A model ready to run: immutable, its weights read from the mapped file.
public final class Model: Sendable {
    /// The model's shape.
    public let configuration: ModelConfiguration
    let layers: [ModelLayer]
    /// `[vocabulary, width]`.
    let embedding: Linear
    /// `[width]`.
    let outputNorm: FloatBuffer
    /// `[vocabulary, width]`; the embedding where the head is tied.
    let output: Linear
    let rope: RotaryEmbedding
    /// RoPE in one line, for a cache's fingerprint: caches of models that rotate differently do not fit each other.
    public let ropeDescription: String
    /// Whether some matrix is multiplied as bytes.
    let isInteger: Bool
    private let file: GGUFFile

    /// Checks the shape, type and presence of every tensor, and that there is none the forward pass would leave out.
    public convenience init(file: GGUFFile) throws(ModelError) {
        try self.init(file: file, integerProducts: true)
    }

    /// As above; `integerProducts` says whether quantised weights may be multiplied as bytes, if this CPU does that fast.
    package init(file: GGUFFile, integerProducts: Bool) throws(ModelError) {
        let shape = try ModelConfiguration(file)
        // The rows of a head are a slice of a panel.
        let integers = integerProducts && shape.headWidth % Int(CAKED_PANEL_OUTPUTS) == 0
        var tensors = TensorReader(file: file, integers: integers)
        embedding = try tensors.linear("token_embd", inputs: shape.width, outputs: shape.vocabulary)
        var layers: [ModelLayer] = []
        for index in 0..<shape.layers { layers.append(try ModelLayer(index, shape, &tensors)) }
        outputNorm = try tensors.vector("output_norm.weight", count: shape.width)
        output =
            shape.tiedHead
            ? embedding : try tensors.linear("output", inputs: shape.width, outputs: shape.vocabulary)
        let factors = try tensors.optionalVector("rope_freqs.weight", count: shape.ropeDimensions / 2)
        if let factors, let wrong = factors.floats.array.first(where: { !($0.isFinite && $0 > 0) }) {
            throw .invalidValue(key: "rope_freqs.weight", value: "\(wrong)", needed: "a positive number")
        }
        try tensors.refuseUnread()
        self.layers = layers
        isInteger = output.isInteger || layers.contains { layer in layer.matrices.contains { $0.isInteger } }
        rope = RotaryEmbedding(shape, factors: factors?.floats.array)
        ropeDescription =
            "\(shape.ropeStyle.rawValue) base \(shape.ropeBase) dimensions \(shape.ropeDimensions) "
            + "scale \(shape.ropeScale) factors \(factors.map { "\($0.floats.array)" } ?? "none")"
        configuration = shape
        self.file = file
    }

    /// Writes the embedding of `id`, `[width]`.
    func embed(_ id: Int32, into row: Floats) {
        embedding.dequantise(from: Int(id), into: row)
    }

    func check(_ ids: [Int32]) throws(ModelError) {
        let vocabulary = configuration.vocabulary
        for id in ids where id < 0 || id >= vocabulary { throw .tokenOutOfRange(id, vocabulary: vocabulary) }
    }
}

/// The weights of one decoder block, named as in the paper.
struct ModelLayer: Sendable {
    /// `[width]`.
    let attentionNorm: FloatBuffer
    /// `[heads · headWidth, width]`.
    let query: Linear
    /// `[kvHeads · headWidth, width]`.
    let key: Linear
    /// `[kvHeads · headWidth, width]`.
    let value: Linear
    /// `[width, heads · headWidth]`.
    let attentionOutput: Linear
    /// `[width]`.
    let feedForwardNorm: FloatBuffer
    /// `[feedForwardWidth, width]`.
    let gate: Linear
    /// `[feedForwardWidth, width]`.
    let up: Linear
    /// `[width, feedForwardWidth]`.
    let down: Linear

    init(_ index: Int, _ shape: ModelConfiguration, _ tensors: inout TensorReader) throws(ModelError) {
        let queryWidth = shape.heads * shape.headWidth
        let keyWidth = shape.kvHeads * shape.headWidth
        let block = "blk.\(index)."
        attentionNorm = try tensors.vector(block + "attn_norm.weight", count: shape.width)
        query = try tensors.linear(block + "attn_q", inputs: shape.width, outputs: queryWidth)
        key = try tensors.linear(block + "attn_k", inputs: shape.width, outputs: keyWidth)
        value = try tensors.linear(block + "attn_v", inputs: shape.width, outputs: keyWidth)
        attentionOutput = try tensors.linear(block + "attn_output", inputs: queryWidth, outputs: shape.width)
        feedForwardNorm = try tensors.vector(block + "ffn_norm.weight", count: shape.width)
        gate = try tensors.linear(block + "ffn_gate", inputs: shape.width, outputs: shape.feedForwardWidth)
        up = try tensors.linear(block + "ffn_up", inputs: shape.width, outputs: shape.feedForwardWidth)
        down = try tensors.linear(block + "ffn_down", inputs: shape.feedForwardWidth, outputs: shape.width)
        if shape.architecture == "qwen2" {
            for (name, linear) in [("attn_q", query), ("attn_k", key), ("attn_v", value)] where linear.bias == nil {
                throw .missingTensor(block + name + ".bias")
            }
        }
    }

    /// All matrices, in the order in which a tile of rows meets them.
    var matrices: [Linear] { [query, key, value, attentionOutput, gate, up, down] }
}

/// Finds tensors by name, checks type and shape, and remembers which were read.
struct TensorReader {
    let file: GGUFFile
    /// Whether quantised weights may be multiplied as bytes.
    let integers: Bool
    private var read: Set<String> = []

    init(file: GGUFFile, integers: Bool) {
        self.file = file
        self.integers = integers
    }

    /// The matrix `name.weight` of shape `[outputs, inputs]`, with `name.bias` if the file has one.
    mutating func linear(_ name: String, inputs: Int, outputs: Int) throws(ModelError) -> Linear {
        let tensor = try find(name + ".weight", dimensions: [inputs, outputs])
        guard Linear.supportedTypes.contains(tensor.type) else {
            throw .unsupportedTensorType(tensor: tensor.name, type: tensor.type.name)
        }
        let type = caked_type(rawValue: tensor.type.rawValue)
        let bytes = unsafe file.bytes(of: tensor)
        let rowBytes = caked_bytes(type, inputs)
        let needed = rowBytes.multipliedReportingOverflow(by: outputs)
        guard rowBytes > 0, !needed.overflow, needed.partialValue <= bytes.count, let base = bytes.baseAddress
        else {
            throw .wrongShape(tensor: tensor.name, dimensions: tensor.dimensions, expected: [inputs, outputs])
        }
        let bias = try optionalVector(name + ".bias", count: outputs)
        return unsafe Linear(base, type: type, inputs: inputs, outputs: outputs, bias: bias, integers: integers)
    }

    /// A vector, as floats.
    mutating func vector(_ name: String, count: Int) throws(ModelError) -> FloatBuffer {
        let tensor = try find(name, dimensions: [count])
        guard [.f32, .f16, .bf16].contains(tensor.type) else {
            throw .unsupportedTensorType(tensor: name, type: tensor.type.name)
        }
        let bytes = unsafe file.bytes(of: tensor)
        let type = caked_type(rawValue: tensor.type.rawValue)
        guard bytes.count >= caked_bytes(type, count) else {
            throw .wrongShape(tensor: name, dimensions: tensor.dimensions, expected: [count])
        }
        let values = try FloatBuffer(count)
        if let source = bytes.baseAddress { unsafe caked_dequantise(type, source, values.floats.base, count) }
        return values
    }

    mutating func optionalVector(_ name: String, count: Int) throws(ModelError) -> FloatBuffer? {
        file.tensor(name) == nil ? nil : try vector(name, count: count)
    }

    /// A tensor nobody asked for belongs to a network that is not this one (normed queries, gates, adapters).
    func refuseUnread() throws(ModelError) {
        for tensor in file.tensors where !read.contains(tensor.name) { throw .unsupportedTensor(tensor.name) }
    }

    private mutating func find(_ name: String, dimensions: [Int]) throws(ModelError) -> GGUFTensor {
        guard let tensor = file.tensor(name) else { throw .missingTensor(name) }
        // Trailing extents of 1 are the same shape.
        var found = tensor.dimensions
        while found.count > dimensions.count, found.last == 1 { found.removeLast() }
        guard found == dimensions else {
            throw .wrongShape(tensor: name, dimensions: tensor.dimensions, expected: dimensions)
        }
        read.insert(name)
        return tensor
    }
}
