// Attention of a decode step: few rows per sequence over its base, where it lies, and its tail.

import CKernels

/// One region over the pieces of a batch.
///
/// A task is one KV head of a piece's rows over one part of the entries; parts end at fixed entries, and their softmax
/// states are merged in order, so that results depend neither on the number of threads nor on the rest of the batch.
/// Pieces of many rows go through blockwise attention, each by itself.
final class DecodeAttention {
    /// The new rows of one sequence.
    struct Piece {
        let firstRow: Int
        let rows: Int
        let sequence: Sequence
    }

    /// One task.
    private struct Part {
        let head: Int
        let firstRow: Int
        let rows: Int
        /// Of the first row.
        let position: Int
        /// Entries, in order: `runs[firstRun ..< firstRun + runCount]`.
        let firstRun: Int
        let runCount: Int
        /// Where the softmax state is, in stacked rows.
        let firstState: Int
        /// Whether this part starts the states of a head's rows; the others are merged into it.
        let isFirst: Bool
    }

    /// A piece of more rows than this is split by rows, and each block of rows walks all entries itself.
    static let splitRows = 8

    private let precision: caked_precision
    private let headWidth: Int
    private let groupWidth: Int
    private let kvHeads: Int
    private let query: Floats
    private let attended: Floats
    private var bounds: AttentionBounds
    private var parts: [Part] = []
    private var runs: [Entries] = []
    private var states = 0
    /// The softmax state of each part's stacked rows: peak, sum, and out `[headWidth]`; grown to the largest step.
    private var peaks: FloatBuffer
    private var sums: FloatBuffer
    private var outs: FloatBuffer
    private let scratch: [DecodeScratch]
    private let blockScratch: [AttentionScratch]

    init(
        _ model: Model, pool: WorkerPool, query: Floats, attended: Floats
    ) throws(ModelError) {
        let shape = model.configuration
        precision = model.attentionPrecision
        headWidth = shape.headWidth
        groupWidth = shape.groupWidth
        kvHeads = shape.kvHeads
        self.query = query
        self.attended = attended
        bounds = model.layers[0].bounds
        peaks = try FloatBuffer(0)
        sums = try FloatBuffer(0)
        outs = try FloatBuffer(0)
        var scratch: [DecodeScratch] = []
        var blockScratch: [AttentionScratch] = []
        for _ in 0..<pool.threads {
            scratch.append(try DecodeScratch(rows: Self.splitRows * groupWidth, headWidth: headWidth))
            blockScratch.append(try AttentionScratch(headWidth: headWidth, groupWidth: groupWidth))
        }
        self.scratch = scratch
        self.blockScratch = blockScratch
    }

    /// Runs attention of one layer; the pieces' new rows are in their tails already.
    func run(_ pieces: [Piece], layer: Int, bounds: AttentionBounds, pool: WorkerPool) throws(ModelError) {
        self.bounds = bounds
        for piece in pieces where piece.rows > Self.splitRows { attendBlockwise(piece, layer: layer, pool: pool) }
        plan(pieces, layer: layer)
        if peaks.floats.count < states {
            peaks = try FloatBuffer(states)
            sums = try FloatBuffer(states)
            outs = try FloatBuffer(states * headWidth)
        }
        var context = self
        unsafe pool.run(parts.count, on: &context) { attention, part, worker in
            unsafe attention.pointee.attend(part, worker)
        }
        merge()
    }

    private func plan(_ pieces: [Piece], layer: Int) {
        parts.removeAll(keepingCapacity: true)
        runs.removeAll(keepingCapacity: true)
        states = 0
        for piece in pieces where piece.rows <= Self.splitRows {
            for head in 0..<kvHeads {
                planHead(
                    head, piece,
                    base: piece.sequence.base?.entries(layer: layer, head: head) ?? [],
                    own: own(piece, layer: layer, head: head))
            }
        }
    }

    /// The tail's entries, as far as its window reaches: the piece's first row sees itself, and no row beyond it.
    private func own(_ piece: Piece, layer: Int, head: Int) -> Entries {
        let tokens = piece.sequence.tailTokens
        let tail = piece.sequence.tail[layer]
        let first = max(0, bounds.oldest(seenFrom: piece.sequence.position) - tail.firstPosition)
        return tail.entries(
            head: head, first: first, count: tokens + piece.rows - first, seenByFirst: tokens + 1 - first)
    }

    private func attendBlockwise(_ piece: Piece, layer: Int, pool: WorkerPool) {
        let width = kvHeads * groupWidth * headWidth
        let heads = (0..<kvHeads).map { head in
            (piece.sequence.base?.entries(layer: layer, head: head) ?? []) + [own(piece, layer: layer, head: head)]
        }
        // Heads are stored in segments of their own sizes: those with fewer get empty runs.
        let runsPerHead = heads.reduce(0) { max($0, $1.count) }
        let padded = heads.flatMap { runs in
            runs + (runs.count..<runsPerHead).map { _ in runs[0].part(from: 0, count: 0, headWidth: headWidth) }
        }
        var attention = BlockAttention(
            precision: precision, bounds: bounds, headWidth: headWidth, groupWidth: groupWidth, kvHeads: kvHeads,
            rows: piece.rows, position: piece.sequence.position,
            query: query.slice(piece.firstRow * width, piece.rows * width), firstHead: 0, runs: padded,
            runsPerHead: runsPerHead, attended: attended.slice(piece.firstRow * width, piece.rows * width),
            logSums: nil, scratch: blockScratch)
        attention.run(on: pool)
    }

