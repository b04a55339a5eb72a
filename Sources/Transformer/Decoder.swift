// Decode: new tokens of many sequences through the model together, every weight read once for all of them.

/// The logits of a step: one row per sequence that asked for them, in the batch's order.
///
/// Valid until the next step.
public struct Logits: Sendable {
    private let rows: FloatBuffer
    /// Logits of a row.
    public let vocabulary: Int
    /// The row of each sequence of the batch; nil where none was asked for.
    private let rowOfSequence: [Int?]

    init(_ rows: FloatBuffer, vocabulary: Int, rowOfSequence: [Int?]) {
        self.rows = rows
        self.vocabulary = vocabulary
        self.rowOfSequence = rowOfSequence
    }

    /// Lends the logits `[vocabulary]` behind the last token of the batch's sequence `index`.
    public func withRow<Result, Failure: Error>(
        _ index: Int, _ body: (Span<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        guard let row = rowOfSequence[index] else { preconditionFailure("no logits were asked for") }
        return try rows.floats.slice(row * vocabulary, vocabulary).withSpan(body)
    }

    /// A copy of them, for tests and tools.
    public func array(_ index: Int) -> [Float] {
        withRow(index) { span in span.indices.map { span[$0] } }
    }
}

/// Runs batches of sequences through the model.
///
/// Used by one thread at a time.
public final class Decoder {
    /// New tokens of one sequence.
    public struct Piece {
        /// Whose they are.
        public let sequence: Sequence
        /// At least one.
        public let ids: [Int32]
        /// False in the middle of a long question, where the head's product would be wasted.
        public let needsLogits: Bool

        /// States what a sequence goes on with.
        public init(_ sequence: Sequence, _ ids: [Int32], needsLogits: Bool = true) {
            self.sequence = sequence
            self.ids = ids
            self.needsLogits = needsLogits
        }
    }

    /// The most new tokens of a step, over all sequences: longer questions are fed in several steps.
    public let maxRowsPerStep: Int

    /// The model it runs.
    public let model: Model
    private let pool: WorkerPool
    private let block: Block
    private let attention: DecodeAttention
    /// The residual stream, `[maxRowsPerStep, width]`, and its rows that go to the head.
    private let hidden: FloatBuffer
    private let heads: FloatBuffer
    private var logits: FloatBuffer
    private var ranges: [RowRange] = []

    /// Allocates room for steps of at most `maxRowsPerStep` new tokens.
    public init(model: Model, pool: WorkerPool, maxRowsPerStep: Int = 128) throws(ModelError) {
        guard (1...4_096).contains(maxRowsPerStep) else {
            throw .invalidOption(name: "rows per step", value: "\(maxRowsPerStep)", needed: "from 1 to 4096")
        }
        let shape = model.configuration
        self.model = model
        self.pool = pool
        self.maxRowsPerStep = maxRowsPerStep
        block = try Block(model, pool: pool, rows: maxRowsPerStep)
        attention = try DecodeAttention(
            model, pool: pool, query: block.query.floats, attended: block.attended.floats)
        hidden = try FloatBuffer(maxRowsPerStep * shape.width)
        heads = try FloatBuffer(maxRowsPerStep * shape.width)
        logits = try FloatBuffer(shape.vocabulary)
    }

    /// Appends each piece's tokens to its sequence and returns the logits behind the last of them.
    ///
    /// A sequence gets the same logits, bit for bit, alone or in any batch.
    /// - Throws: `ModelError`, before anything has changed, when a piece is empty, too long for the step or the
    ///   context, or names an unknown id.
    public func step(_ batch: [Piece]) throws(ModelError) -> Logits {
        let pieces = try forward(batch)
        return try head(batch, pieces)
    }

    /// Appends `ids` to a sequence; returns what the last `count` of them became behind the last layer.
    public func read(_ ids: [Int32], into sequence: Sequence, last count: Int) throws(ModelError) -> OutputRows {
        precondition((0...ids.count).contains(count), "rows are of the tokens that are read")
        _ = try forward([Piece(sequence, ids, needsLogits: false)])
        let width = model.configuration.width
        return try OutputRows([hidden.floats.slice((ids.count - count) * width, count * width)], width: width)
    }

    /// The logits behind some rows, in order.
    public func logits(_ rows: [(of: OutputRows, row: Int)]) throws(ModelError) -> Logits {
        let width = model.configuration.width
        guard rows.count <= maxRowsPerStep else {
            throw .invalidBatch("it has \(rows.count) rows, and a step takes \(maxRowsPerStep)")
        }
        for (index, row) in rows.enumerated() {
            precondition(row.of.width == width, "rows of another model")
            heads.floats.slice(index * width, width).copy(from: row.of.floats.slice(row.row * width, width))
        }
        return try logits(rows.count, rowOfSequence: Array(rows.indices))
    }

