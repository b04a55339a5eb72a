// The weights of a decoder, every tensor checked against the configuration before it is used.

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
    /// How the heads of its layers turn: all alike, or those that see everything and those that see a window.
    let ropes: [RotaryEmbedding]
    /// What the gate of a feed-forward block goes through.
    let gate: Architecture.Gate
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

    /// As above; `integerProducts` says whether quantised weights may be multiplied as bytes, if this CPU does that
    /// fast.
    package init(
        file: GGUFFile, integerProducts: Bool, repacking: Repacking = .off, pool: WorkerPool? = nil
    ) throws(ModelError) {
        let shape = try ModelConfiguration(file)
        let architecture = try Architecture.named(shape.architecture)
        // The rows of a head are a slice of a panel.
        let integers = integerProducts && shape.headWidth % Int(CAKED_PANEL_OUTPUTS) == 0
        var tensors = TensorReader(file: file, integers: integers)
        embedding = try tensors.linear("token_embd", inputs: shape.width, outputs: shape.vocabulary)
        var ropes = [RotaryEmbedding(shape, factors: try RopeFactors.read(shape, &tensors))]
        if let base = shape.localRopeBase { ropes.append(RotaryEmbedding(local: shape, base: base)) }
        self.ropes = ropes
        gate = architecture.gate
        var layers: [ModelLayer] = []
        for index in 0..<shape.layers {
            layers.append(try ModelLayer(index, shape, architecture, ropes, &tensors))
        }
        outputNorm = try tensors.vector("output_norm.weight", count: shape.width)
        var output =
            shape.tiedHead
            ? embedding : try tensors.linear("output", inputs: shape.width, outputs: shape.vocabulary)
        try tensors.refuseUnread()
        isInteger =
            output.isInteger
            || layers.contains { layer in
                layer.experts?.isInteger == true || layer.matrices.contains { $0.isInteger }
            }
        repacked = try pool.flatMap { pool throws(ModelError) in
            try Self.repack(&layers, &output, repacking, pool: pool, file: file)
        }
        self.layers = layers
        self.output = output
        configuration = shape
        self.file = file
    }

    /// Re-tiles every matrix that is multiplied as bytes, but those of experts, most of which a row does not meet; nil
    /// when there is none or memory is short.
    private static func repack(
        _ layers: inout [ModelLayer], _ output: inout Linear, _ repacking: Repacking, pool: WorkerPool, file: GGUFFile
    ) throws(ModelError) -> RepackedWeights? {
        func size(_ linear: Linear) -> Int { linear.isInteger ? linear.panelSize : 0 }
        let count = layers.reduce(size(output)) { $1.matrices.reduce($0) { $0 + size($1) } }
        guard count > 0, repacking.applies(bytes: count * MemoryLayout<Float>.stride) else { return nil }
        let memory = try RepackedWeights(count)
        var offset = 0
        func panel(of linear: Linear, _ fill: inout PanelFill) -> DensePanel? {
            guard linear.isInteger else { return nil }
            defer { offset += linear.panelSize }
            return fill.add(linear, in: memory.floats.slice(offset, linear.panelSize))
        }
        for index in layers.indices {
            var fill = PanelFill()
            for matrix in LayerMatrix.allCases.prefix(layers[index].matrices.count) {
                guard let panel = panel(of: layers[index][matrix], &fill) else { continue }
                layers[index].repack(matrix, panel)
            }
            fill.run(on: pool)
            file.releasePages()
        }
        var fill = PanelFill()
        output.repacked = panel(of: output, &fill)
        fill.run(on: pool)
        file.releasePages()
        return memory
    }

    /// Whether products read re-tiled weights, and the file only serves embeddings.
    public var isRepacked: Bool { repacked != nil }

    /// Writes the embedding of `id`, `[width]`.
    func embed(_ id: Int32, into row: Floats) {
        embedding.dequantise(from: Int(id), into: row)
        row.multiply(by: configuration.embeddingScale)
    }

    func check(_ ids: [Int32]) throws(ModelError) {
        let vocabulary = configuration.vocabulary
        for id in ids where id < 0 || id >= vocabulary { throw .tokenOutOfRange(id, vocabulary: vocabulary) }
    }
}
