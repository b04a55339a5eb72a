// What evicting an entry would change in the rows that observe it: the distance of its value to each row's output.

import CKernels

/// Distances ‖W_o (o − v)‖ without the width of the model: with M = W_oᵀ W_o of a query head, they are o·Mo − 2 Mo·v +
/// v·Mv.
///
/// A norm behind W_o, where an architecture has one, is left out: the distance is that before it.
final class EvictionChange {
    private let shape: ModelConfiguration
    private let pool: WorkerPool
    /// The most rows that observe at once.
    private let rows: Int
    /// The observed tokens.
    private let tokens: Int
    /// M of each query head, `[heads, headWidth, headWidth]`.
    private let metric: FloatBuffer
    /// Some rows of W_o as floats, `[projectionRows, heads · headWidth]`.
    private let projection: FloatBuffer
    /// M o of each row of one query group, and o·Mo, `[groupWidth, rows]`.
    private let mapped: PackedRows
    private let mappedMemory: FloatBuffer
    private let outputSquares: FloatBuffer
    /// 1 / ‖x‖ of each row.
    private let rowScales: FloatBuffer
    /// v·Mv of each entry, `[heads, tokens]`, and how many of each tile are there, `[heads, tiles]`.
    private let valueSquares: FloatBuffer
    private let known: Cells<UInt8>
    /// The largest change so far of each entry, `[kvHeads, tokens]`.
    private let changes: FloatBuffer
    /// Per worker: values as floats and M v, `[unitRows or tileKeys, headWidth]` each.
    private let scratch: [FloatBuffer]
    /// Rows of W_o that are floats at once.
    private static let projectionRows = 256

    private static let tileKeys = ObservedAttention.tileKeys
    private var tiles: Int { tokens / Self.tileKeys + 1 }
    private var headSize: Int { shape.headWidth * shape.headWidth }

    init(_ shape: ModelConfiguration, pool: WorkerPool, rows: Int, tokens: Int) throws(ModelError) {
        self.shape = shape
        self.pool = pool
        self.rows = rows
        self.tokens = tokens
        metric = try FloatBuffer(shape.heads * shape.headWidth * shape.headWidth)
        projection = try FloatBuffer(min(Self.projectionRows, shape.width) * shape.heads * shape.headWidth)
        mappedMemory = try FloatBuffer(
            PackedRows.size(rows: rows, headWidth: shape.headWidth, groupWidth: shape.groupWidth))
        mapped = PackedRows(
            precision: CAKED_FLOAT, headWidth: shape.headWidth, groupWidth: shape.groupWidth, capacity: rows,
            memory: mappedMemory.floats)
        outputSquares = try FloatBuffer(shape.groupWidth * rows)
        rowScales = try FloatBuffer(rows)
        valueSquares = try FloatBuffer(shape.heads * tokens)
        known = Cells(shape.heads * (tokens / Self.tileKeys + 1), of: 0)
        changes = try FloatBuffer(shape.kvHeads * tokens)
        var scratch: [FloatBuffer] = []
        for _ in 0..<pool.threads {
            scratch.append(try FloatBuffer(2 * max(Self.tileKeys, BlockAttention.unitRows) * shape.headWidth))
        }
        self.scratch = scratch
    }

    private func metric(_ head: Int) -> Floats { metric.floats.slice(head * headSize, headSize) }

    /// Turns to a layer whose output projection is W_o `[width, heads · headWidth]`.
    func begin(outputProjection weights: Linear) {
        let width = shape.heads * shape.headWidth
        metric.floats.fill(0)
        changes.floats.fill(0)
        for index in 0..<known.count { known[index] = 0 }
        for first in stride(from: 0, to: shape.width, by: Self.projectionRows) {
            let count = min(Self.projectionRows, shape.width - first)
            let rows = projection.floats.slice(0, count * width)
            weights.dequantise(from: first, into: rows)
            for head in 0..<shape.heads {
                let offset = head * shape.headWidth
                MatrixProduct.addGram(
                    rows.slice(offset, rows.count - offset), stride: width, into: metric(head), n: shape.headWidth,
                    k: count)
            }
        }
    }

    /// Keeps the sizes of a tile's rows of the residual stream x `[count, width]`, before the layer adds to it; the
    /// tile's first row is the observers' row `firstRow`, possibly negative.
    func keepSizes(_ x: Floats, rows count: Int, firstRow: Int) {
        for row in max(0, -firstRow)..<count {
            let size = Self.product(x, x, row * shape.width, shape.width).squareRoot()
            rowScales.floats[firstRow + row] = 1 / max(size, .leastNormalMagnitude)
        }
    }

