// Products of a batch of rows with up to three matrices, split over the pool by blocks of outputs.

/// Rows of a batch that are multiplied the same way.
struct RowRange {
    var first: Int
    var count: Int
    /// Whether weights are dequantised for a dense product; straight from the stored weights otherwise.
    var isDense: Bool

    /// From this many rows on, dequantising a block of weights costs less than it saves.
    static let denseRows = 32
}

/// What one region multiplies: y = W x + b for each target, all with the same x `[rows, inputs]`.
struct RowProducts {
    struct Target {
        let linear: Linear
        /// W as floats, `[outputs, inputs]`, when the whole layer has been dequantised.
        let panel: Floats?
        /// `[rows, outputs]`.
        let y: Floats
    }

    let x: Floats
    let ranges: [RowRange]
    let first: Target
    var second: Target?
    var third: Target?
    /// Per worker, `blockOutputs · inputs` floats at least; used where there is no panel.
    let scratch: [Floats]

    /// Outputs of a task: enough for a dense product to run at speed, few enough to share small matrices.
    static let blockOutputs = 64

    /// Runs all products.
    mutating func run(on pool: WorkerPool) {
        let tasks = blocks(first) + blocks(second) + blocks(third)
        unsafe pool.run(tasks, on: &self) { products, task, worker in unsafe products.pointee.run(task, worker) }
    }

    private func blocks(_ target: Target?) -> Int {
        guard let target else { return 0 }
        return (target.linear.outputs + Self.blockOutputs - 1) / Self.blockOutputs
    }

    private func run(_ task: Int, _ worker: Int) {
        let ends = (blocks(first), blocks(first) + blocks(second))
        if task < ends.0 {
            multiply(first, block: task, worker)
        } else if let second, task < ends.1 {
            multiply(second, block: task - ends.0, worker)
        } else if let third {
            multiply(third, block: task - ends.1, worker)
        }
    }

    private func multiply(_ target: Target, block: Int, _ worker: Int) {
        let linear = target.linear
        let firstOutput = block * Self.blockOutputs
        let outputs = min(Self.blockOutputs, linear.outputs - firstOutput)
        var weights: Floats?
        for index in 0..<ranges.count {
            let range = ranges[index]
            let x = x.slice(range.first * linear.inputs, range.count * linear.inputs)
            let y = target.y.slice(range.first * linear.outputs, range.count * linear.outputs)
            guard range.isDense else {
                linear.multiply(x, rows: range.count, first: firstOutput, count: outputs, into: y)
                continue
            }
            let dense = weights ?? floats(of: target, from: firstOutput, outputs, worker)
            weights = dense
            let columns = y.slice(firstOutput, y.count - firstOutput)
            if let bias = linear.bias?.floats.slice(firstOutput, outputs) {
                for row in 0..<range.count { columns.slice(row * linear.outputs, outputs).copy(from: bias) }
            }
            MatrixProduct.timesTransposed(
                x, stride: linear.inputs, dense, stride: linear.inputs, into: columns, stride: linear.outputs,
                m: range.count, n: outputs, k: linear.inputs, adding: linear.bias != nil)
        }
    }

    private func floats(of target: Target, from first: Int, _ outputs: Int, _ worker: Int) -> Floats {
        let inputs = target.linear.inputs
        if let panel = target.panel ?? target.linear.stored { return panel.slice(first * inputs, outputs * inputs) }
        let block = scratch[worker].slice(0, outputs * inputs)
        target.linear.dequantise(from: first, into: block)
        return block
    }
}
