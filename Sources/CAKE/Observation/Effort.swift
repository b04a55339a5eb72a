// How much of a second pass a reconstruction is: what its rows read of the document, and what of that they judge.

extension Method {
    /// What observing may cost.
    public enum Effort: String, Sendable, Hashable, CaseIterable {
        /// A chunk's rows read the chunk, its neighbourhood and the sinks: linear in the document's length.
        case fast
        /// A chunk's rows read all of the document and judge their own chunk, where almost every entry finds the row that
        /// needs it most: two products for each row and entry instead of four.
        case balanced
        /// A chunk's rows read and judge all of the document.
        case best
    }

    /// How far `fast` reads beyond a chunk, on either side.
    static let neighbourhood = 1024

    /// The method with another effort, named after it ("cake-reconstruct:fast"); one that does not feed the document again,
    /// or renormalises what it sees as KVzip does, has no choice and stays as it is.
    public func with(effort: Effort) -> Method {
        guard case .reconstruction(let chunkRows, _, let judges) = observation, judges != .chunk else { return self }
        var method = self
        let preset = name.split(separator: ":").first.map(String.init) ?? name
        method.name = effort == .best ? preset : preset + ":" + effort.rawValue
        method.observation =
            switch effort {
            case .fast: .reconstruction(chunkRows: chunkRows, reads: .around(tokens: Self.neighbourhood))
            case .balanced: .reconstruction(chunkRows: chunkRows, judges: .around(tokens: 0))
            case .best: .reconstruction(chunkRows: chunkRows)
            }
        return method
    }
}
