// What a prefill does with one layer: tiles of the document's rows, the observation window, the branches.

import CAKE
import CKernels

/// The hidden rows of a document and the rooms in which a layer is read; `DocumentPrefill` says what comes when.
final class LayerReader {
    let tokens: Int
    let kvHeads: Int
    /// The last rows of the document that observe, or nil.
    let window: Range<Int>?
    /// The extra rows that observe or check, or nil.
    let reconstruction: ReconstructionRows?
    /// The one layer buffer: keys and values of all document rows in the layer being read.
    let layerRows: HeadRows

    private let model: Model
    private let pool: WorkerPool
    private let method: Method
    private let meter: KVMeter
    private let tileRows: Int
    /// The document's first tokens that every branch sees and that are kept in any case.
    private let sinks: Int
    /// Tokens of all rows: the document's, then the branches'.
    private let ids: [Int32]
    /// The residual stream, `[rows, width]`.
    private let hidden: FloatBuffer
    private let panel: LayerPanel
    private let block: Block
    private let attentionScratch: [AttentionScratch]
    /// Room for the observing rows; nil when nothing observes.
    private let observer: Observer?
    /// Room for the rows that check, so that they change nothing in what is observed; nil when there are none.
    private let checker: Observer?

    private var layer = 0
    private var accumulator: ObservationAccumulator
    /// The chunk being read; its keys and values, of one KV head at a time, live no longer than its attention.
    private var branchRows: HeadRows?

    init(
        model: Model, pool: WorkerPool, document: [Int32], method: Method, sinks: Int, rows: KVRows,
        instruction: [Int32], probes: [[Int32]], checks: [[Int32]], meter: KVMeter
    ) throws(ModelError) {
        let shape = model.configuration
        self.model = model
        self.pool = pool
        self.method = method
        self.meter = meter
        tokens = document.count
        kvHeads = shape.kvHeads
        self.sinks = sinks
        tileRows = PrefillWork.tileRows(shape, tokens: tokens, isInteger: model.isInteger)
        let observed = method.observedTokens(documentTokens: tokens)
        var observingRows = 0
        var window: Range<Int>?
        let branches = ReconstructionRows(
            document: document, method: method, instruction: instruction, probes: probes, checks: checks)
        switch method.observation {
        case .none: break
        case .window:
            window = observed..<tokens
            observingRows = tokens - observed
        case .everyRow:
            observingRows = tileRows
        case .probe, .reconstruction:
            observingRows = branches.longest(checking: false)
        }
        self.window = window
        reconstruction = branches.chunks.isEmpty ? nil : branches
        ids = document + branches.ids
        hidden = try FloatBuffer(ids.count * shape.width)
        panel = try LayerPanel(model)
        block = try Block(model, pool: pool, rows: tileRows)
        var scratch: [AttentionScratch] = []
        for _ in 0..<pool.threads {
            scratch.append(try AttentionScratch(headWidth: shape.headWidth, groupWidth: shape.groupWidth))
        }
        attentionScratch = scratch
        layerRows = try HeadRows(
            rows: rows, heads: kvHeads, headWidth: shape.headWidth, capacity: tokens, meter: meter)
        observer =
            observingRows == 0
            ? nil
            : try Observer(
                model, pool: pool, rows: observingRows, observedTokens: observed, firstPosition: tokens,
                method: method)
        let checkingRows = branches.longest(checking: true)
        checker =
            checkingRows == 0
            ? nil
            : try Observer(
                model, pool: pool, rows: checkingRows, observedTokens: 0, firstPosition: tokens, method: nil)
        accumulator = ObservationAccumulator(
            method: method, kvHeads: kvHeads, groupWidth: shape.groupWidth, evictableTokens: observed)
    }

    var width: Int { model.configuration.width }
    private var weights: ModelLayer { model.layers[layer] }
    private var isLast: Bool { layer + 1 == model.layers.count }

    private func rows(_ first: Int, _ count: Int) -> Floats {
        let width = model.configuration.width
        return hidden.floats.slice(first * width, count * width)
    }

    /// The residual stream's bytes, `[rows, width]` floats: what a layer begins with.
    @unsafe var hiddenBytes: UnsafeMutableRawBufferPointer {
        let floats = hidden.floats
        return unsafe UnsafeMutableRawBufferPointer(
            start: floats.base, count: floats.count * MemoryLayout<Float>.stride)
    }

