// The model's products and attention alone, on random numbers, as the forward pass runs them: what a bench measures.

import CKernels
import GGUF

/// y = W x for some rows of activations: from a panel for many rows, or where weights are multiplied as bytes; straight
/// from the stored weights for few rows.
package final class ProductProbe {
    private let weights: FloatBuffer
    private let linear: Linear
    private let panel: DensePanel?
    private let panelMemory: FloatBuffer
    private let x: FloatBuffer
    private let y: FloatBuffer
    private let quantised: FloatBuffer
    private let scratch: [FloatBuffer]
    private let rows: Int
    private let pool: WorkerPool

    /// - Parameter fill: writes so many bytes of weights at an address.
    package init(
        type: TensorType, inputs: Int, outputs: Int, rows: Int, pool: WorkerPool,
        fill: (UnsafeMutableRawPointer, Int) -> Void
    ) throws(ModelError) {
        let type = caked_type(rawValue: type.rawValue)
        let bytes = caked_bytes(type, inputs) * outputs
        weights = try FloatBuffer((bytes + 3) / 4)
        unsafe fill(UnsafeMutableRawPointer(weights.floats.base), bytes)
        linear = unsafe Linear(
            UnsafeRawPointer(weights.floats.base), type: type, inputs: inputs, outputs: outputs, bias: nil,
            integers: true)
        self.rows = rows
        self.pool = pool
        x = try FloatBuffer(rows * inputs)
        y = try FloatBuffer(rows * outputs)
        for index in 0..<x.floats.count { x.floats[index] = Float(index % 251) / 251 - 0.5 }
        quantised = try FloatBuffer(linear.isInteger ? DenseRows.quantisedSize(rows: rows, inputs: inputs) : 0)
        var scratch: [FloatBuffer] = []
        for _ in 0..<pool.threads { scratch.append(try FloatBuffer(RowProducts.blockOutputs * inputs)) }
        self.scratch = scratch
        let hasPanel = rows >= RowRange.denseRows || linear.isInteger
        panelMemory = try FloatBuffer(hasPanel && linear.prepared == nil ? linear.panelSize : 0)
        panel = hasPanel ? linear.prepared ?? linear.panel(in: panelMemory.floats, outputs: outputs) : nil
        fillPanel()
    }

    /// Whether the product is one of bytes.
    package var multipliesBytes: Bool { panel?.isInteger ?? false }

    /// Makes the weights ready for many rows, as prefill does once a layer where the model does not keep
    /// them; nothing for few.
    package func fillPanel() {
        guard panel != nil, linear.prepared == nil else { return }
        var fill = PanelFill()
        _ = fill.add(linear, in: panelMemory.floats)
        fill.run(on: pool)
    }

    /// Multiplies once.
    package func run() {
        var products = RowProducts(
            x: x.floats, ranges: [RowRange(first: 0, count: rows, isDense: rows >= RowRange.denseRows)],
            [RowProducts.Target(linear: linear, panel: panel, y: y.floats)], scratch: scratch.map(\.floats),
            quantised: quantised.floats)
        products.run(on: pool)
    }
}

/// Attention of a tile of a document's rows to itself and to all rows before it.
package final class BlockAttentionProbe {
    private let keys: HeadRows
    private let query: FloatBuffer
    private let attended: FloatBuffer
    private let scratch: [AttentionScratch]
    private let shape: (heads: Int, kvHeads: Int, headWidth: Int)
    private let rows: Int
    private let keysBefore: Int
    private let pool: WorkerPool

    /// A tile of `rows` rows behind `keysBefore` others.
    package init(
        heads: Int, kvHeads: Int, headWidth: Int, rows: Int, keysBefore: Int, stored: KVRows, pool: WorkerPool
    ) throws(ModelError) {
        shape = (heads, kvHeads, headWidth)
        self.rows = rows
        self.keysBefore = keysBefore
        self.pool = pool
        keys = try HeadRows(
            rows: stored, heads: kvHeads, headWidth: headWidth, capacity: keysBefore + rows, meter: KVMeter())
        query = try FloatBuffer(rows * heads * headWidth)
        attended = try FloatBuffer(rows * heads * headWidth)
        for index in 0..<query.floats.count { query.floats[index] = Float(index % 251) / 251 - 0.5 }
        let row = try FloatBuffer(headWidth)
        for head in 0..<kvHeads {
            for index in 0..<keysBefore + rows {
                for i in 0..<headWidth { row.floats[i] = Float((index * 31 + i * 7) % 127) / 127 - 0.5 }
                keys.store(head: head, row: index, key: row.floats, value: row.floats)
            }
        }
        var scratch: [AttentionScratch] = []
        for _ in 0..<pool.threads {
            scratch.append(try AttentionScratch(headWidth: headWidth, groupWidth: heads / kvHeads))
        }
        self.scratch = scratch
    }

    /// As a quantised model attends.
    private static var precision: caked_precision { caked_bfloat_is_fast() ? CAKED_BFLOAT : CAKED_FLOAT }

    /// Operations of `run`: a product with each key seen, and one with its value.
    package var operations: Double {
        4 * Double(shape.heads * shape.headWidth) * Double(rows) * (Double(keysBefore) + Double(rows + 1) / 2)
    }

    /// Attends once.
    package func run() {
        var attention = BlockAttention(
            precision: Self.precision, bounds: AttentionBounds(scale: 1, window: nil, cap: nil, sinks: nil),
            headWidth: shape.headWidth, groupWidth: shape.heads / shape.kvHeads, kvHeads: shape.kvHeads, rows: rows,
            position: keysBefore, query: query.floats, firstHead: 0,
            runs: (0..<shape.kvHeads).map {
                keys.entries(head: $0, count: keysBefore + rows, seenByFirst: keysBefore + 1)
            },
            runsPerHead: 1, attended: attended.floats, logSums: nil, scratch: scratch)
        attention.run(on: pool)
    }
}
