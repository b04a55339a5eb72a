// One conversation: the base it stands on and its own growing tail.

/// A base, shared and immutable, and a private tail that starts at position S of the document, never at the number of
/// entries that were kept.
///
/// Without a base it is a plain chat from position 0.
///
/// Used by one thread at a time: the one that steps the decoder.
public final class Sequence {
    /// The document below, if any.
    public let base: BaseRows?
    /// The position of the next token.
    public private(set) var position: Int
    /// How the tail's rows are stored.
    public let rows: KVRows

    let model: Model
    /// The memory of the tail's rows; nil before the first token.
    private var buffers: TailBuffers?
    private let meter: KVMeter
    /// The position of the tail's first row.
    private let tailStart: Int

    /// Rows a tail starts with; it grows by half when full.
    private static let firstCapacity = 64

    /// Begins a conversation.
    ///
    /// - Parameters:
    ///   - rows: how the tail is stored; as rows of the base's type grow when nil, f16 without a base.
    ///   - tail: what was read before over the same base, and is not read again.
    ///   - meter: counts the tail's bytes.
    /// - Throws: `ModelError` when the base was made for another shape, or fills the context.
    public init(
        model: Model, base: BaseRows?, rows: KVRows? = nil, tail: TailRows? = nil, meter: KVMeter = KVMeter()
    ) throws(ModelError) {
        self.model = model
        self.base = base
        self.rows = rows ?? base?.rows.growing ?? .f16
        self.meter = meter
        try self.rows.check(headWidth: model.configuration.headWidth)
        guard self.rows == self.rows.growing else {
            throw .invalidOption(
                name: "the rows of a conversation", value: self.rows.rawValue, needed: "f32, f16 or q8_0")
        }
        try base?.check(model.configuration)
        tailStart = base?.tokens ?? 0
        precondition((tail?.start ?? tailStart) == tailStart, "a tail goes on where its base ends")
        buffers = tail?.buffers
        position = tailStart + (tail?.tokens ?? 0)
    }

    /// Rows of the tail per layer; none before the first token.
    var tail: [HeadRows] { buffers?.layers ?? [] }

    /// The rows of the tail as they are now; nil before the first token.
    public var tailRows: TailRows? {
        buffers.flatMap { tailTokens == 0 ? nil : TailRows($0, tokens: tailTokens, start: tailStart) }
    }

    /// Tokens of the tail.
    public var tailTokens: Int { position - tailStart }

    /// Tokens that can still follow.
    public var remainingTokens: Int { model.configuration.contextLength - position }

    /// Makes room for `count` more tokens.
    func reserve(_ count: Int) throws(ModelError) {
        let shape = model.configuration
        guard count <= remainingTokens else {
            throw .contextExceeded(tokens: position + count, contextLength: shape.contextLength)
        }
        let needed = tailTokens + count
        guard buffers?.claim(from: tailTokens, to: needed) != true else { return }
        // Bounded by the context, whatever is generated.
        let grown = min(shape.contextLength - tailStart, max(needed, tailTokens + tailTokens / 2, Self.firstCapacity))
        let old = tail
        var larger: [HeadRows] = []
        for layer in 0..<shape.layers {
            let rows = try HeadRows(
                rows: rows, heads: shape.kvHeads, headWidth: shape.headWidth, capacity: grown,
                firstPosition: tailStart, meter: meter)
            if layer < old.count { rows.copy(from: old[layer], count: tailTokens) }
            larger.append(rows)
        }
        buffers = TailBuffers(larger, claimed: needed)
    }

    /// The tail has got `count` more tokens, in every layer.
    func advance(_ count: Int) { position += count }
}
