// The rows that observe or check a layer: their queries, what they gather, and their normalisers.

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
    private let moments: ObservedMoments
    /// The queries of one group, packed.
    private let packed: PackedRows
    private let packedMemory: FloatBuffer

    /// Without a method nothing is observed: the rows only read.
    init(
        _ model: Model, pool: WorkerPool, rows: Int, observedTokens: Int, method: Method?
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
        moments = try ObservedMoments(groupWidth: shape.groupWidth, tokens: observedTokens)
        packedMemory = try FloatBuffer(
            PackedRows.size(rows: rows, headWidth: shape.headWidth, groupWidth: shape.groupWidth))
        packed = PackedRows(
            precision: model.attentionPrecision, headWidth: shape.headWidth, groupWidth: shape.groupWidth,
            capacity: rows, memory: packedMemory.floats)
    }

    /// Keeps a tile's queries, and what a change is judged by: what attention gathered for them, unless it is still to
    /// come, and the sizes of the residual stream x `[count, width]`.
    ///
    /// The tile's first row is the observers' row `firstRow`, possibly negative.
    func keep(_ block: Block, x: Floats, rows count: Int, firstRow: Int, attended hasAttended: Bool = true) {
        let width = model.configuration.heads * model.configuration.headWidth
        keep(block.query, in: query, width: width, count, firstRow)
        guard let change else { return }
        if hasAttended { keep(block.attended, in: attended, width: width, count, firstRow) }
        change.keepSizes(x, rows: count, firstRow: firstRow)
    }

    private func keep(_ source: FloatBuffer, in target: FloatBuffer, width: Int, _ count: Int, _ firstRow: Int) {
        let skipped = max(0, -firstRow)
        let copied = (count - skipped) * width
        target.floats.slice((firstRow + skipped) * width, copied)
            .copy(from: source.floats.slice(skipped * width, copied))
    }

    /// Observes the query heads of one KV head, in rows from `position` on, over `keys` of the document.
    func observe(
        head: Int, rows count: Int, position: Int, _ bounds: AttentionBounds, _ scratch: [AttentionScratch],
        keys: Entries, into accumulator: inout ObservationAccumulator
    ) {
        let shape = model.configuration
        change?.keepOutputs(attended.floats, kvHead: head, rows: count)
        pack(head: head, rows: count)
        var observed = ObservedAttention(
            precision: model.attentionPrecision, bounds: bounds, headWidth: shape.headWidth,
            groupWidth: shape.groupWidth, kvHead: head, rows: count, position: position, query: packed,
            logSums: logSums.floats, logSumStride: rows, keys: keys, firstToken: keys.firstPosition, moments: moments,
            change: change, weighsValues: weighsValues, scratch: scratch)
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
}