    private func embed(_ first: Int, _ count: Int) {
        guard layer == 0 else { return }
        var embed = Embed(rows: count, model: model, ids: ids, firstToken: first, x: rows(first, count))
        embed.run(on: pool)
    }

    /// Turns to `layer`: its weights are made ready, its observation starts empty.
    func begin(layer: Int) {
        self.layer = layer
        panel.fill(from: weights, pool: pool)
        observer?.change?.begin(outputProjection: weights.attentionOutput)
        accumulator = ObservationAccumulator(
            method: method, kvHeads: kvHeads, groupWidth: model.configuration.groupWidth,
            evictableTokens: method.observedTokens(documentTokens: tokens))
    }

    /// Reads a tile of document rows from `firstRow` on through the layer; returns how many.
    func readTile(firstRow first: Int) -> Int {
        let count = min(tileRows, tokens - first)
        let x = rows(first, count)
        let dense = [RowRange(first: 0, count: count, isDense: true)]
        // Behind the last layer nobody reads the rows: only what observes has queries there.
        let everyRow = method.observation == .everyRow
        let observes = everyRow || window.map { first + count > $0.lowerBound } ?? false
        let attends = !isLast || observes
        embed(first, count)
        block.setPositions(first: 0, count: count, position: first)
        block.project(weights, panel, x: x, rows: count, ranges: dense, queries: attends)
        var store = StoreRows(
            rows: count, keys: block.key.floats, values: block.value.floats, cache: layerRows, firstRow: first)
        store.run(on: pool)
        guard attends else { return count }

        let observer = observes ? observer : nil
        // The tile's first row among the observing ones, which stay for this tile alone where every row observes.
        let firstObserving = everyRow ? 0 : first - (window?.lowerBound ?? 0)
        let gathers = !isLast || observer?.change != nil
        let seen = (0..<kvHeads).map { layerRows.entries(head: $0, count: first + count, seenByFirst: first + 1) }
        var attention = BlockAttention(
            precision: model.attentionPrecision, headWidth: layerRows.headWidth,
            groupWidth: model.configuration.groupWidth, kvHeads: kvHeads, rows: count,
            query: block.query.floats, firstHead: 0, runs: seen, runsPerHead: 1,
            attended: gathers ? block.attended.floats : nil, logSums: observer?.logSums.floats,
            logSumStride: observer?.rows ?? 0, logSumColumn: firstObserving, scratch: attentionScratch)
        attention.run(on: pool)
        observer?.keepQueries(of: block, rows: count, firstRow: firstObserving)
        if let observer, let change = observer.change {
            observer.keepAttended(of: block, rows: count, firstRow: firstObserving)
            change.keepSizes(x, rows: count, firstRow: firstObserving)
        }
        if everyRow, let observer {
            for head in 0..<kvHeads {
                observer.observe(head: head, rows: count, attentionScratch, keys: seen[head], into: &accumulator)
            }
        }
        if !isLast {
            block.finish(weights, panel, attended: block.attended.floats, x: x, rows: count, ranges: dense)
        }
        return count
    }

    /// Observes the attention of the document's last rows.
    func observeWindow() {
        guard let observer, let window, window.lowerBound > 0 else { return }
        for head in 0..<kvHeads {
            observer.observe(
                head: head, rows: window.count, attentionScratch,
                keys: layerRows.entries(head: head, count: window.lowerBound, seenByFirst: window.lowerBound),
                into: &accumulator)
        }
    }

    /// The layer's observation.
    func observation() -> LayerObservation {
        method.observation == .none ? .none : accumulator.finish()
    }

    // MARK: Branches

    private func chunk(_ index: Int) -> ReconstructionRows.Chunk {
        guard let reconstruction else { preconditionFailure("a branch of a document that has none") }
        return reconstruction.chunks[index]
    }

    private func observer(of chunk: ReconstructionRows.Chunk) -> Observer? { chunk.isCheck ? checker : observer }

    /// Whether a branch goes through the rest of the last layer too, behind which others have no readers.
    func isFinished(_ index: Int) -> Bool { !isLast || chunk(index).isCheck }

    /// The last `count` rows of a branch as the last layer left them.
    func lastRows(_ count: Int, of index: Int) -> Floats {
        let chunk = chunk(index)
        return rows(chunk.firstRow + chunk.rows - count, count)
    }

