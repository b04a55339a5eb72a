// A weight matrix as it lies in the file, and where its product with rows comes from.

import CKernels
import GGUF

/// y = W x + b, with W `[outputs, inputs]` of any supported type, in the mapped file.
@safe struct Linear: @unchecked Sendable {
    // Unchecked: the weights are read only, and the model keeps their file mapped.
    /// What products can be computed with.
    ///
    /// A new type needs its kernels, and a row here.
    static let supportedTypes: [TensorType] =
        [
            .f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q4_K, .q5_K, .q6_K, .q2_K, .q3_K, .iq4_NL, .iq4_XS,
            .mxfp4,
        ] + TensorType.ternary + TensorType.lattices

    let inputs: Int
    let outputs: Int
    let type: caked_type
    private let weights: UnsafeRawPointer
    /// Bytes of one row of W.
    private let rowBytes: Int
    /// `[outputs]`.
    let bias: FloatBuffer?
    /// Whether products are products of bytes: the same bits from a panel and straight from the stored weights.
    let isInteger: Bool
    /// W re-tiled once for the model's life, where the model does that.
    var repacked: DensePanel?

    /// - Parameter integers: whether quantised weights may be multiplied as bytes, if this CPU does that fast.
    init(
        _ weights: UnsafeRawPointer, type: caked_type, inputs: Int, outputs: Int, bias: FloatBuffer?, integers: Bool
    ) {
        unsafe self.weights = unsafe weights
        self.type = type
        self.inputs = inputs
        self.outputs = outputs
        self.bias = bias
        rowBytes = caked_bytes(type, inputs)
        isInteger = integers && caked_int8_is_fast() && caked_panel_bytes(type, inputs, outputs) > 0
    }

    /// Elements of W.
    var elements: Int { inputs * outputs }

    /// W itself where it needs no preparation for dense products.
    var prepared: DensePanel? {
        if let repacked { return repacked }
        guard type == CAKED_F32 else { return nil }
        let floats = unsafe Floats(
            UnsafeMutablePointer(mutating: weights.assumingMemoryBound(to: Float.self)), count: elements)
        return DensePanel(inputs: inputs, outputs: outputs, type: CAKED_F32, memory: floats)
    }

    /// Floats' worth of memory of a panel of all outputs.
    var panelSize: Int { DensePanel.size(panelType, inputs: inputs, outputs: outputs) }

    private var panelType: caked_type { isInteger ? type : CAKED_F32 }

    /// A panel of some outputs in `memory`, yet to be filled.
    func panel(in memory: Floats, outputs: Int) -> DensePanel {
        let size = DensePanel.size(panelType, inputs: inputs, outputs: outputs)
        return DensePanel(inputs: inputs, outputs: outputs, type: panelType, memory: memory.slice(0, size))
    }

    /// Fills a panel with the outputs from `first` on.
    func fill(_ panel: DensePanel, from first: Int) {
        precondition(panel.inputs == inputs && first >= 0 && first + panel.outputs <= outputs)
        guard panel.isInteger else { return dequantise(from: first, into: panel.memory) }
        precondition(panel.type == type)
        unsafe caked_panel_fill(type, weights, inputs, first, panel.outputs, panel.memory.base)
    }

    /// A panel of the outputs from `first` on: in `scratch` where W itself is none.
    func floats(from first: Int, _ outputs: Int, _ scratch: Floats) -> DensePanel {
        if let prepared { return prepared.slice(first, outputs) }
        let panel = panel(in: scratch, outputs: outputs)
        fill(panel, from: first)
        return panel
    }

    /// Writes the rows of W from `first` on, as many as fit `into`.
    func dequantise(from first: Int, into: Floats) {
        let rows = into.count / inputs
        precondition(first >= 0 && first + rows <= outputs)
        unsafe caked_dequantise(type, weights + first * rowBytes, into.base, rows * inputs)
    }

    /// y[r, o] for `first <= o < first + count`, straight from the stored weights: for few rows.
    func multiply(_ x: Floats, rows: Int, first: Int, count: Int, into y: Floats) {
        precondition(first >= 0 && first + count <= outputs && x.count >= rows * inputs && y.count >= rows * outputs)
        unsafe caked_matmul(
            type, weights, inputs, first, count, x.base, inputs, rows, y.base, outputs, bias?.floats.base)
    }

    /// The same from rows as bytes.
    func multiplyBytes(_ x: DenseRows, first: Int, count: Int, into y: Floats) {
        precondition(first >= 0 && first + count <= outputs && x.inputs == inputs && y.count >= x.count * outputs)
        precondition(x.quantised.count >= DenseRows.quantisedSize(rows: x.count, inputs: inputs))
        unsafe caked_int8_matmul(
            type, weights, inputs, first, count, x.quantised.base, x.count, y.base, outputs, bias?.floats.base)
    }
}
