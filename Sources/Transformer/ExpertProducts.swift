// Products of rows sorted by expert with the weights of their experts, split over the pool by experts and blocks of
// outputs.

/// What one region multiplies: y = W x for each target, W being that of each row's expert.
struct ExpertProducts {
    struct Target {
        /// By expert, all of one shape.
        let linears: [Linear]
        /// `[slots, outputs]`.
        let y: Floats
    }

    /// `[slots, inputs]`.
    let x: Floats
    /// Room for all slots as bytes.
    let quantised: Floats
    /// Those of the experts that have rows.
    let runs: [ExpertRun]
    let targets: [Target]
    /// Per worker, `RowProducts.blockOutputs · inputs` floats at least.
    let scratch: [Floats]

    private var inputs: Int { targets[0].linears[0].inputs }
    private var usesBytes: Bool { targets.contains { $0.linears[0].isInteger } }

    /// Runs all products.
    mutating func run(on pool: WorkerPool) {
        if usesBytes {
            unsafe pool.run(runs.count, on: &self) { products, index, _ in
                let rows = unsafe products.pointee.rows(products.pointee.runs[index])
                for tile in 0..<rows.tiles { rows.quantise(tile: tile) }
            }
        }
        let tasks = targets.reduce(0) { $0 + blocks($1) }
        unsafe pool.run(runs.count * tasks, on: &self) { products, task, worker in
            unsafe products.pointee.run(products.pointee.runs[task / tasks], task % tasks, worker)
        }
    }

    private func blocks(_ target: Target) -> Int {
        (target.linears[0].outputs + RowProducts.blockOutputs - 1) / RowProducts.blockOutputs
    }

    private func rows(_ run: ExpertRun) -> DenseRows {
        let bytes = DenseRows.quantisedSize(rows: run.rows, inputs: inputs)
        let first = DenseRows.quantisedSize(rows: run.firstSlot, inputs: inputs)
        return DenseRows(
            count: run.rows, inputs: inputs, floats: x.slice(run.firstSlot * inputs, run.rows * inputs),
            quantised: usesBytes ? quantised.slice(first, bytes) : quantised.slice(0, 0))
    }

    private func run(_ run: ExpertRun, _ task: Int, _ worker: Int) {
        var block = task
        for target in targets {
            guard block >= blocks(target) else { return multiply(target, run, block: block, worker) }
            block -= blocks(target)
        }
    }

    private func multiply(_ target: Target, _ run: ExpertRun, block: Int, _ worker: Int) {
        let linear = target.linears[run.expert]
        let first = block * RowProducts.blockOutputs
        let outputs = min(RowProducts.blockOutputs, linear.outputs - first)
        let rows = rows(run)
        let y = target.y.slice(run.firstSlot * linear.outputs, run.rows * linear.outputs)
        guard !linear.isInteger else { return linear.multiplyBytes(rows, first: first, count: outputs, into: y) }
        var panel: DensePanel?
        for range in run.ranges {
            let x = rows.floats.slice(range.first * inputs, range.count * inputs)
            let y = y.slice(range.first * linear.outputs, range.count * linear.outputs)
            guard range.isDense else {
                linear.multiply(x, rows: range.count, first: first, count: outputs, into: y)
                continue
            }
            let floats = panel ?? linear.floats(from: first, outputs, scratch[worker])
            panel = floats
            floats.multiply(
                DenseRows(count: range.count, inputs: inputs, floats: x, quantised: x.slice(0, 0)),
                into: y.slice(first, y.count - first), stride: linear.outputs,
                bias: linear.bias?.floats.slice(first, outputs))
        }
    }
}
