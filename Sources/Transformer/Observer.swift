// The rows that observe or check a layer: their queries, normalisers and, for a branch, its own keys.

import CAKE
import CKernels

/// Room for the observing rows of a prefill, allocated once.
final class Observer {
    /// The most rows that observe at once.
    let rows: Int
    /// `[rows, heads, headWidth]`: rotated and scaled queries, and what a branch's attention makes of them.
    let query: FloatBuffer
    let attended: FloatBuffer
    /// ln Σ e^score, `[heads, rows]`.
    let logSums: FloatBuffer
    /// What evicting an entry would change, or what its value adds; nil when the method does not ask.
    let change: EvictionChange?
    private let weighsValues: Bool

    private let model: Model
    private let pool: WorkerPool
    /// `[rows, width]`: the normed rows of a branch, for its keys and values.
    private let normed: FloatBuffer
    /// The same rows as bytes, where products need them.
    private let quantised: FloatBuffer
    /// RoPE's angles of a branch's rows, `[rows, half]`.
    private let cosines: FloatBuffer
    private let sines: FloatBuffer
    private let moments: ObservedMoments
    /// The queries of one group, packed.
    private let packed: PackedRows
    private let packedMemory: FloatBuffer

    /// Without a method nothing is observed: the rows only read.
    init(
        _ model: Model, pool: WorkerPool, rows: Int, observedTokens: Int, firstPosition: Int, method: Method?
    ) throws(ModelError) {
        let shape = model.configuration
        self.model = model
        self.pool = pool
        self.rows = rows
        query = try FloatBuffer(rows * shape.heads * shape.headWidth)
        attended = try FloatBuffer(rows * shape.heads * shape.headWidth)
        logSums = try FloatBuffer(rows * shape.heads)
        weighsValues = method?.weighsValues == true
        change =
            method?.observesChange == true
            ? try EvictionChange(shape, pool: pool, rows: rows, tokens: observedTokens) : nil
        normed = try FloatBuffer(rows * shape.width)
        quantised = try FloatBuffer(
            model.isInteger ? DenseRows.quantisedSize(rows: rows, inputs: shape.width) : 0)
        cosines = try FloatBuffer(rows * model.rope.half)
        sines = try FloatBuffer(rows * model.rope.half)
        moments = try ObservedMoments(groupWidth: shape.groupWidth, tokens: observedTokens)
        packedMemory = try FloatBuffer(
            PackedRows.size(rows: rows, headWidth: shape.headWidth, groupWidth: shape.groupWidth))
        packed = PackedRows(
            precision: model.attentionPrecision, headWidth: shape.headWidth, groupWidth: shape.groupWidth,
            capacity: rows, memory: packedMemory.floats)
        var angles = FillAngles(
            rows: rows, firstPosition: firstPosition, rope: model.rope, cosines: cosines.floats, sines: sines.floats)
        angles.run(on: pool)
    }

    /// Keeps the queries of a tile's rows; the tile's first row is the observers' row `firstRow`, possibly negative.
    func keepQueries(of block: Block, rows count: Int, firstRow: Int) {
        keep(block.query, in: query, width: model.configuration.heads * model.configuration.headWidth, count, firstRow)
    }

    /// Keeps the normed residual stream of a tile's rows.
    func keepNormed(of block: Block, rows count: Int, firstRow: Int) {
        keep(block.normed, in: normed, width: model.configuration.width, count, firstRow)
    }

    /// Keeps what a tile's rows gathered by attention.
    func keepAttended(of block: Block, rows count: Int, firstRow: Int) {
        keep(
            block.attended, in: attended, width: model.configuration.heads * model.configuration.headWidth, count,
            firstRow)
    }

    private func keep(_ source: FloatBuffer, in target: FloatBuffer, width: Int, _ count: Int, _ firstRow: Int) {
        let skipped = max(0, -firstRow)
        let copied = (count - skipped) * width
        target.floats.slice((firstRow + skipped) * width, copied)
            .copy(from: source.floats.slice(skipped * width, copied))
    }

    /// Observes the query heads of one KV head over `keys`, of which the first is the document's token `firstToken`.
    func observe(
        head: Int, rows count: Int, _ scratch: [AttentionScratch], keys: Entries, firstToken: Int = 0,
        into accumulator: inout ObservationAccumulator
    ) {
        let shape = model.configuration
        change?.keepOutputs(attended.floats, kvHead: head, rows: count)
        pack(head: head, rows: count)
        var observed = ObservedAttention(
            precision: model.attentionPrecision, headWidth: shape.headWidth, groupWidth: shape.groupWidth,
            kvHead: head, rows: count, query: packed, logSums: logSums.floats, logSumStride: rows, keys: keys,
            firstToken: firstToken, moments: moments, change: change, weighsValues: weighsValues, scratch: scratch)
        observed.run(on: pool, into: &accumulator)
    }

