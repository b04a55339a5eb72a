// Attention of many query rows, blockwise with an online softmax (Dao et al., arXiv 2205.14135): never an S×S matrix.

import CKernels

/// One region: a tile of rows attends to runs of entries, KV head by KV head, the heads of a group side by side so
/// that they share the keys.
///
/// Tasks are blocks of rows of one KV head; each walks all its keys in order.
struct BlockAttention {
    /// Rows of a kernel's unit, of which one query head each.
    static let unitRows = Int(CAKED_BLOCK_UNIT)

    let precision: caked_precision
    let bounds: AttentionBounds
    let headWidth: Int
    /// Query heads per KV head.
    let groupWidth: Int
    let kvHeads: Int
    let rows: Int
    /// Of the first row.
    let position: Int
    /// `[rows, kvHeads · groupWidth, headWidth]`, rotated and scaled.
    let query: Floats
    /// The runs that KV head `firstHead + i` attends to are `runs[i · runsPerHead ..< (i + 1) · runsPerHead]`.
    let firstHead: Int
    let runs: [Entries]
    let runsPerHead: Int
    /// As `query`; nil when only the normalisers are wanted.
    let attended: Floats?
    /// ln Σ e^score of each row and query head, `[kvHeads · groupWidth, logSumStride]`, or nil.
    let logSums: Floats?
    var logSumStride = 0
    /// The column of `logSums` of the tile's first row; rows before column 0 are not recorded.
    var logSumColumn = 0
    /// Per worker.
    let scratch: [AttentionScratch]

    /// Rows of a block: with those of all heads of the group, many enough to be worth making a tile of keys ready.
    static func blockRows(groupWidth: Int) -> Int { max(1, (4 + groupWidth - 1) / groupWidth) * unitRows }

    private var blockRows: Int { Self.blockRows(groupWidth: groupWidth) }
    private var blocks: Int { (rows + blockRows - 1) / blockRows }
    private var heads: Int { kvHeads * groupWidth }

    /// Runs all heads that have runs.
    mutating func run(on pool: WorkerPool) {
        unsafe pool.run(runs.count / runsPerHead * blocks, on: &self) { attention, task, worker in
            unsafe attention.pointee.run(task, attention.pointee.scratch[worker])
        }
    }

    private func run(_ task: Int, _ scratch: AttentionScratch) {
        // The last rows see the most keys: they go first, so that no thread is left with a long one.
        let (index, fromEnd) = task.quotientAndRemainder(dividingBy: blocks)
        let first = (blocks - 1 - fromEnd) * blockRows
        let block = first..<min(first + blockRows, rows)
        pack(head: firstHead + index, block, scratch)
        let sinks = bounds.sinks(kvHead: firstHead + index, groupWidth: groupWidth)
        unsafe caked_block_begin(
            precision, block.count, groupWidth, headWidth, sinks?.base, scratch.state.base)
        for run in 0..<runsPerHead {
            let entries = runs[index * runsPerHead + run]
            let scoring = unsafe bounds.scoring(entries, rows: block.count, position: position + first)
            unsafe scoring.withPointer { scoring in
                unsafe caked_block_attend(
                    precision, scratch.query.base, block.count, groupWidth, headWidth, entries.rows.type, entries.keys,
                    entries.values, entries.count, entries.seenByFirst + first, scoring, attended != nil,
                    scratch.state.base, scratch.room.base)
            }
        }
        finish(head: firstHead + index, block, scratch)
    }

    private func pack(head: Int, _ block: Range<Int>, _ scratch: AttentionScratch) {
        let unit = caked_block_query_size(1, headWidth)
        for first in stride(from: 0, to: block.count, by: Self.unitRows) {
            let count = min(Self.unitRows, block.count - first)
            for j in 0..<groupWidth {
                let offset = ((block.lowerBound + first) * heads + head * groupWidth + j) * headWidth
                let source = query.slice(offset, (count - 1) * heads * headWidth + headWidth)
                let target = scratch.query.slice((first / Self.unitRows * groupWidth + j) * unit, unit)
                unsafe caked_block_pack(
                    precision, source.base, heads * headWidth, count, headWidth, target.base)
            }
        }
    }

    private func finish(head: Int, _ block: Range<Int>, _ scratch: AttentionScratch) {
        let width = groupWidth * headWidth
        let target = attended.map {
            $0.slice((block.lowerBound * kvHeads + head) * width, (block.count - 1) * heads * headWidth + width)
        }
        unsafe caked_block_finish(
            precision, scratch.state.base, block.count, groupWidth, headWidth, target?.base, heads * headWidth,
            logSums == nil ? nil : scratch.logSums.base, blockRows)
        guard let logSums else { return }
        let skipped = min(block.count, max(0, -logSumColumn - block.lowerBound))
        for j in 0..<groupWidth {
            let column = (head * groupWidth + j) * logSumStride + logSumColumn + block.lowerBound + skipped
            guard skipped < block.count else { continue }
            logSums.slice(column, block.count - skipped)
                .copy(from: scratch.logSums.slice(j * blockRows + skipped, block.count - skipped))
        }
    }
}

/// One worker's room for a block of attention, allocated once.
final class AttentionScratch {
    /// Packed queries of a block.
    let query: Floats
    /// The running softmax of a block.
    let state: Floats
    /// A tile of keys and values, and the scores of a unit.
    let room: Floats
    /// `[groupWidth, blockRows]`.
    let logSums: Floats
    private let memory: FloatBuffer

    init(headWidth: Int, groupWidth: Int) throws(ModelError) {
        let rows = BlockAttention.blockRows(groupWidth: groupWidth)
        let sizes = [
            caked_block_query_size(rows, headWidth) * groupWidth, caked_block_state_size(rows, groupWidth, headWidth),
            caked_block_room_size(headWidth), rows * groupWidth,
        ]
        // Each part on cache lines of its own.
        let places = sizes.map { ($0 + 15) / 16 * 16 }
        let memory = try FloatBuffer(places.reduce(0, +))
        func part(_ index: Int) -> Floats { memory.floats.slice(places[..<index].reduce(0, +), sizes[index]) }
        query = part(0)
        state = part(1)
        room = part(2)
        logSums = part(3)
        self.memory = memory
    }
}

extension Optional where Wrapped: BitwiseCopyable {
    /// Lends the address of a copy, or none.
    @unsafe @inline(__always)
    func withPointer<Result>(_ body: (UnsafePointer<Wrapped>?) -> Result) -> Result {
        guard let self else { return body(nil) }
        return unsafe withUnsafePointer(to: self) { unsafe body($0) }
    }
}

extension Model {
    /// How attention multiplies: exactly, unless the products around it are of bytes and the CPU has bfloats.
    var attentionPrecision: caked_precision { isInteger && caked_bfloat_is_fast() ? CAKED_BFLOAT : CAKED_FLOAT }
}
