// The feed-forward half of a batch of rows in a layer of experts: each expert's weights meet all its rows at once.
//
//     scores ─ softmax ─ the likeliest ─▶ rows sorted by expert ─ Wgate Wup ─ gate ─ Wdown ─▶ weighted sum of each row
import CKernels

/// Rows sorted by expert, and room for them, allocated once.
///
/// A row's result does not depend on the other rows: its way through the matrices is that of `RowProducts`, and its
/// experts are added in the order of their weights.
final class ExpertBlock {
    private let shape: ExpertShape
    private let gateFunction: Architecture.Gate
    private let width: Int
    private let pool: WorkerPool

    /// `[rows, count]`: what the router says.
    let scores: FloatBuffer
    /// `[rows, used]`, and the slot that each of them is computed in.
    private let chosen: Cells<Int32>
    private let weights: FloatBuffer
    private let slots: Cells<Int32>
    /// `[slots, width]`: the rows by expert, then what the expert makes of them.
    private let gathered: FloatBuffer
    /// `[slots, expert width]`.
    private let gate: FloatBuffer
    private let up: FloatBuffer
    /// The inputs of a product as bytes.
    private let quantised: FloatBuffer
    private var runs: [ExpertRun] = []
    private var counts: [Int] = []

    init(_ model: Model, _ shape: ExpertShape, pool: WorkerPool, rows: Int) throws(ModelError) {
        self.shape = shape
        self.pool = pool
        gateFunction = model.gate
        width = model.configuration.width
        scores = try FloatBuffer(rows * shape.count)
        chosen = Cells(rows * shape.used, of: 0)
        slots = Cells(rows * shape.used, of: 0)
        weights = try FloatBuffer(rows * shape.used)
        // The rows of an expert begin at a tile of rows.
        let padding = min(shape.count, rows * shape.used) * (DenseRows.tileRows - 1)
        let capacity = (rows * shape.used + padding + DenseRows.tileRows - 1) / DenseRows.tileRows * DenseRows.tileRows
        gathered = try FloatBuffer(capacity * width)
        gate = try FloatBuffer(capacity * shape.width)
        up = try FloatBuffer(capacity * shape.width)
        let inputs = (max(width, shape.width) + 31) / 32 * 32
        quantised = try FloatBuffer(model.isInteger ? DenseRows.quantisedSize(rows: capacity, inputs: inputs) : 0)
    }

    /// From the normed rows x `[rows, width]`, whose scores are there, to what the experts add to them, `[rows,
    /// width]`.
    func run(
        _ experts: Experts, _ x: Floats, rows: Int, ranges: [RowRange], scratch: [Floats], into y: Floats
    ) {
        var choose = ChooseExperts(
            rows: rows, shape: shape, scores: scores.floats, chosen: chosen, weights: weights.floats)
        choose.run(on: pool)
        let count = sort(ranges)
        var gather = GatherRows(rows: rows, used: shape.used, width: width, x: x, slots: slots, y: gathered.floats)
        gather.run(on: pool)
        multiply(gathered, [(experts.gate, gate), (experts.up, up)], scratch)
        var gating = GateRows(
            function: gateFunction, rows: count, width: shape.width, gate: gate.floats, up: up.floats)
        gating.run(on: pool)
        multiply(gate, [(experts.down, gathered)], scratch)
        var add = AddExperts(
            rows: rows, used: shape.used, width: width, slots: slots, weights: weights.floats, x: gathered.floats, y: y)
        add.run(on: pool)
    }

    private func multiply(_ x: FloatBuffer, _ targets: [(linears: [Linear], y: FloatBuffer)], _ scratch: [Floats]) {
        var products = ExpertProducts(
            x: x.floats, quantised: quantised.floats, runs: runs,
            targets: targets.map { ExpertProducts.Target(linears: $0.linears, y: $0.y.floats) }, scratch: scratch)
        products.run(on: pool)
    }

    /// Gives every chosen expert of every row a slot, expert after expert; returns the slots in use.
    private func sort(_ ranges: [RowRange]) -> Int {
        let rows = ranges.reduce(0) { $0 + $1.count }
        counts = Array(repeating: 0, count: shape.count)
        for index in 0..<rows * shape.used { counts[Int(chosen[index])] += 1 }
        runs.removeAll(keepingCapacity: true)
        var first = 0
        // From here on, the slot of each expert's next row.
        var next = counts
        for expert in counts.indices where counts[expert] > 0 {
            next[expert] = first
            runs.append(ExpertRun(expert: expert, firstSlot: first, rows: counts[expert]))
            first += (counts[expert] + DenseRows.tileRows - 1) / DenseRows.tileRows * DenseRows.tileRows
        }
        var row = 0
        for range in ranges {
            let starts = next
            for index in row * shape.used..<(row + range.count) * shape.used {
                let expert = Int(chosen[index])
                slots[index] = Int32(next[expert])
                next[expert] += 1
            }
            row += range.count
            for run in runs.indices where next[runs[run].expert] > starts[runs[run].expert] {
                runs[run].append(next[runs[run].expert] - starts[runs[run].expert], isDense: range.isDense)
            }
        }
        return first
    }
}

/// The rows of one expert.
struct ExpertRun {
    let expert: Int
    let firstSlot: Int
    let rows: Int
    /// Counted from the first slot: those of the batch, as far as they go to this expert.
    private(set) var ranges: [RowRange] = []

    init(expert: Int, firstSlot: Int, rows: Int) {
        self.expert = expert
        self.firstSlot = firstSlot
        self.rows = rows
    }

    /// Adds the rows of the batch's next range; a few of them are not worth making weights ready for.
    mutating func append(_ count: Int, isDense: Bool) {
        let first = ranges.last.map { $0.first + $0.count } ?? 0
        ranges.append(RowRange(first: first, count: count, isDense: isDense && count >= RowRange.denseRows))
    }
}

/// Copies rows to the slots of their experts.
struct GatherRows: RowTask {
    let rows: Int
    let used: Int
    let width: Int
    /// `[rows, width]`.
    let x: Floats
    /// `[rows, used]`.
    let slots: Cells<Int32>
    /// `[slots, width]`.
    let y: Floats

    func run(_ range: Range<Int>) {
        for row in range {
            for rank in 0..<used {
                y.slice(Int(slots[row * used + rank]) * width, width).copy(from: x.slice(row * width, width))
            }
        }
    }
}

/// y = Σ weight · x over the experts of each row.
struct AddExperts: RowTask {
    let rows: Int
    let used: Int
    let width: Int
    /// `[rows, used]`; weights likewise.
    let slots: Cells<Int32>
    let weights: Floats
    /// `[slots, width]`; overwritten.
    let x: Floats
    /// `[rows, width]`.
    let y: Floats

    func run(_ range: Range<Int>) {
        for row in range {
            let y = y.slice(row * width, width)
            y.fill(0)
            for rank in 0..<used {
                let x = x.slice(Int(slots[row * used + rank]) * width, width)
                x.multiply(by: weights[row * used + rank])
                unsafe caked_add(x.base, y.base, width)
            }
        }
    }
}
