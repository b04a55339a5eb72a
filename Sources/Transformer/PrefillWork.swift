// How much arithmetic a prefill is, for its progress and for the size of its tiles.

/// Floating-point operations of a document, done and in all.
struct PrefillWork {
    private let layers: Double
    private let layerWork: Double
    private let rowWork: Double
    private let attentionWork: Double
    private let tokens: Int
    private let kvHeads: Int
    private let chunkRows: [Int]
    private var done = 0.0

    init(_ shape: ModelConfiguration, tokens: Int, chunks: [ReconstructionRows.Chunk]) {
        rowWork = Self.matrices(shape)
        // A query and a key: a product with the key and one with the value.
        attentionWork = 4 * Double(shape.heads * shape.headWidth)
        layers = Double(shape.layers)
        self.tokens = tokens
        kvHeads = shape.kvHeads
        chunkRows = chunks.map(\.rows)
        let document = Double(tokens) * (rowWork + attentionWork * Double(tokens) / 2)
        layerWork = chunkRows.reduce(document) { [rowWork, attentionWork] work, rows in
            work + Self.branch(rows: rows, tokens: tokens, rowWork: rowWork, attentionWork: attentionWork)
        }
    }

    /// Operations of one row in a layer's matrices.
    private static func matrices(_ shape: ModelConfiguration) -> Double {
        let attention = shape.width * shape.headWidth * (2 * shape.heads + 2 * shape.kvHeads)
        return 2 * Double(attention + 3 * shape.width * shape.feedForwardWidth)
    }

    /// A branch's scores are computed once more to be observed.
    private static func branch(rows: Int, tokens: Int, rowWork: Double, attentionWork: Double) -> Double {
        Double(rows) * (rowWork + 1.5 * attentionWork * Double(tokens))
    }

    /// Rows of a tile: about a tenth of a second of work on two cores, and many enough for dense products.
    static func tileRows(_ shape: ModelConfiguration, tokens: Int, isInteger: Bool) -> Int {
        let stepWork = isInteger ? 24e9 : 8e9
        let row = matrices(shape) + 4 * Double(shape.heads * shape.headWidth) * Double(tokens)
        return max(32, min(256, Int(stepWork / row) / 32 * 32))
    }

    var fraction: Double { min(1, done / (layerWork * layers)) }

    mutating func read(rows: Int, keysBefore: Int) {
        done += Double(rows) * (rowWork + attentionWork * (Double(keysBefore) + Double(rows) / 2))
    }

    mutating func branched(head: Int, chunk: Int) {
        done +=
            Self.branch(rows: chunkRows[chunk], tokens: tokens, rowWork: rowWork, attentionWork: attentionWork)
            / Double(kvHeads)
    }

    mutating func finished(layers: Int) { done = layerWork * Double(layers) }
}