    /// Takes new tokens through all layers.
    private func forward(_ batch: [Piece]) throws(ModelError) -> [DecodeAttention.Piece] {
        try check(batch)
        let shape = model.configuration
        var pieces: [DecodeAttention.Piece] = []
        var rows = 0
        for piece in batch {
            try piece.sequence.reserve(piece.ids.count)
            for (index, id) in piece.ids.enumerated() {
                model.embed(id, into: hidden.floats.slice((rows + index) * shape.width, shape.width))
            }
            block.setPositions(first: rows, count: piece.ids.count, position: piece.sequence.position)
            pieces.append(DecodeAttention.Piece(firstRow: rows, rows: piece.ids.count, sequence: piece.sequence))
            rows += piece.ids.count
        }
        planRanges(pieces)

        for (index, layer) in model.layers.enumerated() {
            block.project(.all, layer, nil, x: hidden.floats, rows: rows, ranges: ranges)
            for piece in pieces { store(piece, layer: index) }
            try attention.run(pieces, layer: index, bounds: layer.bounds, pool: pool)
            block.finish(
                layer, nil, attended: block.attended.floats, x: hidden.floats, rows: rows, ranges: ranges)
        }
        for piece in batch { piece.sequence.advance(piece.ids.count) }
        return pieces
    }

    private func check(_ batch: [Piece]) throws(ModelError) {
        guard !batch.isEmpty else { throw .invalidBatch("it is empty") }
        var rows = 0
        for (index, piece) in batch.enumerated() {
            guard !piece.ids.isEmpty else { throw .emptyPrompt }
            guard piece.sequence.model === model else { throw .invalidBatch("a sequence is of another model") }
            guard !batch[..<index].contains(where: { $0.sequence === piece.sequence }) else {
                throw .invalidBatch("a sequence is in it twice")
            }
            try model.check(piece.ids)
            guard piece.ids.count <= piece.sequence.remainingTokens else {
                throw .contextExceeded(
                    tokens: piece.sequence.position + piece.ids.count,
                    contextLength: model.configuration.contextLength)
            }
            rows += piece.ids.count
        }
        guard rows <= maxRowsPerStep else {
            throw .invalidBatch("it has \(rows) new tokens, and a step takes \(maxRowsPerStep)")
        }
    }

    /// A piece's way through the matrices depends on its own length alone, so that company does not change its results.
    private func planRanges(_ pieces: [DecodeAttention.Piece]) {
        ranges.removeAll(keepingCapacity: true)
        for piece in pieces {
            let isDense = piece.rows >= RowRange.denseRows
            if !isDense, let last = ranges.indices.last, !ranges[last].isDense {
                ranges[last].count += piece.rows
            } else {
                ranges.append(RowRange(first: piece.firstRow, count: piece.rows, isDense: isDense))
            }
        }
    }

    private func store(_ piece: DecodeAttention.Piece, layer: Int) {
        let cache = piece.sequence.tail[layer]
        let width = cache.heads * cache.headWidth
        var store = StoreRows(
            rows: piece.rows, keys: block.key.floats.slice(piece.firstRow * width, piece.rows * width),
            values: block.value.floats.slice(piece.firstRow * width, piece.rows * width), heads: cache.heads,
            cache: cache, firstRow: piece.sequence.tailTokens)
        store.run(on: pool)
    }

    /// The logits of the last rows that are wanted.
    private func head(_ batch: [Piece], _ pieces: [DecodeAttention.Piece]) throws(ModelError) -> Logits {
        let shape = model.configuration
        var rowOfSequence: [Int?] = []
        var wanted = 0
        for (piece, place) in zip(batch, pieces) {
            rowOfSequence.append(piece.needsLogits ? wanted : nil)
            guard piece.needsLogits else { continue }
            heads.floats.slice(wanted * shape.width, shape.width)
                .copy(from: hidden.floats.slice((place.firstRow + place.rows - 1) * shape.width, shape.width))
            wanted += 1
        }
        return try logits(wanted, rowOfSequence: rowOfSequence)
    }

    /// The logits of the first rows of `heads`.
    private func logits(_ wanted: Int, rowOfSequence: [Int?]) throws(ModelError) -> Logits {
        let shape = model.configuration
        if logits.floats.count < wanted * shape.vocabulary { logits = try FloatBuffer(wanted * shape.vocabulary) }
        if wanted > 0 { block.logits(heads.floats, rows: wanted, into: logits.floats) }
        return Logits(logits, vocabulary: shape.vocabulary, rowOfSequence: rowOfSequence)
    }

    /// Feeds `ids` in as many steps as they need; returns the logits behind the last.
    public func feed(_ ids: [Int32], to sequence: Sequence) throws(ModelError) -> [Float] {
        guard !ids.isEmpty else { throw .emptyPrompt }
        guard ids.count <= sequence.remainingTokens else {
            throw .contextExceeded(
                tokens: sequence.position + ids.count, contextLength: model.configuration.contextLength)
        }
        var first = 0
        while true {
            let next = min(ids.count, first + maxRowsPerStep)
            let piece = Piece(sequence, Array(ids[first..<next]), needsLogits: next == ids.count)
            let logits = try step([piece])
            if next == ids.count { return logits.array(0) }
            first = next
        }
    }
}
