// Rows of a weight matrix made ready for products with many rows of activations.

import CKernels

/// Some outputs of W: floats for a dense product on OpenBLAS, or re-tiled bytes where the CPU multiplies those.
struct DensePanel {
    let inputs: Int
    let outputs: Int
    /// Whether `memory` holds a panel of bytes (`caked_panel_fill`); floats `[outputs, inputs]` otherwise.
    let isInteger: Bool
    let memory: Floats

    /// Floats' worth of memory that `outputs` rows need.
    static func size(isInteger: Bool, inputs: Int, outputs: Int) -> Int {
        isInteger ? caked_panel_bytes(inputs, outputs) / MemoryLayout<Float>.stride : inputs * outputs
    }

    /// The `count` outputs from `first` on; of bytes, `first` is a multiple of 16.
    func slice(_ first: Int, _ count: Int) -> DensePanel {
        precondition(!isInteger || first % Int(CAKED_PANEL_OUTPUTS) == 0, "outputs of a panel lie together")
        let offset = Self.size(isInteger: isInteger, inputs: inputs, outputs: first)
        let size = Self.size(isInteger: isInteger, inputs: inputs, outputs: count)
        return DensePanel(inputs: inputs, outputs: count, isInteger: isInteger, memory: memory.slice(offset, size))
    }

    /// y `[rows, outputs]` = x Wᵀ + bias, with `stride` floats between the rows of y.
    func multiply(_ x: DenseRows, into y: Floats, stride: Int, bias: Floats?) {
        precondition(x.inputs == inputs && (x.count == 0 || y.count >= (x.count - 1) * stride + outputs))
        precondition((bias?.count ?? outputs) == outputs)
        if isInteger {
            precondition(x.quantised.count >= DenseRows.quantisedSize(rows: x.count, inputs: inputs))
            unsafe caked_panel_matmul(
                memory.base, inputs, outputs, x.quantised.base, x.count, y.base, stride, bias?.base)
            return
        }
        if let bias { for row in 0..<x.count { y.slice(row * stride, outputs).copy(from: bias) } }
        MatrixProduct.timesTransposed(
            x.floats, stride: inputs, memory, stride: inputs, into: y, stride: stride, m: x.count, n: outputs,
            k: inputs, adding: bias != nil)
    }
}

/// Rows of activations `[count, inputs]`, and room for the same rows as bytes.
struct DenseRows {
    let count: Int
    let inputs: Int
    let floats: Floats
    /// What `quantise` has written; used with panels of bytes only.
    let quantised: Floats

    /// Rows that lie together as bytes.
    static let tileRows = Int(CAKED_INT8_ROWS)

    /// Floats' worth of memory that `rows` rows need as bytes, whole tiles of them.
    static func quantisedSize(rows: Int, inputs: Int) -> Int {
        caked_int8_rows_bytes(inputs, rows) / MemoryLayout<Float>.stride
    }

    /// The `count` rows from `first` on, which starts a tile.
    func slice(_ first: Int, _ count: Int) -> DenseRows {
        precondition(first % Self.tileRows == 0, "rows of a tile lie together")
        let isQuantised = quantised.count > 0
        let bytes = quantised.slice(
            isQuantised ? Self.quantisedSize(rows: first, inputs: inputs) : 0,
            isQuantised ? Self.quantisedSize(rows: count, inputs: inputs) : 0)
        return DenseRows(
            count: count, inputs: inputs, floats: floats.slice(first * inputs, count * inputs), quantised: bytes)
    }

    /// Tiles of all rows.
    var tiles: Int { (count + Self.tileRows - 1) / Self.tileRows }

    /// Writes the bytes of a tile of rows.
    func quantise(tile: Int) {
        let first = tile * Self.tileRows
        let rows = min(Self.tileRows, count - first)
        let size = Self.quantisedSize(rows: Self.tileRows, inputs: inputs)
        let source = floats.slice(first * inputs, rows * inputs)
        unsafe caked_int8_rows(source.base, inputs, rows, inputs, quantised.slice(tile * size, size).base)
    }
}
