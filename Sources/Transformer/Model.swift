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
    /// Whether some matrix is multiplied as bytes.
    let isInteger: Bool
    private let file: GGUFFile
    /// Where the panels are that matrices were re-tiled to; nil: none was.
    private let repacked: RepackedWeights?

    /// Checks the shape, type and presence of every tensor, and that there is none the forward pass would leave out.
    public convenience init(file: GGUFFile) throws(ModelError) {
        try self.init(file: file, integerProducts: true)
    }

    /// The same, with weights re-tiled by the threads of `pool` as `repacking` says.
    public convenience init(file: GGUFFile, repacking: Repacking, pool: WorkerPool) throws(ModelError) {
        try self.init(file: file, integerProducts: true, repacking: repacking, pool: pool)
    }

    /// As above; `integerProducts` says whether quantised weights may be multiplied as bytes, if this CPU does that fast.
    package init(
        file: GGUFFile, integerProducts: Bool, repacking: Repacking = .off, pool: WorkerPool? = nil
    ) throws(ModelError) {
        let shape = try ModelConfiguration(file)
        // The rows of a head are a slice of a panel.
        let integers = integerProducts && shape.headWidth % Int(CAKED_PANEL_OUTPUTS) == 0
        var tensors = TensorReader(file: file, integers: integers)
        embedding = try tensors.linear("token_embd", inputs: shape.width, outputs: shape.vocabulary)
        var layers: [ModelLayer] = []
        for index in 0..<shape.layers { layers.append(try ModelLayer(index, shape, &tensors)) }
        outputNorm = try tensors.vector("output_norm.weight", count: shape.width)
        var output =
            shape.tiedHead
            ? embedding : try tensors.linear("output", inputs: shape.width, outputs: shape.vocabulary)
        let factors = try tensors.optionalVector("rope_freqs.weight", count: shape.ropeDimensions / 2)
        if let factors, let wrong = factors.floats.array.first(where: { !($0.isFinite && $0 > 0) }) {
            throw .invalidValue(key: "rope_freqs.weight", value: "\(wrong)", needed: "a positive number")
        }
        try tensors.refuseUnread()
        isInteger = output.isInteger || layers.contains { layer in layer.matrices.contains { $0.isInteger } }
        repacked = try pool.flatMap { pool throws(ModelError) in
            try Self.repack(&layers, &output, repacking, pool: pool, file: file)
        }
        self.layers = layers
        self.output = output
        rope = RotaryEmbedding(shape, factors: factors?.floats.array)
        configuration = shape
        self.file = file
    }

    /// Re-tiles every matrix that is multiplied as bytes; nil when there is none or memory is short.
    private static func repack(
        _ layers: inout [ModelLayer], _ output: inout Linear, _ repacking: Repacking, pool: WorkerPool, file: GGUFFile
    ) throws(ModelError) -> RepackedWeights? {
        func size(_ linear: Linear) -> Int { linear.isInteger ? linear.panelSize : 0 }
        let count = layers.reduce(size(output)) { $1.matrices.reduce($0) { $0 + size($1) } }
        guard count > 0, repacking.applies(bytes: count * MemoryLayout<Float>.stride) else { return nil }
        let memory = try RepackedWeights(count)
        var offset = 0
        func repack(_ linear: inout Linear, _ fill: inout PanelFill) {
            guard linear.isInteger else { return }
            linear.repacked = fill.add(linear, in: memory.floats.slice(offset, linear.panelSize))
            offset += linear.panelSize
        }
        for index in layers.indices {
            var fill = PanelFill()
            for matrix in ModelLayer.matrices { repack(&layers[index][keyPath: matrix], &fill) }
            fill.run(on: pool)
            file.releasePages()
        }
        var fill = PanelFill()
        repack(&output, &fill)
        fill.run(on: pool)
        file.releasePages()
        return memory
    }

    /// Whether products read re-tiled weights, and the file only serves embeddings.
    public var isRepacked: Bool { repacked != nil }

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
    fileprivate(set) var query: Linear
    /// `[kvHeads · headWidth, width]`.
    fileprivate(set) var key: Linear
    /// `[kvHeads · headWidth, width]`.
    fileprivate(set) var value: Linear
    /// `[width, heads · headWidth]`.
    fileprivate(set) var attentionOutput: Linear
    /// `[width]`.
    let feedForwardNorm: FloatBuffer
    /// `[feedForwardWidth, width]`.
    fileprivate(set) var gate: Linear
    /// `[feedForwardWidth, width]`.
    fileprivate(set) var up: Linear
    /// `[width, feedForwardWidth]`.
    fileprivate(set) var down: Linear

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

    fileprivate static var matrices: [WritableKeyPath<ModelLayer, Linear>] {
        [\.query, \.key, \.value, \.attentionOutput, \.gate, \.up, \.down]
    }
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
