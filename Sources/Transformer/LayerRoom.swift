// The rows of a reading and the room in which they go through one layer: what the document and its branches share.

import CAKE
import CKernels

/// A layer being read: its weights made ready, its KV rows, and what has been observed of them.
final class LayerRoom {
    let model: Model
    let pool: WorkerPool
    /// S, the tokens of the document.
    let tokens: Int
    /// Rows that go through a layer at once.
    let tileRows: Int
    let block: Block
    let panel: LayerPanel
    let attentionScratch: [AttentionScratch]
    /// The one layer buffer: keys and values of all document rows in the layer being read.
    let layerRows: HeadRows
    private(set) var accumulator: ObservationAccumulator
    private(set) var layer = 0

    private let method: Method
    /// Tokens of all rows: the document's, then the branches'.
    private let ids: [Int32]
    /// The residual stream, `[rows, width]`.
    private let hidden: FloatBuffer

    init(
        model: Model, pool: WorkerPool, document: [Int32], branches: [Int32], method: Method, rows: KVRows,
        meter: KVMeter
    ) throws(ModelError) {
        let shape = model.configuration
        self.model = model
        self.pool = pool
        self.method = method
        tokens = document.count
        tileRows = PrefillWork.tileRows(shape, tokens: tokens, isInteger: model.isInteger)
        ids = document + branches
        hidden = try FloatBuffer(ids.count * shape.width)
        panel = try LayerPanel(model)
        block = try Block(model, pool: pool, rows: tileRows)
        var scratch: [AttentionScratch] = []
        for _ in 0..<pool.threads {
            scratch.append(try AttentionScratch(headWidth: shape.headWidth, groupWidth: shape.groupWidth))
        }
        attentionScratch = scratch
        layerRows = try HeadRows(
            rows: rows, heads: shape.kvHeads, headWidth: shape.headWidth, capacity: tokens, meter: meter)
        accumulator = Self.accumulator(method, shape, tokens)
    }

    private static func accumulator(_ method: Method, _ shape: ModelConfiguration, _ tokens: Int)
        -> ObservationAccumulator
    {
        ObservationAccumulator(
            method: method, kvHeads: shape.kvHeads, groupWidth: shape.groupWidth,
            evictableTokens: method.observedTokens(documentTokens: tokens))
    }

    var weights: ModelLayer { model.layers[layer] }
    var isLast: Bool { layer + 1 == model.layers.count }

    /// Turns to `layer`: its weights are made ready, its observation starts empty.
    func begin(layer: Int) {
        self.layer = layer
        panel.fill(from: weights, pool: pool)
        accumulator = Self.accumulator(method, model.configuration, tokens)
    }

    /// The residual stream of `count` rows, `[count, width]`.
    func residual(_ first: Int, _ count: Int) -> Floats {
        let width = model.configuration.width
        return hidden.floats.slice(first * width, count * width)
    }

    /// The same as the layer begins with it: in the first layer, the embeddings of the rows' tokens.
    func input(_ first: Int, _ count: Int) -> Floats {
        let x = residual(first, count)
        if layer == 0 {
            var embed = Embed(rows: count, model: model, ids: ids, firstToken: first, x: x)
            embed.run(on: pool)
        }
        return x
    }

    /// The residual stream's bytes, `[rows, width]` floats: what a layer begins with.
    @unsafe var streamBytes: UnsafeMutableRawBufferPointer {
        let floats = hidden.floats
        return unsafe UnsafeMutableRawBufferPointer(
            start: floats.base, count: floats.count * MemoryLayout<Float>.stride)
    }

    /// Lets query rows from `position` on attend to `runs`, `runsPerHead` for each KV head from `firstHead` on: for
    /// their outputs, where `attended` has room for them, and for an observer's normalisers, from its row
    /// `observerRow` on.
    func attend(
        _ rows: Int, position: Int, query: Floats, firstHead: Int = 0, runs: [Entries], runsPerHead: Int,
        attended: Floats?, observer: Observer?, observerRow: Int = 0
    ) {
        let shape = model.configuration
        var attention = BlockAttention(
            precision: model.attentionPrecision, bounds: weights.bounds, headWidth: shape.headWidth,
            groupWidth: shape.groupWidth, kvHeads: shape.kvHeads, rows: rows, position: position, query: query,
            firstHead: firstHead, runs: runs, runsPerHead: runsPerHead, attended: attended,
            logSums: observer?.logSums.floats, logSumStride: observer?.rows ?? 0, logSumColumn: observerRow,
            scratch: attentionScratch)
        attention.run(on: pool)
    }

    /// Adds what `rows` observing rows from `position` on see of `keys`, the document's entries of one KV head.
    func observe(_ observer: Observer, head: Int, rows: Int, position: Int, keys: Entries) {
        observer.observe(
            head: head, rows: rows, position: position, weights.bounds, attentionScratch, keys: keys,
            into: &accumulator)
    }

    /// What was observed of the layer.
    func observation() -> LayerObservation {
        method.observation == .none ? .none : accumulator.finish()
    }

    /// The same from scores and a preference that were predicted.
    func observation(predicted scores: [Float], preference: Double) -> LayerObservation {
        accumulator.finish(predicted: scores, preference: preference)
    }
}
