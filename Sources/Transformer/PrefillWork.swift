// How much arithmetic a prefill is, for its progress and for the size of its tiles.

/// Floating-point operations of a document, done and in all.
struct PrefillWork {
    private let layers: Double
    private var layerWork: Double
    private let rowWork: Double
    private let attentionWork: Double
    private let kvHeads: Int
    private let chunks: [ReconstructionRows.Chunk]
    private let everyRowObserves: Bool
    private var done = 0.0

    init(_ shape: ModelConfiguration, tokens: Int, chunks: [ReconstructionRows.Chunk], everyRowObserves: Bool) {
        rowWork = Self.matrices(shape)
        // A query and a key: a product with the key and one with the value.
        attentionWork = 4 * Double(shape.heads * shape.headWidth)
        layers = Double(shape.layers)
        kvHeads = shape.kvHeads
        self.chunks = chunks
        self.everyRowObserves = everyRowObserves
        layerWork = 0
        layerWork = read(keysBefore: 0, rows: tokens) + chunks.reduce(0) { $0 + branch($1) }
    }

    /// Operations of one row in a layer's matrices.
    private static func matrices(_ shape: ModelConfiguration) -> Double {
        let attention = shape.width * shape.headWidth * (2 * shape.heads + 2 * shape.kvHeads)
        return 2 * Double(attention + 3 * shape.width * shape.feedForwardWidth)
    }

    /// Observed scores are computed once more: half the work of attention.
    private func branch(_ chunk: ReconstructionRows.Chunk) -> Double {
        Double(chunk.rows)
            * (rowWork + attentionWork * (Double(chunk.reads.count) + 0.5 * Double(chunk.judges.count)))
    }

    private func read(keysBefore: Int, rows: Int) -> Double {
        let attention = attentionWork * (Double(keysBefore) + Double(rows) / 2)
        return Double(rows) * (rowWork + (everyRowObserves ? 1.5 : 1) * attention)
    }

    /// Rows of a tile: about a tenth of a second of work on two cores, and many enough for dense products.
    static func tileRows(_ shape: ModelConfiguration, tokens: Int, isInteger: Bool) -> Int {
        let stepWork = isInteger ? 24e9 : 8e9
        let row = matrices(shape) + 4 * Double(shape.heads * shape.headWidth) * Double(tokens)
        return max(32, min(256, Int(stepWork / row) / 32 * 32))
    }

    var fraction: Double { min(1, done / (layerWork * layers)) }

    mutating func read(rows: Int, keysBefore: Int) { done += read(keysBefore: keysBefore, rows: rows) }

    mutating func branched(chunk: Int) { done += branch(chunks[chunk]) / Double(kvHeads) }

    mutating func finished(layers: Int) { done = layerWork * Double(layers) }
}
