// How much of a second pass a reconstruction is: what its rows read of the document, and what of that they judge.

extension Method {
    /// What observing may cost.
    public enum Effort: String, Sendable, Hashable, CaseIterable {
        /// Nothing is fed again: a surrogate, which other documents have taught, predicts what would come of it.
        case learned
        /// A chunk's rows read the chunk, 512 tokens on either side and the sinks, and judge the chunk.
        ///
        /// Linear in the document's length: almost every entry finds the row that needs it most in its own chunk.
        case fast
        /// A chunk's rows read and judge the chunk and 1,024 tokens on either side, and read the sinks: linear, too.
        case balanced
        /// A chunk's rows read and judge all of the document.
        case best
    }

    /// The method with another effort, named after it ("cake-global:fast").
    ///
    /// One that does not feed the document again, or renormalises what it sees as KVzip does, has no choice and stays
    /// as it is; so does one that judges by other than attention where only attention is learned.
    public func with(effort: Effort) -> Method {
        guard case .reconstruction(let chunkRows, _, let judges) = observation, judges != .chunk else { return self }
        if effort == .learned, !judgesByAttention { return self }
        var method = self
        let preset = name.split(separator: ":").first.map(String.init) ?? name
        method.name = effort == .best ? preset : preset + ":" + effort.rawValue
        method.observation =
            switch effort {
            case .learned: .predicted
            case .fast:
                .reconstruction(chunkRows: chunkRows, reads: .around(tokens: 512), judges: .around(tokens: 0))
            case .balanced: .reconstruction(chunkRows: chunkRows, reads: .around(tokens: 1024))
            case .best: .reconstruction(chunkRows: chunkRows)
            }
        return method
    }

    /// Whether what it observes teaches a surrogate: all of a document judges all of it, by the largest attention.
    public var teaches: Bool { observation == .reconstruction(chunkRows: 512) && judgesByAttention }

    private var judgesByAttention: Bool { indicator == .maximum || indicator == .pooledMaximum }
}
