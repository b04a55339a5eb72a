// How attention over the observing rows becomes one number per KV head and token.

extension Method {
    /// The score of an entry.
    public enum Indicator: Sendable, Hashable, Codable {
        /// No opinion: all equal, so that entries rank by position, the first one highest.
        case position
        /// The later, the higher (StreamingLLM, Xiao et al., arXiv 2309.17453).
        case recency
        /// Mean plus `gamma` times variance over the rows, averaged over `poolWidth` neighbours and the query group
        /// (CAKE, §4.2). Gamma 0 is SnapKV.
        case meanPlusVariance(gamma: Float, poolWidth: Int)
        /// Mean over the rows and over all heads of the layer, which so keep the same tokens (TOVA).
        case meanOverHeads
        /// The sum over the rows, divided by how many rows could see the entry, averaged over the query group: what H2O
        /// accumulates, without its favour for early tokens.
        case accumulated
        /// The largest attention over all rows, chunks and query heads of the group (KVzip).
        case maximum
        /// The same as a mean over five neighbours, of which each counts half as much as the next nearer one: what is
        /// needed with an entry tends to lie beside it.
        case pooledMaximum
        /// The largest change that evicting the entry would make to a row, over all rows, chunks and query heads of the
        /// group, averaged over `poolWidth` neighbours twice, so that near ones count more.
        ///
        /// Without entry n, whose value is v, a head's other weights grow by 1 / (1 − A), and its output moves from o
        /// by A / (1 − A) · (o − v). What counts is the length of that after W_o, as a share of the row's residual
        /// stream x: A / (1 − A) · ‖W_o (o − v)‖ / ‖x‖. Weighing attention by what the value adds follows CriticalKV
        /// (arXiv 2502.03805) and KVzip (arXiv 2505.23416); the pool is CAKE's.
        case largestChange(poolWidth: Int)
    }
}
