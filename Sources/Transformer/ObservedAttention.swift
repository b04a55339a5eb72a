// The attention of observation rows over a document's keys, reduced to CAKE's column statistics tile by tile.

import CAKE
import CKernels

/// One region: the query heads of one KV head, observed over the keys of the document.
struct ObservedAttention {
    /// Keys of a tile.
    static let tileKeys = Int(CAKED_BLOCK_KEYS)

    let precision: caked_precision
    let bounds: AttentionBounds
    let headWidth: Int
    let groupWidth: Int
    let kvHead: Int
    /// Rows of the chunk.
    let rows: Int
    /// Of the first row.
    let position: Int
    /// Of each query head of the group, one after the other.
    let query: PackedRows
    /// ln Σ e^score of each row over all it sees, `[heads, logSumStride]`.
    let logSums: Floats
    let logSumStride: Int
    /// The observed keys: a row sees as many of them as `keys` says.
    let keys: Entries
    /// The document's token that the first of the keys belongs to.
    let firstToken: Int
    let moments: ObservedMoments
    /// When the indicator asks for it: gathers the largest change in place of the largest attention.
    let change: EvictionChange?
    /// Whether it writes the norms of the values instead.
    let weighsValues: Bool
    /// Per worker.
    let scratch: [AttentionScratch]

    private var tiles: Int { (keys.count + Self.tileKeys - 1) / Self.tileKeys }

    /// Observes, and adds what was seen to the layer's observation in a fixed order.
    mutating func run(on pool: WorkerPool, into accumulator: inout ObservationAccumulator) {
        unsafe pool.run(tiles, on: &self) { observed, tile, worker in
            unsafe observed.pointee.run(tile, worker)
        }
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
        let scratch = scratch[worker]
        let first = tile * Self.tileKeys
        let columns = min(Self.tileKeys, keys.count - first)
        let part = keys.part(from: first, count: columns, headWidth: headWidth)
        for j in 0..<groupWidth {
            let head = kvHead * groupWidth + j
            let place = j * keys.count + first
            let maximum = moments.maximum.floats.slice(place, columns)
            let logSums = logSums.slice(head * logSumStride, rows)
            guard let change, !weighsValues else {
                maximum.fill(0)
                change?.observeNorms(
                    head: head, firstToken: firstToken + first, part, worker: worker,
                    into: moments.norms.floats.slice(place, columns))
                unsafe observe(part, j, logSums, nil, place, entropyOf: tile, maximum, scratch)
                continue
            }
            // The largest change so far, of whatever head of the group: smaller ones need not be computed.
            let largest = change.largest(kvHead: kvHead, firstToken: firstToken + first, count: columns)
            maximum.copy(from: largest)
            var judged = unsafe change.judge(
                head: head, firstToken: firstToken + first, part, rows: rows, worker: worker)
            unsafe withUnsafePointer(to: &judged) { judged in
                unsafe observe(part, j, logSums, judged, place, entropyOf: tile, maximum, scratch)
            }
            largest.copy(from: maximum)
        }
    }

    private func observe(
        _ part: Entries, _ j: Int, _ logSums: Floats, _ change: UnsafePointer<caked_change>?, _ place: Int,
        entropyOf tile: Int, _ maximum: Floats, _ scratch: AttentionScratch
    ) {
        let scoring = unsafe bounds.scoring(part, rows: rows, position: position)
        unsafe scoring.withPointer { scoring in
            unsafe moments.entropies[j * tiles + tile] = caked_observe(
                precision, query.head(j).base, query.unit, rows, headWidth, part.rows.type, part.keys, part.count,
                part.seenByFirst, scoring, logSums.base, change, moments.mean.floats.slice(place, part.count).base,
                moments.variance.floats.slice(place, part.count).base, maximum.base, scratch.room.base)
        }
    }
}

/// Rows of a query group, packed as the blockwise kernels take them: head after head, in units of rows.
struct PackedRows {
    let precision: caked_precision
    let headWidth: Int
    let groupWidth: Int
    /// The most rows.
    let capacity: Int
    let memory: Floats

    /// Floats of a unit.
    var unit: Int { caked_block_query_size(1, headWidth) }

    /// Floats' worth of memory of `rows` rows of each head.
    static func size(rows: Int, headWidth: Int, groupWidth: Int) -> Int {
        caked_block_query_size(rows, headWidth) * groupWidth
    }

    /// The units of query head `j` of the group.
    func head(_ j: Int) -> Floats {
        let size = caked_block_query_size(capacity, headWidth)
        return memory.slice(j * size, size)
    }

    /// Packs `count` rows of `headWidth` elements, `stride` apart, into the unit `index` of head `j`.
    func pack(_ rows: Floats, stride: Int, count: Int, head j: Int, unit index: Int) {
        precondition(count > 0 && rows.count >= (count - 1) * stride + headWidth)
        unsafe caked_block_pack(
            precision, rows.base, stride, count, headWidth, head(j).slice(index * unit, unit).base)
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
