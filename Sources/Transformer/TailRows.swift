// The rows of a conversation behind its base, for a later conversation that begins alike.

/// The first rows of a conversation's tail, in every layer; they never change.
///
/// The sequence that they came from may write behind them in the same memory, and so may one that goes on from all of
/// them; whoever comes second, or goes on from fewer, copies them first. For one thread at a time, as sequences are.
public struct TailRows {
    /// How many there are.
    public let tokens: Int
    /// The position of the first: the tokens of the base.
    public let start: Int
    let buffers: TailBuffers

    init(_ buffers: TailBuffers, tokens: Int, start: Int) {
        precondition(tokens > 0 && tokens <= buffers.claimed, "rows that nobody has written")
        (self.buffers, self.tokens, self.start) = (buffers, tokens, start)
    }

    /// Bytes of the memory that holds them, room to grow included.
    public var bytes: Int { buffers.layers.reduce(0) { $0 + $1.bufferBytes } }

    /// The first of them.
    public func prefix(_ count: Int) -> TailRows { TailRows(buffers, tokens: min(tokens, count), start: start) }
}

/// Memory for a tail's rows, filled from its beginning on, by one writer at a time.
final class TailBuffers {
    /// Of every layer, with room for as many rows.
    let layers: [HeadRows]
    /// Rows that have been written, or are about to be.
    private(set) var claimed: Int

    init(_ layers: [HeadRows], claimed: Int) {
        (self.layers, self.claimed) = (layers, claimed)
    }

    /// Gives the rows from `first` up to `end` to who has those before; false where there is no room for them, or
    /// another has them.
    func claim(from first: Int, to end: Int) -> Bool {
        guard first == claimed, let layer = layers.first, end <= layer.capacity else { return false }
        claimed = end
        return true
    }
}
