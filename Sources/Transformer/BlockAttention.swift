// Attention of many query rows, blockwise with an online softmax (Dao et al., arXiv 2205.14135): never an S×S matrix.

import CKernels
import Glibc

/// One region: a tile of rows attends to runs of entries, KV head by KV head, the heads of a group side by side so
/// that they share the keys.
///
/// Tasks are blocks of rows of one KV head; each walks all its keys in order.
struct BlockAttention {
    /// Rows and keys of a score tile: its scores, keys and values stay in the core's cache.
    static let stackedRows = 128
    static let tileKeys = 256

    let headWidth: Int
    /// Query heads per KV head.
    let groupWidth: Int
    let kvHeads: Int
    let rows: Int
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

    private var blockRows: Int { max(1, Self.stackedRows / groupWidth) }

    /// Runs all heads that have runs.
    mutating func run(on pool: WorkerPool) {
        let blocks = (rows + blockRows - 1) / blockRows
        unsafe pool.run(runs.count / runsPerHead * blocks, on: &self) { attention, task, worker in
            unsafe attention.pointee.run(task, attention.pointee.scratch[worker])
        }
    }

    private func run(_ task: Int, _ scratch: AttentionScratch) {
        let blocks = (rows + blockRows - 1) / blockRows
        // The last rows see the most keys: they go first, so that no thread is left with a long one.
        let (index, fromEnd) = task.quotientAndRemainder(dividingBy: blocks)
        let first = (blocks - 1 - fromEnd) * blockRows
        let block = first..<min(first + blockRows, rows)
        let stacked = block.count * groupWidth
        gather(head: firstHead + index, block, scratch)
        scratch.reset(rows: stacked, width: headWidth)
        for run in 0..<runsPerHead { attend(to: runs[index * runsPerHead + run], block, scratch) }
        finish(head: firstHead + index, block, scratch)
    }

    /// Copies the block's queries of one KV head together: row i, query head j of the group at i · groupWidth + j.
    private func gather(head: Int, _ block: Range<Int>, _ scratch: AttentionScratch) {
        let width = groupWidth * headWidth
        for row in block {
            scratch.query.slice((row - block.lowerBound) * width, width)
                .copy(from: query.slice((row * kvHeads + head) * width, width))
        }
    }

    private func attend(to entries: Entries, _ block: Range<Int>, _ scratch: AttentionScratch) {
        let stacked = block.count * groupWidth
        let rowBytes = entries.rows.bytes(forElements: headWidth)
        let seen = entries.seen(by: block.upperBound - 1)
        var first = 0
        while first < seen {
            let columns = min(Self.tileKeys, seen - first)
            let keys = unsafe scratch.floats(
                entries.keys + first * rowBytes, entries.rows, count: columns * headWidth, in: scratch.keys)
            MatrixProduct.timesTransposed(
                scratch.query, stride: headWidth, keys, stride: headWidth, into: scratch.scores,
                stride: Self.tileKeys, m: stacked, n: columns, k: headWidth)
            let masked = entries.seen(by: block.lowerBound) < first + columns
            if masked {
                for row in block {
                    let visible = UInt32(max(0, min(columns, entries.seen(by: row) - first)))
                    for head in 0..<groupWidth {
                        scratch.visible[(row - block.lowerBound) * groupWidth + head] = visible
                    }
                }
            }
            unsafe caked_softmax_tile(
                scratch.scores.base, Self.tileKeys, stacked, columns, masked ? scratch.visible.base : nil,
                scratch.peak.base, scratch.sum.base, scratch.out.base, attended == nil ? 0 : headWidth)
            if attended != nil {
                let values = unsafe scratch.floats(
                    entries.values + first * rowBytes, entries.rows, count: columns * headWidth, in: scratch.keys)
                MatrixProduct.addTimes(
                    scratch.scores, stride: Self.tileKeys, values, stride: headWidth, into: scratch.out,
                    stride: headWidth, m: stacked, n: headWidth, k: columns)
            }
            first += columns
        }
    }

    private func finish(head: Int, _ block: Range<Int>, _ scratch: AttentionScratch) {
        if let attended {
            unsafe caked_attend_finish(
                scratch.sum.base, scratch.out.base, block.count * groupWidth, headWidth)
            let width = groupWidth * headWidth
            for row in block {
                attended.slice((row * kvHeads + head) * width, width)
                    .copy(from: scratch.out.slice((row - block.lowerBound) * width, width))
            }
        }
        guard let logSums else { return }
        for row in block where logSumColumn + row >= 0 {
            for j in 0..<groupWidth {
                let stacked = (row - block.lowerBound) * groupWidth + j
                logSums[(head * groupWidth + j) * logSumStride + logSumColumn + row] =
                    scratch.peak[stacked] + log(scratch.sum[stacked])
            }
        }
    }
}

/// One worker's room for a tile of attention, allocated once.
final class AttentionScratch {
    /// `[stackedRows, headWidth]`: stacked queries, and their unnormalised output.
    let query: Floats
    let out: Floats
    /// `[tileKeys, headWidth]`: keys or values as floats.
    let keys: Floats
    /// `[stackedRows, tileKeys]`.
    let scores: Floats
    /// The running softmax, `[stackedRows]`.
    let peak: Floats
    let sum: Floats
    /// Keys each stacked row sees of a tile, `[stackedRows]`.
    let visible: Cells<UInt32>
    private let memory: FloatBuffer

    init(headWidth: Int, groupWidth: Int) throws(ModelError) {
        let rows = max(BlockAttention.stackedRows, groupWidth)
        let tile = BlockAttention.tileKeys
        let memory = try FloatBuffer(2 * rows * headWidth + tile * headWidth + rows * tile + 2 * rows)
        var offset = 0
        func take(_ count: Int) -> Floats {
            defer { offset += count }
            return memory.floats.slice(offset, count)
        }
        query = take(rows * headWidth)
        out = take(rows * headWidth)
        keys = take(tile * headWidth)
        scores = take(rows * tile)
        peak = take(rows)
        sum = take(rows)
        visible = Cells(rows, of: 0)
        self.memory = memory
    }

    func reset(rows: Int, width: Int) {
        peak.slice(0, rows).fill(-.infinity)
        sum.slice(0, rows).fill(0)
        out.slice(0, rows * width).fill(0)
    }

    /// Stored rows as floats: in place where they are, else dequantised into `room`.
    @unsafe func floats(_ source: UnsafeRawPointer, _ rows: KVRows, count: Int, in room: Floats) -> Floats {
        if rows == .f32 {
            let stored = unsafe UnsafeMutablePointer(mutating: source.assumingMemoryBound(to: Float.self))
            return unsafe Floats(stored, count: count)
        }
        let target = room.slice(0, count)
        unsafe caked_dequantise(rows.type, source, target.base, count)
        return target
    }
}
