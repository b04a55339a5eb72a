// A document's kept entries as sequences read them: in memory or in a store's map, never copied.

/// The kept rows of a document, immutable and shared by every sequence on top of it.
///
/// Each (layer, KV head) has any number of segments; results are independent of where segments end as long as all but a
/// head's last hold a multiple of `splitEntries` entries.
public struct BaseRows: @unchecked Sendable {
    // Unchecked: the rows are read only, and their owner is kept.
    /// Long heads are attended to in parts of this many entries, whatever the number of threads.
    public static let splitEntries = 1_024

    /// How rows are stored.
    public let rows: KVRows
    /// Layers.
    public let layers: Int
    /// KV heads per layer.
    public let kvHeads: Int
    /// Elements of a row.
    public let headWidth: Int
    /// S, the tokens of the document: sequences start at this position, however few entries are kept.
    public let tokens: Int
    /// Keeps the memory of the segments alive.
    public let owner: AnyObject?
    /// `[layer · kvHeads + head]`.
    private var segments: [[Entries]]

    /// A base without entries; `append` adds them.
    public init(
        rows: KVRows, layers: Int, kvHeads: Int, headWidth: Int, tokens: Int, owner: AnyObject? = nil
    ) {
        precondition(layers > 0 && kvHeads > 0 && headWidth > 0 && tokens >= 0)
        self.rows = rows
        self.layers = layers
        self.kvHeads = kvHeads
        self.headWidth = headWidth
        self.tokens = tokens
        self.owner = owner
        segments = Array(repeating: [], count: layers * kvHeads)
    }

    /// Adds a segment: `count` rows of keys and of values and where they stand, readable as long as `owner` lives.
    ///
    /// All but a head's last hold whole groups of entries, where `rows` have groups.
    @unsafe public mutating func append(
        keys: UnsafeRawPointer, values: UnsafeRawPointer, positions: UnsafePointer<UInt32>, count: Int, layer: Int,
        head: Int
    ) {
        precondition(count >= 0 && layer < layers && head < kvHeads)
        guard count > 0 else { return }
        precondition(
            segments[layer * kvHeads + head].last?.count.isMultiple(of: rows.groupEntries) ?? true,
            "a segment follows a part of a group")
        unsafe segments[layer * kvHeads + head].append(
            Entries(
                rows: rows, keys: keys, values: values, count: count, seenByFirst: count, positions: positions))
    }

    /// Entries of one layer and KV head.
    public func count(layer: Int, head: Int) -> Int {
        segments[layer * kvHeads + head].reduce(0) { $0 + $1.count }
    }

    /// The segments of one layer and KV head, each seen whole by every row.
    func entries(layer: Int, head: Int) -> [Entries] { segments[layer * kvHeads + head] }

    func check(_ shape: ModelConfiguration) throws(ModelError) {
        guard layers == shape.layers, kvHeads == shape.kvHeads, headWidth == shape.headWidth else {
            throw .baseMismatch(
                "it has \(layers) layers of \(kvHeads) KV heads of \(headWidth), the model \(shape.layers) of "
                    + "\(shape.kvHeads) of \(shape.headWidth)")
        }
        guard tokens < shape.contextLength else {
            throw .contextExceeded(tokens: tokens + 1, contextLength: shape.contextLength)
        }
    }
}