    /// Rows of a branch.
    func rows(of chunk: Int) -> Int { self.chunk(chunk).rows }

    /// Computes the queries of a tile of a branch's rows, `firstRow` counted from its first; returns how many.
    func projectBranch(_ index: Int, firstRow: Int) -> Int {
        let chunk = chunk(index)
        guard let observer = observer(of: chunk) else { return chunk.rows }
        let first = chunk.firstRow + firstRow
        let count = min(tileRows, chunk.rows - firstRow)
        embed(first, count)
        // Every branch starts where the document ends.
        block.setPositions(first: 0, count: count, position: tokens + firstRow)
        block.projectQueries(
            weights, panel, x: rows(first, count), rows: count,
            ranges: [RowRange(first: 0, count: count, isDense: true)])
        observer.keepQueries(of: block, rows: count, firstRow: firstRow)
        observer.keepNormed(of: block, rows: count, firstRow: firstRow)
        observer.change?.keepSizes(rows(first, count), rows: count, firstRow: firstRow)
        return count
    }

    /// Lets a branch's query heads of one KV head attend to the document and to the branch itself, and observes them.
    func attendBranch(_ index: Int, head: Int) throws(ModelError) {
        let chunk = chunk(index)
        guard let observer = observer(of: chunk) else { return }
        let shape = model.configuration
        let own: HeadRows
        if let branchRows {
            own = branchRows
        } else {
            own = try HeadRows(
                rows: layerRows.rows, heads: 1, headWidth: shape.headWidth, capacity: chunk.rows, meter: meter)
        }
        branchRows = head + 1 < kvHeads ? own : nil
        let gathers = isFinished(index) || observer.change != nil
        observer.storeKeys(
            weights, panel, head: head, rows: chunk.rows, in: own, values: gathers, scratch: attentionScratch)
        let ownKeys = own.entries(head: 0, count: chunk.rows, seenByFirst: 1)
        attend(observer, chunk, head: head, runs: runs(head, chunk.reads) + [ownKeys], gathers: gathers)
        if chunk.isRenormalised {
            attend(observer, chunk, head: head, runs: runs(head, chunk.judges) + [ownKeys], gathers: false)
        }
        guard !chunk.isCheck else { return }
        observer.observe(
            head: head, rows: chunk.rows, attentionScratch, keys: entries(head, chunk.judges),
            firstToken: chunk.judges.lowerBound, into: &accumulator)
    }

    private func entries(_ head: Int, _ range: Range<Int>) -> Entries {
        layerRows.entries(head: head, first: range.lowerBound, count: range.count, seenByFirst: range.count)
    }

    /// The sinks that a range leaves out, and the range.
    private func runs(_ head: Int, _ range: Range<Int>) -> [Entries] {
        let before = 0..<min(sinks, range.lowerBound)
        return before.isEmpty ? [entries(head, range)] : [entries(head, before), entries(head, range)]
    }

    /// Lets a branch's query heads of one KV head attend to `runs`, for their outputs or for their normalisers alone.
    private func attend(
        _ observer: Observer, _ chunk: ReconstructionRows.Chunk, head: Int, runs: [Entries], gathers: Bool
    ) {
        let shape = model.configuration
        var attention = BlockAttention(
            precision: model.attentionPrecision, headWidth: shape.headWidth, groupWidth: shape.groupWidth,
            kvHeads: kvHeads, rows: chunk.rows,
            query: observer.query.floats, firstHead: head, runs: runs, runsPerHead: runs.count,
            attended: gathers ? observer.attended.floats : nil, logSums: observer.logSums.floats,
            logSumStride: observer.rows, scratch: attentionScratch)
        attention.run(on: pool)
    }

    /// Takes a tile of a branch's rows through the rest of the layer; returns how many.
    func finishBranch(_ index: Int, firstRow: Int) -> Int {
        let chunk = chunk(index)
        guard let observer = observer(of: chunk) else { return chunk.rows }
        let count = min(tileRows, chunk.rows - firstRow)
        let width = model.configuration.heads * model.configuration.headWidth
        block.finish(
            weights, panel, attended: observer.attended.floats.slice(firstRow * width, count * width),
            x: rows(chunk.firstRow + firstRow, count), rows: count,
            ranges: [RowRange(first: 0, count: count, isDense: true)])
        return count
    }
}
