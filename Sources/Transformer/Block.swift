// One decoder block on a batch of rows, all but its attention: what prefill and decode have in common.
//
//     x ─ RMSNorm ─ Wq Wk Wv ─ RoPE ─▶ queries, keys, values
//     attended ─ Wo ─ (+x) ─ RMSNorm ─ Wgate Wup ─ SwiGLU ─ Wdown ─ (+x) ─▶ x

/// The activations of a batch of rows, allocated once, and the two halves of a block around attention.
final class Block {
    private let model: Model
    private let pool: WorkerPool
    /// The most rows a batch can have.
    let capacity: Int

    /// `[capacity, width]`: the normed residual stream, and what a half of the block adds to it.
    let normed: FloatBuffer
    let projected: FloatBuffer
    /// `[capacity, heads, headWidth]`: rotated queries, scaled by 1/√headWidth, and what attention makes of them.
    let query: FloatBuffer
    let attended: FloatBuffer
    /// `[capacity, kvHeads, headWidth]`.
    let key: FloatBuffer
    let value: FloatBuffer
    /// `[capacity, feedForwardWidth]`.
    private let gate: FloatBuffer
    private let up: FloatBuffer
    /// `[capacity, ropeDimensions / 2]`.
    let cosines: FloatBuffer
    let sines: FloatBuffer
    /// The inputs of a product as bytes.
    private let quantised: FloatBuffer
    /// Per worker, room for a block of weights made ready.
    let scratch: [FloatBuffer]
    private let scratchViews: [Floats]

    init(_ model: Model, pool: WorkerPool, rows: Int) throws(ModelError) {
        let shape = model.configuration
        self.model = model
        self.pool = pool
        capacity = rows
        normed = try FloatBuffer(rows * shape.width)
        projected = try FloatBuffer(rows * shape.width)
        query = try FloatBuffer(rows * shape.heads * shape.headWidth)
        attended = try FloatBuffer(rows * shape.heads * shape.headWidth)
        key = try FloatBuffer(rows * shape.kvHeads * shape.headWidth)
        value = try FloatBuffer(rows * shape.kvHeads * shape.headWidth)
        gate = try FloatBuffer(rows * shape.feedForwardWidth)
        up = try FloatBuffer(rows * shape.feedForwardWidth)
        cosines = try FloatBuffer(rows * model.rope.half)
        sines = try FloatBuffer(rows * model.rope.half)
        let inputs = max(shape.width, shape.feedForwardWidth, shape.heads * shape.headWidth)
        quantised = try FloatBuffer(
            model.isInteger ? DenseRows.quantisedSize(rows: rows, inputs: (inputs + 31) / 32 * 32) : 0)
        var scratch: [FloatBuffer] = []
        for _ in 0..<pool.threads { scratch.append(try FloatBuffer(RowProducts.blockOutputs * inputs)) }
        self.scratch = scratch
        scratchViews = scratch.map(\.floats)
    }

    /// Sets the RoPE angles of the batch's rows `first..<first + count` to consecutive positions.
    func setPositions(first: Int, count: Int, position: Int) {
        let half = model.rope.half
        var angles = FillAngles(
            rows: count, firstPosition: position, rope: model.rope,
            cosines: cosines.floats.slice(first * half, count * half),
            sines: sines.floats.slice(first * half, count * half))
        angles.run(on: pool)
    }

    /// From the residual stream x `[rows, width]` to keys and values, and to queries unless nobody asks.
    func project(
        _ layer: ModelLayer, _ panel: LayerPanel?, x: Floats, rows: Int, ranges: [RowRange], queries: Bool = true
    ) {
        let shape = model.configuration
        normalise(x, layer.attentionNorm, rows: rows)
        var products = RowProducts(
            x: normed.floats, ranges: ranges, first: target(layer.key, panel, 1, key),
            second: target(layer.value, panel, 2, value), third: queries ? target(layer.query, panel, 0, query) : nil,
            scratch: scratchViews, quantised: quantised.floats)
        products.run(on: pool)
        rotate(key, heads: shape.kvHeads, rows: rows, scale: 1)
        if queries { rotateQueries(rows: rows) }
    }

