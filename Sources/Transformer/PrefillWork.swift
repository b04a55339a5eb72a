// How much arithmetic a prefill is, for its progress and for the size of its tiles.

/// Floating-point operations of a document, done and in all.
struct PrefillWork {
    private let layers: Double
    private var layerWork: Double
    private let rowWork: Double
    private let attentionWork: Double
    private let kvHeads: Int
    private let branches: [Branch]
    private let everyRowObserves: Bool
    private var done = 0.0

    init(_ shape: ModelConfiguration, tokens: Int, branches: [Branch], everyRowObserves: Bool) {
        rowWork = 2 * Double(shape.blockWeights)
        attentionWork = 2 * Double(shape.attentionWeights)
        layers = Double(shape.layers)
        kvHeads = shape.kvHeads
        self.branches = branches
        self.everyRowObserves = everyRowObserves
        layerWork = 0
        layerWork = read(keysBefore: 0, rows: tokens) + branches.reduce(0) { $0 + operations($1) }
    }

    /// Observed scores are computed once more: half the work of attention.
    private func operations(_ branch: Branch) -> Double {
        Double(branch.rows)
            * (rowWork + attentionWork * (Double(branch.reads.count) + 0.5 * Double(branch.judges.count)))
    }

    private func read(keysBefore: Int, rows: Int) -> Double {
        let attention = attentionWork * (Double(keysBefore) + Double(rows) / 2)
        return Double(rows) * (rowWork + (everyRowObserves ? 1.5 : 1) * attention)
    }

    /// Rows of a tile: about a tenth of a second of work on two cores, and many enough for dense products.
    static func tileRows(_ shape: ModelConfiguration, tokens: Int, isInteger: Bool) -> Int {
        let stepWork = isInteger ? 24e9 : 8e9
        let row = 2 * Double(shape.blockWeights) + 2 * Double(shape.attentionWeights) * Double(tokens)
        return max(32, min(256, Int(stepWork / row) / 32 * 32))
    }

    var fraction: Double { min(1, done / (layerWork * layers)) }

    mutating func read(rows: Int, keysBefore: Int) { done += read(keysBefore: keysBefore, rows: rows) }

    mutating func attended(branch: Int) { done += operations(branches[branch]) / Double(kvHeads) }

    mutating func finished(layers: Int) { done = layerWork * Double(layers) }
}
