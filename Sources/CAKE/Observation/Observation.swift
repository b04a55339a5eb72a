// Which rows observe: their queries' attention judges the document's entries.

extension Method {
    /// The query rows whose attention judges the entries.
    public enum Observation: Sendable, Hashable, Codable {
        /// Nothing is observed.
        case none
        /// The document's own last rows, which are always kept (SnapKV, Li et al., arXiv 2404.14469; CAKE). One row:
        /// TOVA (Oren et al., arXiv 2401.06104).
        case window(rows: Int)
        /// All rows of the document, each seeing what stands before it and itself (H2O, Zhang et al., arXiv
        /// 2306.14048).
        case everyRow
        /// Nothing: what a reconstruction would say is predicted from what the document's entries are (`Surrogate`).
        case predicted
        /// Questions appended to the document, each a branch that sees the document and itself; observed, then dropped.
        case probe
        /// The document once more in chunks, each a branch that starts at the document's end; observed, then dropped
        /// (KVzip, Kim et al., arXiv 2505.23416).
        ///
        /// A branch's rows see themselves and what `reads` says of the document; what `judges` says of it is judged.
        case reconstruction(chunkRows: Int, reads: Sight = .document, judges: Sight = .document)
    }

    /// What of a document belongs to a chunk of it that is fed once more.
    public enum Sight: Sendable, Hashable, Codable {
        /// All of it.
        case document
        /// The chunk, so many tokens on either side of it, and the first `Method.sinkTokens`.
        case around(tokens: Int)
        /// The chunk alone, its attention renormalised over the sinks, the chunk and the branch, as KVzip scores it.
        case chunk
    }
}
