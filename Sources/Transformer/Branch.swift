// Branches: extra rows behind a document that see it and are dropped again, to observe it or to check a cache of it.

import CAKE

/// Rows that go on where a document ends, at position S, as if the other branches were not there.
struct Branch {
    enum Role {
        /// A chunk of the document after an instruction to repeat it: it judges what it attends to.
        case reconstructs
        /// A question: it judges the whole document.
        case probes
        /// A place of the document and what it goes on with: it judges nothing, and its rows are wanted behind the last
        /// layer.
        case checks
    }

    let role: Role
    /// The first row, counted from the document's first row.
    let firstRow: Int
    let rows: Int
    /// The document's tokens that its rows see, besides the sinks.
    let reads: Range<Int>
    /// Those of them that it judges.
    let judges: Range<Int>
    /// Whether it judges as if its rows saw the sinks, what they judge, and themselves alone.
    let isRenormalised: Bool
}

/// All branches of a document, whose rows lie behind the document's, one branch after the other.
struct Branches {
    /// The token of every row.
    let ids: [Int32]
    let all: [Branch]

    /// Rows of the longest branch of some roles; 0 without any.
    func longest(_ isIncluded: (Branch.Role) -> Bool) -> Int {
        all.filter { isIncluded($0.role) }.map(\.rows).max() ?? 0
    }

    /// - Parameters:
    ///   - instruction: stands before each chunk of a method that feeds the document again.
    ///   - probes: the tokens of each.
    ///   - checks: the tokens of each.
    init(document: [Int32], method: Method, instruction: [Int32], probes: [[Int32]], checks: [[Int32]]) {
        var ids: [Int32] = []
        var branches: [Branch] = []
        let whole = document.indices
        func append(
            _ role: Branch.Role, _ tokens: [Int32], reads: Range<Int>, judges: Range<Int>, isRenormalised: Bool = false
        ) {
            branches.append(
                Branch(
                    role: role, firstRow: document.count + ids.count, rows: tokens.count, reads: reads, judges: judges,
                    isRenormalised: isRenormalised))
            ids += tokens
        }
        if case .reconstruction(let chunkRows, let reads, let judges) = method.observation {
            for first in stride(from: 0, to: document.count, by: chunkRows) {
                let source = first..<min(first + chunkRows, document.count)
                let read = reads.range(around: source, of: whole)
                append(
                    .reconstructs, instruction + document[source], reads: read,
                    judges: judges.range(around: source, of: whole).clamped(to: read), isRenormalised: judges == .chunk)
            }
        }
        for probe in probes { append(.probes, probe, reads: whole, judges: whole) }
        for check in checks { append(.checks, check, reads: whole, judges: 0..<0) }
        self.ids = ids
        all = branches
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