    /// Takes up what the query heads of one KV head made of their attention: o `[count, heads, headWidth]`.
    func keepOutputs(_ attended: Floats, kvHead: Int, rows count: Int) {
        let units = (count + BlockAttention.unitRows - 1) / BlockAttention.unitRows
        var outputs = MapOutputs(change: self, attended: attended, kvHead: kvHead, rows: count, units: units)
        unsafe pool.run(units * shape.groupWidth, on: &outputs) { outputs, task, worker in
            let (j, unit) = unsafe task.quotientAndRemainder(dividingBy: outputs.pointee.units)
            unsafe outputs.pointee.change.map(outputs.pointee, j, unit, worker)
        }
    }

    private struct MapOutputs {
        let change: EvictionChange
        let attended: Floats
        let kvHead: Int
        let rows: Int
        let units: Int
    }

    private func map(_ outputs: MapOutputs, _ j: Int, _ unit: Int, _ worker: Int) {
        let (stride, width) = (shape.heads * shape.headWidth, shape.headWidth)
        let head = outputs.kvHead * shape.groupWidth + j
        let first = unit * BlockAttention.unitRows
        let count = min(BlockAttention.unitRows, outputs.rows - first)
        let source = outputs.attended.slice(first * stride + head * width, (count - 1) * stride + width)
        let target = scratch[worker].floats.slice(0, count * width)
        // M is its own transpose.
        MatrixProduct.timesTransposed(
            source, stride: stride, metric(head), stride: width, into: target, stride: width, m: count, n: width,
            k: width)
        for row in 0..<count {
            outputSquares.floats[j * rows + first + row] = Self.product(
                source.slice(row * stride, width), target.slice(row * width, width), 0, width)
        }
        mapped.pack(target, stride: width, count: count, head: j, unit: unit)
    }

    /// The largest changes so far of some entries of a KV head.
    func largest(kvHead: Int, firstToken: Int, count: Int) -> Floats {
        changes.floats.slice(kvHead * tokens + firstToken, count)
    }

    /// What a kernel needs to judge a tile of entries for a query head; pointers are valid until the next call for its
    /// tokens.
    @unsafe func judge(
        head: Int, firstToken: Int, _ entries: Entries, rows count: Int, worker: Int
    ) -> caked_change {
        let squares = squares(head: head, firstToken: firstToken, entries, worker)
        let j = head % shape.groupWidth
        return unsafe caked_change(
            mapped: mapped.head(j).base, mapped_step: mapped.unit,
            out_squares: outputSquares.floats.slice(j * rows, count).base,
            row_scales: rowScales.floats.slice(0, count).base, values: entries.values, value_squares: squares.base)
    }

    /// v·Mv of a tile of entries, computed once a layer.
    private func squares(head: Int, firstToken: Int, _ entries: Entries, _ worker: Int) -> Floats {
        let squares = valueSquares.floats.slice(head * tokens + firstToken, entries.count)
        // Tiles that start elsewhere are those of a method that observes parts: nobody comes back to them.
        let tile = firstToken.isMultiple(of: Self.tileKeys) ? head * tiles + firstToken / Self.tileKeys : nil
        if tile.map({ known[$0] < UInt8(entries.count) }) ?? true {
            square(entries, head: head, worker, into: squares)
            if let tile { known[tile] = UInt8(entries.count) }
        }
        return squares
    }

    private func square(_ entries: Entries, head: Int, _ worker: Int, into squares: Floats) {
        let width = shape.headWidth
        let value = scratch[worker].floats.slice(0, entries.count * width)
        let mapped = scratch[worker].floats.slice(value.count, value.count)
        unsafe caked_dequantise(entries.rows.type, entries.values, value.base, value.count)
        MatrixProduct.timesTransposed(
            value, stride: width, metric(head), stride: width, into: mapped, stride: width, m: entries.count,
            n: width, k: width)
        for entry in 0..<entries.count { squares[entry] = Self.product(value, mapped, entry * width, width) }
    }

    /// Writes the norm ‖W_o v‖ of what each entry's value adds to the residual stream through query head `head`.
    func observeNorms(head: Int, firstToken: Int, _ entries: Entries, worker: Int, into norms: Floats) {
        let squares = squares(head: head, firstToken: firstToken, entries, worker)
        for entry in 0..<entries.count { norms[entry] = max(0, squares[entry]).squareRoot() }
    }

    /// The inner product of `count` elements from `offset` on.
    private static func product(_ one: Floats, _ other: Floats, _ offset: Int, _ count: Int) -> Float {
        let (one, other) = (one.slice(offset, count), other.slice(offset, count))
        var sum: Float = 0
        for i in 0..<count { sum += one[i] * other[i] }
        return sum
    }
}
