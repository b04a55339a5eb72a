// Products of a batch of rows with up to three matrices, split over the pool by blocks of outputs.

/// Rows of a batch that are multiplied the same way.
struct RowRange {
    var first: Int
    var count: Int
    /// Whether weights are made ready for a dense product; straight from the stored weights otherwise.
    var isDense: Bool

    /// From this many rows on, preparing a block of weights costs less than it saves.
    static let denseRows = 32
}

/// What one region multiplies: y = W x + b for each target, all with the same x `[rows, inputs]`.
///
/// Not copied, since counting what it refers to would cost the tasks of all threads more than small products do.
struct RowProducts: ~Copyable {
    struct Target {
        let linear: Linear
        /// W made ready, when all of it is.
        let panel: DensePanel?
        /// `[rows, outputs]`.
        let y: Floats

        init(linear: Linear, panel: DensePanel?, y: Floats) {
            self.linear = linear
            self.panel = panel ?? linear.repacked
            self.y = y
        }
    }

    let x: Floats
    let ranges: [RowRange]
    let first: Target
    let second: Target?
    let third: Target?
    /// Per worker, `blockOutputs · inputs` floats at least; used where there is no panel.
    let scratch: [Floats]
    /// Room for all rows as bytes.
    let quantised: Floats

    /// Up to three targets, at least one.
    init(x: Floats, ranges: [RowRange], _ targets: [Target], scratch: [Floats], quantised: Floats) {
        precondition((1...3).contains(targets.count))
        self.x = x
        self.ranges = ranges
        first = targets[0]
        second = targets.count > 1 ? targets[1] : nil
        third = targets.count > 2 ? targets[2] : nil
        self.scratch = scratch
        self.quantised = quantised
    }

    /// Outputs of a task: enough for a dense product to run at speed, few enough to share small matrices.
    static let blockOutputs = 64
    /// Outputs of a task at most where few rows meet the weights, which are fetched ahead, but not across tasks.
    private static let longBlockOutputs = 128
    /// Outputs of a task of this region.
    private var taskOutputs = blockOutputs
    /// Weights that are multiplied with a few rows in about the time that starting a region takes.
    private static let serialWeights = 100_000
    /// Tiles of rows that one task quantises.
    private static let taskTiles = 2

    /// Runs all products.
    mutating func run(on pool: WorkerPool) {
        if usesBytes(first) || usesBytes(second) || usesBytes(third) {
            unsafe pool.run((allRows.tiles + Self.taskTiles - 1) / Self.taskTiles, on: &self) { products, task, _ in
                let rows = unsafe products.pointee.allRows
                for tile in task * Self.taskTiles..<min((task + 1) * Self.taskTiles, rows.tiles) {
                    rows.quantise(tile: tile)
                }
            }
        }
        if !ranges.contains(where: \.isDense) {
            // Still several tasks for each thread, so that they end together.
            let outputs = first.linear.outputs + (second?.linear.outputs ?? 0) + (third?.linear.outputs ?? 0)
            let share = outputs / (8 * pool.threads) / Self.blockOutputs * Self.blockOutputs
            taskOutputs = max(Self.blockOutputs, min(Self.longBlockOutputs, share))
        }
        let tasks = blocks(first) + blocks(second) + blocks(third)
        if rows <= DenseRows.tileRows, tasks * taskOutputs * first.linear.inputs <= Self.serialWeights {
            for task in 0..<tasks { run(task, 0) }
        } else {
            unsafe pool.run(tasks, on: &self) { products, task, worker in unsafe products.pointee.run(task, worker) }
        }
    }

    private func usesBytes(_ target: Target?) -> Bool {
        guard let target else { return false }
        return target.panel?.isInteger ?? target.linear.isInteger
    }

    private var rows: Int { ranges.reduce(0) { $0 + $1.count } }

    /// The rows of all ranges, which lie one behind the other.
    private var allRows: DenseRows {
        let inputs = first.linear.inputs
        let rows = rows
        let size = DenseRows.quantisedSize(rows: rows, inputs: inputs)
        return DenseRows(
            count: rows, inputs: inputs, floats: x.slice(0, rows * inputs),
            quantised: quantised.slice(0, quantised.count == 0 ? 0 : size))
    }

    private func blocks(_ target: Target?) -> Int {
        guard let target else { return 0 }
        return (target.linear.outputs + taskOutputs - 1) / taskOutputs
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
        let firstOutput = block * taskOutputs
        let outputs = min(taskOutputs, linear.outputs - firstOutput)
        if let panel = target.panel {
            let y = target.y.slice(firstOutput, target.y.count - firstOutput)
            panel.slice(firstOutput, outputs).multiply(
                allRows, into: y, stride: linear.outputs, bias: linear.bias?.floats.slice(firstOutput, outputs))
        } else if linear.isInteger {
            linear.multiplyBytes(allRows, first: firstOutput, count: outputs, into: target.y)
        } else {
            multiplyFloats(target, from: firstOutput, outputs, worker)
        }
    }

    private func multiplyFloats(_ target: Target, from firstOutput: Int, _ outputs: Int, _ worker: Int) {
        let linear = target.linear
        var prepared: DensePanel?
        for index in 0..<ranges.count {
            let range = ranges[index]
            let x = x.slice(range.first * linear.inputs, range.count * linear.inputs)
            let y = target.y.slice(range.first * linear.outputs, range.count * linear.outputs)
            guard range.isDense else {
                linear.multiply(x, rows: range.count, first: firstOutput, count: outputs, into: y)
                continue
            }
            let panel = prepared ?? linear.floats(from: firstOutput, outputs, scratch[worker])
            prepared = panel
            panel.multiply(
                DenseRows(count: range.count, inputs: linear.inputs, floats: x, quantised: x.slice(0, 0)),
                into: y.slice(firstOutput, y.count - firstOutput), stride: linear.outputs,
                bias: linear.bias?.floats.slice(firstOutput, outputs))
        }
    }
}
