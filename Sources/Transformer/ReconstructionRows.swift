// The extra rows of a reconstruction: the document fed once more in chunks, each a branch that starts at position S.

/// Where a document's branches lie among the rows of a prefill.
struct ReconstructionRows {
    /// One branch: the instruction, then a chunk of the document.
    struct Chunk {
        /// The first row, counted from the document's first row.
        let firstRow: Int
        let rows: Int
    }

    /// The token of every row behind the document's.
    let ids: [Int32]
    let chunks: [Chunk]
    /// Rows of the longest chunk.
    var longest: Int { chunks.map(\.rows).max() ?? 0 }

    /// - Parameter chunkRows: document tokens per chunk; the instruction's come on top.
    init(document: [Int32], instruction: [Int32], chunkRows: Int) {
        var ids: [Int32] = []
        var chunks: [Chunk] = []
        for first in stride(from: 0, to: document.count, by: chunkRows) {
            let chunk = instruction + document[first..<min(first + chunkRows, document.count)]
            chunks.append(Chunk(firstRow: document.count + ids.count, rows: chunk.count))
            ids += chunk
        }
        self.ids = ids
        self.chunks = chunks
    }
}
