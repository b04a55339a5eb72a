// The attention of observation rows over a document's keys, reduced to CAKE's column statistics tile by tile.

import CAKE
import CKernels

/// One region: the query heads of one KV head, observed over the keys of the document.
struct ObservedAttention {
    /// Keys of a tile: its scores, `[rows, tileKeys]`, stay in the core's cache.
    static let tileKeys = 128

    let headWidth: Int
    let groupWidth: Int
    /// All query heads: the stride of `query`.
    let heads: Int
    let kvHead: Int
    /// Rows of the chunk.
    let rows: Int
    /// `[rows, heads, headWidth]`, rotated and scaled.
    let query: Floats
    /// ln Σ e^score of each row over all it sees, `[heads, logSumStride]`.
    let logSums: Floats
    let logSumStride: Int
    /// The observed keys: those a row does not see count with attention 0.
    let keys: Entries
    /// The document's position of the first of them.
    let firstToken: Int
    let moments: ObservedMoments
    /// When the indicator asks for it: writes the largest change in place of the largest attention.
    let change: EvictionChange?
    /// Whether it writes the norms of the values instead.
    let weighsValues: Bool
    /// Per worker.
    let scratch: [AttentionScratch]
    /// Per worker, `[rows, tileKeys]`.
    let scores: [FloatBuffer]
    /// Per worker: the keys of a tile that each row sees, `[rows]`.
    let visible: [Cells<UInt32>]

    private var tiles: Int { (keys.count + Self.tileKeys - 1) / Self.tileKeys }

    /// Observes, and adds what was seen to the layer's observation in a fixed order.
    mutating func run(on pool: WorkerPool, into accumulator: inout ObservationAccumulator) {
        unsafe pool.run(tiles, on: &self) { observed, tile, worker in unsafe observed.pointee.run(tile, worker) }
        for j in 0..<groupWidth {
            var entropy = 0.0
            for tile in 0..<tiles { entropy += moments.entropies[j * tiles + tile] }
            let columns = [moments.mean, moments.variance, moments.maximum, moments.norms].map {
                $0.floats.slice(j * keys.count, keys.count)
            }
            columns[0].withSpan { mean in
                columns[1].withSpan { variance in
                    columns[2].withSpan { maximum in
                        columns[3].withSpan { norms in
                            accumulator.add(
                                queryHead: kvHead * groupWidth + j, firstToken: firstToken, rows: rows, mean: mean,
                                variance: variance, maximum: maximum, entropy: entropy,
                                valueNorms: weighsValues ? norms : nil)
                        }
                    }
                }
            }
        }
    }

    private func run(_ tile: Int, _ worker: Int) {
        let first = tile * Self.tileKeys
        let columns = min(Self.tileKeys, keys.count - first)
        let rowBytes = keys.rows.bytes(forElements: headWidth)
        let scratch = scratch[worker]
        let keyTile = unsafe scratch.floats(
            keys.keys + first * rowBytes, keys.rows, count: columns * headWidth, in: scratch.keys)
        let scores = scores[worker].floats
        let isMasked = keys.seen(by: 0) < first + columns
        if isMasked {
            for row in 0..<rows {
                visible[worker][row] = UInt32(max(0, min(columns, keys.seen(by: row) - first)))
            }
        }
        for j in 0..<groupWidth {
            let head = kvHead * groupWidth + j
            let offset = head * headWidth
            MatrixProduct.timesTransposed(
                query.slice(offset, query.count - offset), stride: heads * headWidth, keyTile, stride: headWidth,
                into: scores, stride: Self.tileKeys, m: rows, n: columns, k: headWidth)
            let place = j * keys.count + first
            unsafe moments.entropies[j * tiles + tile] = caked_observe_tile(
                scores.base, Self.tileKeys, rows, columns, logSums.slice(head * logSumStride, rows).base,
                isMasked ? visible[worker].base : nil,
                moments.mean.floats.slice(place, columns).base, moments.variance.floats.slice(place, columns).base,
                moments.maximum.floats.slice(place, columns).base)
            let values = unsafe keys.values + first * rowBytes
            if weighsValues {
                unsafe change?.observeNorms(
                    head: head, values: values, storedAs: keys.rows, worker: worker,
                    into: moments.norms.floats.slice(place, columns))
            } else {
                unsafe change?.observe(
                    head: head, rows: rows, attention: scores, values: values, storedAs: keys.rows, worker: worker,
                    into: moments.maximum.floats.slice(place, columns))
            }
        }
    }
}

/// Room for the moments of one query group over a whole document, allocated once.
final class ObservedMoments {
    /// `[groupWidth, tokens]` each.
    let mean: FloatBuffer
    let variance: FloatBuffer
    let maximum: FloatBuffer
    /// ‖W_o v‖, where a method weighs values.
    let norms: FloatBuffer
    /// `[groupWidth, tiles]`.
    let entropies: Cells<Double>

    init(groupWidth: Int, tokens: Int) throws(ModelError) {
        mean = try FloatBuffer(groupWidth * tokens)
        variance = try FloatBuffer(groupWidth * tokens)
        maximum = try FloatBuffer(groupWidth * tokens)
        norms = try FloatBuffer(groupWidth * tokens)
        entropies = Cells(groupWidth * (tokens / ObservedAttention.tileKeys + 1), of: 0)
    }
}