    /// Adds the parts of one head's rows: fixed runs of entries of the base, then of the tail.
    ///
    /// The tail's first run goes with the base's last, so that a compact base under a short tail is one part, and
    /// nothing is left to merge.
    private func planHead(_ head: Int, _ piece: Piece, base: [Entries], own: Entries) {
        let start = runs.count
        var firstRun = start
        func closePart() {
            parts.append(
                Part(
                    head: head, firstRow: piece.firstRow, rows: piece.rows, position: piece.sequence.position,
                    firstRun: firstRun, runCount: runs.count - firstRun, firstState: states,
                    isFirst: firstRun == start))
            states += piece.rows * groupWidth
            firstRun = runs.count
        }
        var room = BaseRows.splitEntries
        for segment in base {
            var taken = 0
            while taken < segment.count {
                if room == 0 {
                    closePart()
                    room = BaseRows.splitEntries
                }
                let count = min(room, segment.count - taken)
                runs.append(segment.part(from: taken, count: count, headWidth: headWidth))
                taken += count
                room -= count
            }
        }
        for first in stride(from: 0, to: own.count, by: BaseRows.splitEntries) {
            runs.append(
                own.part(from: first, count: min(BaseRows.splitEntries, own.count - first), headWidth: headWidth))
            closePart()
        }
    }

    private func attend(_ index: Int, _ worker: Int) {
        let part = parts[index]
        let stacked = part.rows * groupWidth
        let scratch = scratch[worker]
        let width = groupWidth * headWidth
        for row in 0..<part.rows {
            scratch.query.slice(row * width, width)
                .copy(from: query.slice(((part.firstRow + row) * kvHeads + part.head) * width, width))
        }
        let peak = peaks.floats.slice(part.firstState, stacked)
        let sum = sums.floats.slice(part.firstState, stacked)
        let out = outs.floats.slice(part.firstState * headWidth, stacked * headWidth)
        start(part, peak, sum)
        out.fill(0)
        for run in part.firstRun..<part.firstRun + part.runCount {
            let entries = runs[run]
            let masked = entries.seen(by: 0) < entries.count
            if masked {
                for row in 0..<part.rows {
                    let visible = UInt32(max(0, entries.seen(by: row)))
                    for head in 0..<groupWidth { scratch.visible[row * groupWidth + head] = visible }
                }
            }
            let scoring = unsafe bounds.scoring(
                entries, rows: part.rows, position: part.position, heads: groupWidth)
            unsafe scoring.withPointer { scoring in
                unsafe caked_attend(
                    entries.rows.type, entries.keys, entries.values, entries.count, headWidth, scratch.query.base,
                    stacked, masked ? scratch.visible.base : nil, scoring, peak.base, sum.base, out.base,
                    scratch.scores.base)
            }
        }
    }

    /// Empties the state of a part; a head's score for nothing stands in its first one.
    private func start(_ part: Part, _ peak: Floats, _ sum: Floats) {
        let sinks = part.isFirst ? bounds.sinks(kvHead: part.head, groupWidth: groupWidth) : nil
        sum.fill(sinks == nil ? 0 : 1)
        for row in 0..<peak.count { peak[row] = sinks.map { $0[row % groupWidth] } ?? -.infinity }
    }

    /// Folds the parts of each block together, in order, and writes what the heads gathered.
    private func merge() {
        var index = 0
        let width = groupWidth * headWidth
        while index < parts.count {
            let part = parts[index]
            let stacked = part.rows * groupWidth
            let peak = peaks.floats.slice(part.firstState, stacked)
            let sum = sums.floats.slice(part.firstState, stacked)
            let out = outs.floats.slice(part.firstState * headWidth, stacked * headWidth)
            index += 1
            while index < parts.count, !parts[index].isFirst {
                let other = parts[index].firstState
                unsafe caked_attend_merge(
                    peak.base, sum.base, out.base, peaks.floats.slice(other, stacked).base,
                    sums.floats.slice(other, stacked).base,
                    outs.floats.slice(other * headWidth, stacked * headWidth).base, stacked, headWidth)
                index += 1
            }
            unsafe caked_attend_finish(sum.base, out.base, stacked, headWidth)
            for row in 0..<part.rows {
                attended.slice(((part.firstRow + row) * kvHeads + part.head) * width, width)
                    .copy(from: out.slice(row * width, width))
            }
        }
    }
}

extension Entries {
    /// Some of the entries, seen by the rows as before.
    func part(from first: Int, count: Int, headWidth: Int) -> Entries {
        precondition(first >= 0 && count >= 0 && first + count <= self.count)
        precondition(first.isMultiple(of: rows.groupEntries), "a part begins at a group of entries")
        return unsafe Entries(
            rows: rows, keys: keys + rows.keyBytes(entries: first, headWidth: headWidth),
            values: values + rows.valueBytes(entries: first, headWidth: headWidth), count: count,
            seenByFirst: seenByFirst - first, positions: positions.map { unsafe $0 + first },
            firstPosition: firstPosition + first)
    }
}

/// One worker's room for a block of decode attention.
private final class DecodeScratch {
    /// `[rows, headWidth]`.
    let query: Floats
    /// `[rows, CAKED_ATTEND_TILE]`.
    let scores: Floats
    /// `[rows]`.
    let visible: Cells<UInt32>
    private let memory: FloatBuffer

    init(rows: Int, headWidth: Int) throws(ModelError) {
        memory = try FloatBuffer(rows * (headWidth + Int(CAKED_ATTEND_TILE)))
        query = memory.floats.slice(0, rows * headWidth)
        scores = memory.floats.slice(rows * headWidth, rows * Int(CAKED_ATTEND_TILE))
        visible = Cells(rows, of: 0)
    }
}
