// Rows of a weight matrix made ready for products with rows of activations.

import CKernels

/// Some outputs of W: floats for a dense product on OpenBLAS, or re-tiled quants where the CPU multiplies bytes.
struct DensePanel {
    let inputs: Int
    let outputs: Int
    /// How the weights are stored in the file whose panel this is (`caked_panel_fill`); F32: floats `[outputs,
    /// inputs]`.
    let type: caked_type
    let memory: Floats

    /// Whether it is multiplied with rows as bytes.
    var isInteger: Bool { type != CAKED_F32 }

    /// Floats' worth of memory that `outputs` rows need.
    static func size(_ type: caked_type, inputs: Int, outputs: Int) -> Int {
        type == CAKED_F32
            ? inputs * outputs : caked_panel_bytes(type, inputs, outputs) / MemoryLayout<Float>.stride
    }

    /// The `count` outputs from `first` on; of bytes, `first` is a multiple of 16.
    func slice(_ first: Int, _ count: Int) -> DensePanel {
        precondition(!isInteger || first % Int(CAKED_PANEL_OUTPUTS) == 0, "outputs of a panel lie together")
        let offset = Self.size(type, inputs: inputs, outputs: first)
        let size = Self.size(type, inputs: inputs, outputs: count)
        return DensePanel(inputs: inputs, outputs: count, type: type, memory: memory.slice(offset, size))
    }

    /// y `[rows, outputs]` = x Wᵀ + bias, with `stride` floats between the rows of y.
    func multiply(_ x: DenseRows, into y: Floats, stride: Int, bias: Floats?) {
        precondition(x.inputs == inputs && (x.count == 0 || y.count >= (x.count - 1) * stride + outputs))
        precondition((bias?.count ?? outputs) == outputs)
        if isInteger {
            precondition(x.quantised.count >= DenseRows.quantisedSize(rows: x.count, inputs: inputs))
            unsafe caked_panel_matmul(
                type, memory.base, inputs, outputs, x.quantised.base, x.count, y.base, stride, bias?.base)
            return
        }
        if let bias { for row in 0..<x.count { y.slice(row * stride, outputs).copy(from: bias) } }
        MatrixProduct.timesTransposed(
            x.floats, stride: inputs, memory, stride: inputs, into: y, stride: stride, m: x.count, n: outputs,
            k: inputs, adding: bias != nil)
    }
}

/// Rows of activations, `[count, inputs]`, and room for them as bytes.
struct DenseRows {
    let count: Int
    let inputs: Int
    let floats: Floats
    /// What `quantise` has written; used with panels of bytes only.
    let quantised: Floats

    /// Rows that lie together as bytes.
    static let tileRows = Int(CAKED_INT8_ROWS)

    /// Floats' worth of memory that `rows` rows need as bytes.
    static func quantisedSize(rows: Int, inputs: Int) -> Int {
        caked_int8_rows_bytes(inputs, rows) / MemoryLayout<Float>.stride
    }

    /// The `count` rows from `first` on: whole tiles.
    func slice(_ first: Int, _ count: Int) -> DenseRows {
        precondition(
            first % Self.tileRows == 0 && (count % Self.tileRows == 0 || first + count == self.count),
            "rows of a tile lie together")
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
        let source = floats.slice(first * inputs, rows * inputs)
        let bytes = quantised.slice(
            Self.quantisedSize(rows: first, inputs: inputs), Self.quantisedSize(rows: rows, inputs: inputs))
        unsafe caked_int8_rows(source.base, inputs, rows, inputs, bytes.base)
    }
}
