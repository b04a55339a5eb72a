// One decoder block on a batch of rows, all but its attention: what prefill and decode have in common.
//
//     x ─ norm ─ Wq Wk Wv ─ norm ─ RoPE ─▶ queries, keys, values
//     attended ─ Wo ─ norm ─ (+x) ─ norm ─ Wgate Wup ─ gate ─ Wdown ─ norm ─ (+x) ─▶ x
//                                          or experts
//
// `ModelLayer` says which norms there are, and whether its heads turn.

import CKernels

/// The activations of a batch of rows, allocated once, and the two halves of a block around attention.
final class Block {
    private let model: Model
    private let pool: WorkerPool
    /// The most rows a batch can have.
    let capacity: Int

    /// `[capacity, width]`: the normed residual stream, and what a half of the block adds to it.
    private let normed: FloatBuffer
    private let projected: FloatBuffer
    /// `[capacity, heads, headWidth]`: queries as attention takes them, scaled, and what it makes of them.
    let query: FloatBuffer
    let attended: FloatBuffer
    /// `[capacity, kvHeads, headWidth]`.
    let key: FloatBuffer
    let value: FloatBuffer
    /// `[capacity, feedForwardWidth]`, where all rows go through one feed-forward block.
    private let gate: FloatBuffer
    private let up: FloatBuffer
    private let experts: ExpertBlock?
    /// `[capacity, ropeDimensions / 2]` for each of the model's rotations.
    private let angles: [(cosines: FloatBuffer, sines: FloatBuffer)]
    /// `[capacity]`, where queries have a factor that depends on their position.
    private let temperatures: FloatBuffer?
    /// The inputs of a product as bytes.
    private let quantised: FloatBuffer
    /// Per worker, room for a block of weights made ready.
    private let scratch: [FloatBuffer]
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
        let inner = shape.experts == nil ? shape.feedForwardWidth : 0
        gate = try FloatBuffer(rows * inner)
        up = try FloatBuffer(rows * inner)
        experts = try shape.experts.map { experts throws(ModelError) in
            try ExpertBlock(model, experts, pool: pool, rows: rows)
        }
        angles = try model.ropes.map { rope throws(ModelError) in
            (try FloatBuffer(rows * rope.half), try FloatBuffer(rows * rope.half))
        }
        temperatures = shape.temperatureScale == 0 ? nil : try FloatBuffer(rows)
        let inputs = max(shape.width, inner, shape.experts?.width ?? 0, shape.heads * shape.headWidth)
        quantised = try FloatBuffer(
            model.isInteger ? DenseRows.quantisedSize(rows: rows, inputs: (inputs + 31) / 32 * 32) : 0)
        var scratch: [FloatBuffer] = []
        for _ in 0..<pool.threads { scratch.append(try FloatBuffer(RowProducts.blockOutputs * inputs)) }
        self.scratch = scratch
        scratchViews = scratch.map(\.floats)
    }

    /// Sets the RoPE angles of the batch's rows `first..<first + count` to consecutive positions.
    func setPositions(first: Int, count: Int, position: Int) {
        for (rope, angles) in zip(model.ropes, angles) {
            let half = rope.half
            var fill = FillAngles(
                rows: count, firstPosition: position, rope: rope,
                cosines: angles.cosines.floats.slice(first * half, count * half),
                sines: angles.sines.floats.slice(first * half, count * half))
            fill.run(on: pool)
        }
        guard let temperatures = temperatures?.floats else { return }
        for row in 0..<count {
            temperatures[first + row] = model.configuration.temperature(position: position + row)
        }
    }

    /// From the residual stream x `[rows, width]` to those of queries, keys and values that are wanted.
    func project(
        _ wanted: Projections, _ layer: ModelLayer, _ panel: LayerPanel?, x: Floats, rows: Int, ranges: [RowRange]
    ) {
        let shape = model.configuration
        let input = normalise(x, layer.attentionNorm, rows: rows)
        var targets: [RowProducts.Target] = []
        if wanted.contains(.keys) { targets.append(target(layer, panel, .key, key)) }
        if wanted.contains(.values) { targets.append(target(layer, panel, .value, value)) }
        if wanted.contains(.queries) { targets.append(target(layer, panel, .query, query)) }
        multiply(input, ranges, targets)
        if wanted.contains(.keys) { prepare(key, shape.kvHeads, layer.keyNorm, layer, rows: rows, scale: 1) }
        if wanted.contains(.queries) {
            prepare(
                query, shape.heads, layer.queryNorm, layer, rows: rows, scale: layer.bounds.scale,
                temperatures: temperatures?.floats)
        }
    }

    /// From what attention gathered, `[rows, heads · headWidth]`, to the block's output, added to x `[rows, width]`.
    func finish(
        _ layer: ModelLayer, _ panel: LayerPanel?, attended: Floats, x: Floats, rows: Int, ranges: [RowRange]
    ) {
        multiply(attended, ranges, [target(layer, panel, .attentionOutput, projected)])
        let input = add(projected, normed: layer.attentionOutputNorm, to: x, then: layer.feedForwardNorm, rows: rows)
        feedForward(layer, panel, input, rows: rows, ranges: ranges)
        _ = add(projected, normed: layer.feedForwardOutputNorm, to: x, then: nil, rows: rows)
    }

    /// Writes what the feed-forward half makes of its input `[rows, width]`.
    private func feedForward(
        _ layer: ModelLayer, _ panel: LayerPanel?, _ input: Floats, rows: Int, ranges: [RowRange]
    ) {
        if let weights = layer.experts, let experts {
            multiply(input, ranges, [RowProducts.Target(linear: weights.router, panel: nil, y: experts.scores.floats)])
            return experts.run(
                weights, input, rows: rows, ranges: ranges, scratch: scratchViews, into: projected.floats)
        }
        multiply(input, ranges, [target(layer, panel, .gate, gate), target(layer, panel, .up, up)])
        var gating = GateRows(
            function: model.gate, rows: rows, width: model.configuration.feedForwardWidth, gate: gate.floats,
            up: up.floats)
        gating.run(on: pool)
        multiply(gate.floats, ranges, [target(layer, panel, .down, projected)])
    }

    /// The logits of x `[rows, width]`, `[rows, vocabulary]`.
    func logits(_ x: Floats, rows: Int, into logits: Floats) {
        let input = normalise(x, model.outputNorm, rows: rows)
        multiply(
            input, [RowRange(first: 0, count: rows, isDense: false)],
            [RowProducts.Target(linear: model.output, panel: nil, y: logits)])
        let all = logits.slice(0, rows * model.configuration.vocabulary)
        all.multiply(by: 1 / model.configuration.logitScale)
        if let cap = model.configuration.logitCap { unsafe caked_soft_cap(all.base, cap, all.count) }
    }

    /// The normed rows of x; x itself where there is no norm.
    private func normalise(_ x: Floats, _ norm: FloatBuffer?, rows: Int) -> Floats {
        guard let norm else { return x }
        var task = AddAndNormalise(
            rows: rows, epsilon: model.configuration.rmsEpsilon, width: model.configuration.width, x: x,
            norm: norm.floats, y: normed.floats)
        task.run(on: pool)
        return normed.floats
    }

    /// Adds what a half of the block made to the residual stream x; returns what the next half takes, as `normalise`.
    private func add(
        _ addend: FloatBuffer, normed addendNorm: FloatBuffer?, to x: Floats, then norm: FloatBuffer?, rows: Int
    ) -> Floats {
        let shape = model.configuration
        var task = AddAndNormalise(
            rows: rows, epsilon: shape.rmsEpsilon, width: shape.width, x: x, addend: addend.floats,
            addendNorm: addendNorm?.floats, addendScale: shape.residualScale, norm: norm?.floats, y: normed.floats)
        task.run(on: pool)
        return norm == nil ? x : normed.floats
    }

    private func prepare(
        _ x: FloatBuffer, _ heads: Int, _ norm: FloatBuffer?, _ layer: ModelLayer, rows: Int, scale: Float,
        temperatures: Floats? = nil
    ) {
        let shape = model.configuration
        let angles = angles[layer.rotation?.index ?? 0]
        var task = PrepareHeads(
            rows: rows, heads: heads, headWidth: shape.headWidth, x: x.floats, norm: norm?.floats,
            epsilon: shape.rmsEpsilon, normFollowsRotation: layer.normsFollowRotation, rotation: layer.rotation?.rope,
            cosines: angles.cosines.floats, sines: angles.sines.floats,
            scale: scale, temperatures: temperatures)
        task.run(on: pool)
    }

    private func multiply(_ x: Floats, _ ranges: [RowRange], _ targets: [RowProducts.Target]) {
        var products = RowProducts(
            x: x, ranges: ranges, targets, scratch: scratchViews, quantised: quantised.floats)
        products.run(on: pool)
    }

    private func target(
        _ layer: ModelLayer, _ panel: LayerPanel?, _ matrix: LayerMatrix, _ y: FloatBuffer
    ) -> RowProducts.Target {
        RowProducts.Target(linear: layer[matrix], panel: panel?[matrix], y: y.floats)
    }
}

/// Which projections of a block's input somebody reads.
struct Projections: OptionSet {
    let rawValue: Int

    static let queries = Projections(rawValue: 1)
    static let keys = Projections(rawValue: 2)
    static let values = Projections(rawValue: 4)
    static let all: Projections = [.queries, .keys, .values]
}