    private struct PackQueries {
        let packed: PackedRows
        let query: Floats
        let stride: Int
        let kvHead: Int
        let rows: Int

        func run(_ unit: Int) {
            let first = unit * BlockAttention.unitRows
            let count = min(BlockAttention.unitRows, rows - first)
            for j in 0..<packed.groupWidth {
                let offset = first * stride + (kvHead * packed.groupWidth + j) * packed.headWidth
                packed.pack(
                    query.slice(offset, query.count - offset), stride: stride, count: count, head: j, unit: unit)
            }
        }
    }

    private func pack(head: Int, rows count: Int) {
        let shape = model.configuration
        var task = PackQueries(
            packed: packed, query: query.floats, stride: shape.heads * shape.headWidth, kvHead: head, rows: count)
        unsafe pool.run((count + BlockAttention.unitRows - 1) / BlockAttention.unitRows, on: &task) { task, unit, _ in
            unsafe task.pointee.run(unit)
        }
    }

    /// Computes a branch's keys, and its values unless nobody reads them, of one KV head: never of all heads at once,
    /// since these rows come on top of the budget and the layer.
    func storeKeys(
        _ layer: ModelLayer, _ panel: LayerPanel, head: Int, rows count: Int, in own: HeadRows, values: Bool,
        scratch: [AttentionScratch]
    ) {
        let width = model.configuration.width
        let isInteger = layer.key.isInteger || (values && layer.value.isInteger)
        let size = isInteger ? DenseRows.quantisedSize(rows: count, inputs: width) : 0
        var normed = DenseRows(
            count: count, inputs: width, floats: normed.floats.slice(0, count * width),
            quantised: quantised.floats.slice(0, size))
        // The rows are those of the branch's first head.
        if isInteger, head == 0 {
            unsafe pool.run(normed.tiles, on: &normed) { rows, tile, _ in unsafe rows.pointee.quantise(tile: tile) }
        }
        let first = head * own.headWidth
        func projection(_ linear: Linear, _ matrix: Int) -> BranchKeys.Projection {
            BranchKeys.Projection(
                panel: panel.matrices[matrix].slice(first, own.headWidth),
                bias: linear.bias?.floats.slice(first, own.headWidth))
        }
        var keys = BranchKeys(
            normed: normed, key: projection(layer.key, 1), value: values ? projection(layer.value, 2) : nil,
            rope: model.rope, cosines: cosines.floats, sines: sines.floats, own: own, scratch: scratch)
        keys.run(on: pool)
    }
}

/// One region: keys and values of a branch's rows in one KV head.
private struct BranchKeys {
    struct Projection {
        /// The head's outputs.
        let panel: DensePanel
        /// `[headWidth]`.
        let bias: Floats?
    }

    /// `[rows, width]`.
    let normed: DenseRows
    let key: Projection
    let value: Projection?
    let rope: RotaryEmbedding
    let cosines: Floats
    let sines: Floats
    let own: HeadRows
    let scratch: [AttentionScratch]

    /// Rows of a task; the scratch of attention has room for them.
    private static let taskRows = AttentionScratch.projectedRows

    mutating func run(on pool: WorkerPool) {
        unsafe pool.run((normed.count + Self.taskRows - 1) / Self.taskRows, on: &self) { keys, task, worker in
            unsafe keys.pointee.run(task, worker)
        }
    }

    private func run(_ task: Int, _ worker: Int) {
        let first = task * Self.taskRows
        let count = min(Self.taskRows, normed.count - first)
        let half = rope.half
        let keys = scratch[worker].projectedKeys
        let values = scratch[worker].projectedValues
        project(key, first, count, into: keys)
        if let value { project(value, first, count, into: values) }
        for row in 0..<count {
            let head = keys.slice(row * own.headWidth, own.headWidth)
            rope.rotate(
                head, cosines: cosines.slice((first + row) * half, half), sines: sines.slice((first + row) * half, half)
            )
            if value == nil {
                own.storeKey(head: 0, row: first + row, head)
            } else {
                own.store(
                    head: 0, row: first + row, key: head, value: values.slice(row * own.headWidth, own.headWidth))
            }
        }
    }

    private func project(_ projection: Projection, _ first: Int, _ count: Int, into y: Floats) {
        projection.panel.multiply(
            normed.slice(first, count), into: y, stride: own.headWidth, bias: projection.bias)
    }
}
