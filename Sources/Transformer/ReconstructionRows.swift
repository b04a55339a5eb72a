// The extra rows: the document fed once more in chunks and probes, which observe, and places where the cache is checked,
// which do not; each a branch that starts at position S.

import CAKE

/// Where a document's branches lie among the rows of a prefill, and what they see of it.
struct ReconstructionRows {
    /// One branch: the instruction, then a chunk of the document; or a probe; or a place to check.
    struct Chunk {
        /// The first row, counted from the document's first row.
        let firstRow: Int
        let rows: Int
        /// The document's tokens that its rows see, besides the sinks.
        let reads: Range<Int>
        /// Those of them that it judges.
        let judges: Range<Int>
        /// Whether it judges as if its rows saw the sinks, what they judge, and themselves alone.
        let isRenormalised: Bool
        /// Whether it judges nothing, and its rows are wanted behind the last layer.
        let isCheck: Bool
    }

    /// The token of every row behind the document's.
    let ids: [Int32]
    let chunks: [Chunk]

    /// Rows of the longest chunk that observes, or that checks.
    func longest(checking: Bool) -> Int { chunks.filter { $0.isCheck == checking }.map(\.rows).max() ?? 0 }

    /// - Parameters:
    ///   - instruction: stands before each chunk of a method that feeds the document again.
    ///   - probes: the tokens of each; they see and judge all of the document.
    ///   - checks: the tokens of each; they see all of the document.
    init(document: [Int32], method: Method, instruction: [Int32], probes: [[Int32]], checks: [[Int32]]) {
        var ids: [Int32] = []
        var chunks: [Chunk] = []
        let all = document.indices
        func append(
            _ branch: [Int32], reads: Range<Int>, judges: Range<Int>, isRenormalised: Bool = false,
            isCheck: Bool = false
        ) {
            chunks.append(
                Chunk(
                    firstRow: document.count + ids.count, rows: branch.count, reads: reads, judges: judges,
                    isRenormalised: isRenormalised, isCheck: isCheck))
            ids += branch
        }
        if case .reconstruction(let chunkRows, let reads, let judges) = method.observation {
            for first in stride(from: 0, to: document.count, by: chunkRows) {
                let source = first..<min(first + chunkRows, document.count)
                let read = reads.range(around: source, of: all)
                append(
                    instruction + document[source], reads: read,
                    judges: judges.range(around: source, of: all).clamped(to: read), isRenormalised: judges == .chunk)
            }
        }
        for probe in probes { append(probe, reads: all, judges: all) }
        for check in checks { append(check, reads: all, judges: 0..<0, isCheck: true) }
        self.ids = ids
        self.chunks = chunks
    }
}

extension Method.Sight {
    /// The document's tokens that belong to a chunk of it.
    fileprivate func range(around source: Range<Int>, of document: Range<Int>) -> Range<Int> {
        switch self {
        case .document: document
        case .around(let reach): (source.lowerBound - reach..<source.upperBound + reach).clamped(to: document)
        case .chunk: source
        }
    }
}
