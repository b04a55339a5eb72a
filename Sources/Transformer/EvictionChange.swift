// What evicting an entry would change in the rows that observe it: the distance of its value to each row's output.

import CKernels

/// Distances ‖W_o (o − v)‖ without the width of the model: with M = W_oᵀ W_o of a query head, they are o·Mo − 2 Mo·v + v·Mv.
final class EvictionChange {
    private let shape: ModelConfiguration
    /// The most rows that observe at once.
    private let rows: Int
    /// M of each query head, `[heads, headWidth, headWidth]`.
    private let metric: FloatBuffer
    /// Some rows of W_o as floats, `[projectionRows, heads · headWidth]`.
    private let projection: FloatBuffer
    /// M o of each row, `[rows, heads, headWidth]`, and o·Mo, `[heads, rows]`.
    private let outputs: FloatBuffer
    private let outputSquares: FloatBuffer
    /// 1 / ‖x‖ of each row.
    private let rowScales: FloatBuffer
    private let scratch: [Scratch]
    /// Rows of W_o that are floats at once.
    private static let projectionRows = 256

    /// One worker's room for a tile.
    private final class Scratch {
        /// `[tileKeys, headWidth]`: values as floats, and M v.
        let values: FloatBuffer
        let mapped: FloatBuffer
        /// v·Mv, `[tileKeys]`.
        let squares: FloatBuffer
        /// Mo·v, `[rows, tileKeys]`.
        let products: FloatBuffer

        init(rows: Int, headWidth: Int) throws(ModelError) {
            values = try FloatBuffer(ObservedAttention.tileKeys * headWidth)
            mapped = try FloatBuffer(ObservedAttention.tileKeys * headWidth)
            squares = try FloatBuffer(ObservedAttention.tileKeys)
            products = try FloatBuffer(rows * ObservedAttention.tileKeys)
        }
    }

    init(_ shape: ModelConfiguration, threads: Int, rows: Int) throws(ModelError) {
        self.shape = shape
        self.rows = rows
        metric = try FloatBuffer(shape.heads * shape.headWidth * shape.headWidth)
        projection = try FloatBuffer(min(Self.projectionRows, shape.width) * shape.heads * shape.headWidth)
        outputs = try FloatBuffer(rows * shape.heads * shape.headWidth)
        outputSquares = try FloatBuffer(shape.heads * rows)
        rowScales = try FloatBuffer(rows)
        var scratch: [Scratch] = []
        for _ in 0..<threads { scratch.append(try Scratch(rows: rows, headWidth: shape.headWidth)) }
        self.scratch = scratch
    }

    private func metric(_ head: Int) -> Floats {
        metric.floats.slice(head * shape.headWidth * shape.headWidth, shape.headWidth * shape.headWidth)
    }

    /// Turns to a layer whose output projection is W_o `[width, heads · headWidth]`.
    func begin(outputProjection weights: Linear) {
        let width = shape.heads * shape.headWidth
        metric.floats.fill(0)
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

    /// Keeps the sizes of a tile's rows of the residual stream x `[count, width]`, before the layer adds to it; the tile's first row
    /// is the observers' row `firstRow`, possibly negative.
    func keepSizes(_ x: Floats, rows count: Int, firstRow: Int) {
        for row in max(0, -firstRow)..<count {
            let size = Self.product(x, x, row * shape.width, shape.width).squareRoot()
            rowScales.floats[firstRow + row] = 1 / max(size, .leastNormalMagnitude)
        }
    }

    /// Takes up what the query heads of one KV head made of their attention: o `[count, heads, headWidth]`.
    func keepOutputs(_ attended: Floats, kvHead: Int, rows count: Int) {
        let stride = shape.heads * shape.headWidth
        for head in kvHead * shape.groupWidth..<(kvHead + 1) * shape.groupWidth {
            let offset = head * shape.headWidth
            let target = outputs.floats.slice(offset, outputs.floats.count - offset)
            let source = attended.slice(offset, attended.count - offset)
            // M is its own transpose.
            MatrixProduct.timesTransposed(
                source, stride: stride, metric(head), stride: shape.headWidth, into: target, stride: stride, m: count,
                n: shape.headWidth, k: shape.headWidth)
            for row in 0..<count {
                outputSquares.floats[head * rows + row] = Self.product(source, target, row * stride, shape.headWidth)
            }
        }
    }

    /// Writes each column's largest change over the rows of query head `head`.
    ///
    /// - Parameters:
    ///   - attention: A, `[count, tileKeys]`, of which the first columns are used: as many as `change` has.
    ///   - values: the columns' stored values, row after row.
    @unsafe func observe(
        head: Int, rows count: Int, attention: Floats, values: UnsafeRawPointer, storedAs type: KVRows, worker: Int,
        into change: Floats
    ) {
        let width = shape.headWidth
        let columns = change.count
        let scratch = scratch[worker]
        let value = scratch.values.floats.slice(0, columns * width)
        unsafe caked_dequantise(type.type, values, value.base, value.count)
        MatrixProduct.timesTransposed(
            value, stride: width, metric(head), stride: width, into: scratch.mapped.floats, stride: width, m: columns,
            n: width, k: width)
        for column in 0..<columns {
            scratch.squares.floats[column] = Self.product(value, scratch.mapped.floats, column * width, width)
        }
        let offset = head * width
        MatrixProduct.timesTransposed(
            outputs.floats.slice(offset, outputs.floats.count - offset), stride: shape.heads * width, value,
            stride: width, into: scratch.products.floats, stride: ObservedAttention.tileKeys, m: count, n: columns,
            k: width)
        unsafe caked_observe_change(
            attention.slice(0, count * ObservedAttention.tileKeys).base,
            scratch.products.floats.slice(0, count * ObservedAttention.tileKeys).base, ObservedAttention.tileKeys,
            count, columns, outputSquares.floats.slice(head * rows, count).base, scratch.squares.floats.base,
            rowScales.floats.slice(0, count).base, change.base)
    }

    /// Writes the norm ‖W_o v‖ of what each column's value adds to the residual stream through query head `head`.
    @unsafe func observeNorms(
        head: Int, values: UnsafeRawPointer, storedAs type: KVRows, worker: Int, into norms: Floats
    ) {
        let width = shape.headWidth
        let scratch = scratch[worker]
        let value = scratch.values.floats.slice(0, norms.count * width)
        unsafe caked_dequantise(type.type, values, value.base, value.count)
        MatrixProduct.timesTransposed(
            value, stride: width, metric(head), stride: width, into: scratch.mapped.floats, stride: width,
            m: norms.count, n: width, k: width)
        for column in 0..<norms.count {
            norms[column] = max(0, Self.product(value, scratch.mapped.floats, column * width, width)).squareRoot()
        }
    }

    /// The inner product of `count` elements from `offset` on.
    private static func product(_ one: Floats, _ other: Floats, _ offset: Int, _ count: Int) -> Float {
        let (one, other) = (one.slice(offset, count), other.slice(offset, count))
        var sum: Float = 0
        for i in 0..<count { sum += one[i] * other[i] }
        return sum
    }
}