    /// From the residual stream x `[rows, width]` to the normed rows and the queries alone.
    func projectQueries(_ layer: ModelLayer, _ panel: LayerPanel?, x: Floats, rows: Int, ranges: [RowRange]) {
        normalise(x, layer.attentionNorm, rows: rows)
        var products = RowProducts(
            x: normed.floats, ranges: ranges, first: target(layer.query, panel, 0, query), scratch: scratchViews,
            quantised: quantised.floats)
        products.run(on: pool)
        rotateQueries(rows: rows)
    }

    /// From what attention gathered, `[rows, heads · headWidth]`, to the block's output, added to x `[rows, width]`.
    func finish(
        _ layer: ModelLayer, _ panel: LayerPanel?, attended: Floats, x: Floats, rows: Int, ranges: [RowRange]
    ) {
        let shape = model.configuration
        multiply(attended, ranges, target(layer.attentionOutput, panel, 3, projected))
        normalise(x, layer.feedForwardNorm, rows: rows, adding: projected.floats)
        var gateAndUp = RowProducts(
            x: normed.floats, ranges: ranges, first: target(layer.gate, panel, 4, gate),
            second: target(layer.up, panel, 5, up), scratch: scratchViews, quantised: quantised.floats)
        gateAndUp.run(on: pool)
        var swiglu = SwiGLU(rows: rows, width: shape.feedForwardWidth, gate: gate.floats, up: up.floats)
        swiglu.run(on: pool)
        multiply(gate.floats, ranges, target(layer.down, panel, 6, projected))
        var residual = AddRows(rows: rows, width: shape.width, x: x, addend: projected.floats)
        residual.run(on: pool)
    }

    /// The logits of x `[rows, width]`, `[rows, vocabulary]`.
    func logits(_ x: Floats, rows: Int, into logits: Floats) {
        normalise(x, model.outputNorm, rows: rows)
        var products = RowProducts(
            x: normed.floats, ranges: [RowRange(first: 0, count: rows, isDense: false)],
            first: RowProducts.Target(linear: model.output, panel: nil, y: logits), scratch: scratchViews,
            quantised: quantised.floats)
        products.run(on: pool)
    }

    private func normalise(_ x: Floats, _ weight: FloatBuffer, rows: Int, adding addend: Floats? = nil) {
        var norm = Normalise(
            rows: rows, x: x, addend: addend, weight: weight.floats, epsilon: model.configuration.rmsEpsilon,
            y: normed.floats)
        norm.run(on: pool)
    }

    private func rotateQueries(rows: Int) {
        let shape = model.configuration
        rotate(query, heads: shape.heads, rows: rows, scale: 1 / Float(shape.headWidth).squareRoot())
    }

    private func rotate(_ x: FloatBuffer, heads: Int, rows: Int, scale: Float) {
        var rotation = Rotate(
            rows: rows, heads: heads, headWidth: model.configuration.headWidth, x: x.floats, rope: model.rope,
            cosines: cosines.floats, sines: sines.floats, scale: scale)
        rotation.run(on: pool)
    }

    private func multiply(_ x: Floats, _ ranges: [RowRange], _ target: RowProducts.Target) {
        var products = RowProducts(
            x: x, ranges: ranges, first: target, scratch: scratchViews, quantised: quantised.floats)
        products.run(on: pool)
    }

    private func target(
        _ linear: Linear, _ panel: LayerPanel?, _ matrix: Int, _ y: FloatBuffer
    ) -> RowProducts.Target {
        RowProducts.Target(linear: linear, panel: panel?.matrices[matrix], y: y.floats)
    }
}
