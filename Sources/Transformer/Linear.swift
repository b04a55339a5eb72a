// A weight matrix as it lies in the file, and where its product with rows comes from.

import CKernels
import GGUF

/// y = W x + b, with W `[outputs, inputs]` of any supported type, in the mapped file.
@safe struct Linear: @unchecked Sendable {
    /// What products can be computed with.
    ///
    /// A new type needs its kernels, and a row here.
    static let supportedTypes: [TensorType] = [
        .f32, .f16, .bf16, .q8_0, .q4_0, .q4_1, .q5_0, .q5_1, .q4_K, .q5_K, .q6_K,
    ]

    let inputs: Int
    let outputs: Int
    let type: caked_type
    private let weights: UnsafeRawPointer
    /// Bytes of one row of W.
    private let rowBytes: Int
    /// `[outputs]`.
    let bias: FloatBuffer?

    init(_ weights: UnsafeRawPointer, type: caked_type, inputs: Int, outputs: Int, bias: FloatBuffer?) {
        unsafe self.weights = unsafe weights
        self.type = type
        self.inputs = inputs
        self.outputs = outputs
        self.bias = bias
        rowBytes = caked_bytes(type, inputs)
    }

    /// Elements of W.
    var elements: Int { inputs * outputs }

    /// W itself where it needs no dequantising.
    var stored: Floats? {
        guard type == CAKED_F32 else { return nil }
        return unsafe Floats(
            UnsafeMutablePointer(mutating: weights.assumingMemoryBound(to: Float.self)), count: elements)
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
}
