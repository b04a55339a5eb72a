// The dimensions of a compact cache, and how many bytes a row of it takes.

/// How the numbers of a key or value row are stored; the store itself sees bytes only.
public enum RowType: String, Codable, Sendable, CaseIterable {
    /// IEEE 754 single precision.
    case f32
    /// IEEE 754 half precision.
    case f16
    /// Blocks of 32: a half-precision scale and 32 signed bytes (ggml's `block_q8_0`).
    case q8_0
    /// Four bits: values in blocks of 32 (ggml's `block_q4_1`), keys in groups of 32 entries, each group with a
    /// half-precision scale and centre for every channel, then the entries' nibbles.
    case q4

    /// The numbers in one block; rows are whole blocks.
    public var blockElements: Int {
        switch self {
        case .f32, .f16: 1
        case .q8_0, .q4: 32
        }
    }

    /// How many entries share what their keys are scaled by: records begin at a multiple of it.
    public var groupEntries: Int { self == .q4 ? 32 : 1 }

    /// The bytes of the keys of so many entries, the first of which begins a group; those of fewer are their first
    /// ones.
    public func keyBytes(entries: Int, headWidth: Int) -> Int {
        guard self == .q4 else { return valueBytes(entries: entries, headWidth: headWidth) }
        return (entries + groupEntries - 1) / groupEntries * 4 * headWidth + entries * (headWidth / 2)
    }

    /// The bytes of the values of so many entries.
    public func valueBytes(entries: Int, headWidth: Int) -> Int {
        let blocks = (headWidth + blockElements - 1) / blockElements
        return switch self {
        case .f32: entries * headWidth * 4
        case .f16: entries * headWidth * 2
        case .q8_0: entries * blocks * 34
        case .q4: entries * blocks * 20
        }
    }

    /// The type's number in a record header.
    var code: UInt16 {
        switch self {
        case .f32: 0
        case .f16: 1
        case .q8_0: 2
        case .q4: 3
        }
    }

    init?(code: UInt16) {
        guard let type = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = type
    }
}

/// The dimensions of a document's cache.
public struct CacheShape: Codable, Equatable, Sendable {
    /// The model's layers.
    public var layers: Int
    /// KV heads of a layer.
    public var kvHeads: Int
    /// Numbers in a key or value row.
    public var headWidth: Int
    /// How rows are stored.
    public var rows: RowType
    /// Tokens of the document, evicted ones included: the position at which a question starts.
    public var tokens: Int
    /// The last of them that questions can see in each layer; nil: all of them in every one.
    public var capacities: [Int]?

    /// A shape; `validate()` says whether it is possible.
    public init(
        layers: Int, kvHeads: Int, headWidth: Int, rows: RowType, tokens: Int, capacities: [Int]? = nil
    ) {
        (self.layers, self.kvHeads, self.headWidth) = (layers, kvHeads, headWidth)
        (self.rows, self.tokens, self.capacities) = (rows, tokens, capacities)
    }

    /// The entries of each KV head in the full cache, over all layers.
    public var headEntries: Int { capacities?.reduce(0, +) ?? layers * tokens }

    /// The bytes of the full cache in `q8_0`, which shares of it are counted in; where heads are no whole blocks, as
    /// it is stored.
    public var countedFullBytes: Int {
        let counted = headWidth.isMultiple(of: RowType.q8_0.blockElements) ? RowType.q8_0 : rows
        let ofEntry = [counted.keyBytes, counted.valueBytes].reduce(0) { $0 + $1(1, headWidth) }
        return kvHeads * headEntries * ofEntry
    }

    /// The bytes of the keys of so many entries of a head, the first of which begins a group.
    public func keyBytes(entries: Int) -> Int { rows.keyBytes(entries: entries, headWidth: headWidth) }

    /// The bytes of their values.
    public func valueBytes(entries: Int) -> Int { rows.valueBytes(entries: entries, headWidth: headWidth) }

    /// Refuses dimensions that no model has; what passes cannot overflow the arithmetic of the records.
    public func validate() throws(StoreError) {
        // Larger than any model's by a factor of ten or more, and small enough for the record header's fields.
        let limits = [("layers", layers, 4096), ("KV heads", kvHeads, 4096), ("head width", headWidth, 4096)]
        for (name, value, limit) in limits where value < 1 || value > limit {
            throw .invalidShape("\(value) \(name), not 1 to \(limit)")
        }
        guard headWidth % rows.blockElements == 0 else {
            throw .invalidShape("head width \(headWidth) is no multiple of \(rows.blockElements), as \(rows) needs")
        }
        guard tokens >= 0, tokens <= Int(Int32.max) else { throw .invalidShape("\(tokens) tokens") }
        guard let capacities else { return }
        guard capacities.count == layers, capacities.allSatisfy({ 0...tokens ~= $0 }) else {
            throw .invalidShape("what questions see of \(tokens) tokens in \(layers) layers: \(capacities)")
        }
    }
}
