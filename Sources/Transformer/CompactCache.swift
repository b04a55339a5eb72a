// What is left of a document's KV cache after eviction: ranked rows per layer and KV head, in memory.

import CAKE

/// The kept rows of one layer, packed: `[kvHead][keys | values][count]`.
///
/// Evicting truncates each head's rows.
@safe final class KeptLayer {
    /// Entries per KV head.
    private(set) var counts: [Int]
    private let rows: KVRows
    private let rowBytes: Int
    private let buffer: KVBuffer

    /// Gathers the entries `positions[kvHead]` out of a layer's rows, in that order.
    init(gathering positions: [[UInt32]], from layer: HeadRows, meter: KVMeter) throws(ModelError) {
        counts = positions.map(\.count)
        rows = layer.rows
        rowBytes = layer.rowBytes
        buffer = try KVBuffer(2 * counts.reduce(0, +) * rowBytes, meter: meter)
        for head in positions.indices {
            let all = layer.entries(head: head, count: layer.capacity, seenByFirst: layer.capacity)
            let keys = unsafe buffer.at(offset(head, values: false), bytes: counts[head] * rowBytes)
            let values = unsafe buffer.at(offset(head, values: true), bytes: counts[head] * rowBytes)
            for (entry, position) in positions[head].enumerated() {
                precondition(Int(position) < layer.capacity, "a kept entry outside the document")
                let source = Int(position) * rowBytes
                unsafe (keys + entry * rowBytes).copyMemory(from: all.keys + source, byteCount: rowBytes)
                unsafe (values + entry * rowBytes).copyMemory(from: all.values + source, byteCount: rowBytes)
            }
        }
    }

    /// Room for `counts[kvHead]` entries, whose rows `fill` provides as `bytes` held them.
    init(
        counts: [Int], rows: KVRows, headWidth: Int, meter: KVMeter,
        fill: (UnsafeMutableRawBufferPointer) throws(ModelError) -> Void
    ) throws(ModelError) {
        self.counts = counts
        self.rows = rows
        rowBytes = rows.bytes(forElements: headWidth)
        let bytes = 2 * counts.reduce(0, +) * rowBytes
        buffer = try KVBuffer(bytes, meter: meter)
        unsafe try fill(UnsafeMutableRawBufferPointer(start: buffer.at(0, bytes: bytes), count: bytes))
    }

    /// All rows, packed.
    @unsafe var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: buffer.at(0, bytes: buffer.count), count: buffer.count)
    }

    /// Keeps the best `counts[kvHead]` entries of each head and gives the memory of the others back.
    func truncate(to counts: [Int]) {
        guard counts != self.counts else { return }
        var destination = 0
        for head in counts.indices {
            precondition(counts[head] <= self.counts[head], "budgets never grow")
            for values in [false, true] {
                let bytes = counts[head] * rowBytes
                buffer.move(from: offset(head, values: values), to: destination, bytes: bytes)
                destination += bytes
            }
        }
        self.counts = counts
        buffer.shrink(to: destination)
    }

    /// All entries of a head.
    func entries(head: Int) -> Entries {
        let bytes = counts[head] * rowBytes
        return unsafe Entries(
            rows: rows, keys: UnsafeRawPointer(buffer.at(offset(head, values: false), bytes: bytes)),
            values: UnsafeRawPointer(buffer.at(offset(head, values: true), bytes: bytes)), count: counts[head],
            seenByFirst: counts[head])
    }

    private func offset(_ head: Int, values: Bool) -> Int {
        (2 * counts[..<head].reduce(0, +) + (values ? counts[head] : 0)) * rowBytes
    }
}

/// A document's compact KV cache: immutable, usable as a base at once or copied into a store.
public final class CompactCache: @unchecked Sendable {
    /// The entries of one (layer, KV head), best first; pointers are valid while the cache lives.
    @safe public struct Rows {
        /// Document positions, `[count]`.
        public let positions: [UInt32]
        /// Indicators, `[count]`, never rising.
        public let indicators: [Float]
        /// Key rows after RoPE at their positions, `[count, headWidth]` of the cache's row type; values likewise.
        @unsafe public let keys: UnsafeRawBufferPointer
        /// Value rows, likewise.
        @unsafe public let values: UnsafeRawBufferPointer
    }

    /// How rows are stored.
    public let rows: KVRows
    /// Layers.
    public let layers: Int
    /// KV heads per layer.
    public let kvHeads: Int
    /// Elements of a row.
    public let headWidth: Int
    /// S, the tokens of the document: the first question token stands at this position.
    public let tokens: Int
    /// Which entries are kept, budgets, preferences.
    public let retention: Retention
    /// The most bytes of KV rows that were allocated at any time while the document was read.
    public let peakKVBytes: Int
    /// The bytes of all kept rows.
    public let storedBytes: Int
    // Written before `init` ends, then only read.
    private let kept: [KeptLayer]

    init(kept: [KeptLayer], retention: Retention, rows: KVRows, kvHeads: Int, headWidth: Int, peakKVBytes: Int) {
        self.kept = kept
        self.retention = retention
        self.rows = rows
        layers = kept.count
        self.kvHeads = kvHeads
        self.headWidth = headWidth
        tokens = retention.tokens
        self.peakKVBytes = peakKVBytes
        storedBytes =
            2 * rows.bytes(forElements: headWidth) * retention.counts.reduce(0) { $0 + $1.reduce(0, +) }
    }

    /// Entries kept, `[layer][kvHead]`.
    public var counts: [[Int]] { retention.counts }

    /// The cache that keeps only this of it, a prefix of every head: no row moves, and the memory stays.
    public func truncated(to retention: Retention) -> CompactCache {
        for (now, then) in zip(counts.joined(), retention.counts.joined()) {
            precondition(then <= now, "a budget only shrinks")
        }
        return CompactCache(
            kept: kept, retention: retention, rows: rows, kvHeads: kvHeads, headWidth: headWidth,
            peakKVBytes: peakKVBytes)
    }

    /// The entries of one layer and KV head.
    public func rows(layer: Int, head: Int) -> Rows {
        let entries = kept[layer].entries(head: head)
        let ranked = retention.layers[layer].heads[head]
        let bytes = ranked.count * rows.bytes(forElements: headWidth)
        return unsafe Rows(
            positions: ranked.positions, indicators: ranked.indicators,
            keys: UnsafeRawBufferPointer(start: entries.keys, count: bytes),
            values: UnsafeRawBufferPointer(start: entries.values, count: bytes))
    }

    /// The base of sequences that know nothing of the document, at the positions of those that do.
    public var emptyBase: BaseRows {
        BaseRows(rows: rows, layers: layers, kvHeads: kvHeads, headWidth: headWidth, tokens: tokens)
    }

    /// The cache as the base of sequences; it keeps the cache alive.
    public var base: BaseRows {
        var base = BaseRows(
            rows: rows, layers: layers, kvHeads: kvHeads, headWidth: headWidth, tokens: tokens, owner: self)
        for layer in 0..<layers {
            for head in 0..<kvHeads {
                let entries = kept[layer].entries(head: head)
                let count = retention.layers[layer].heads[head].count
                unsafe base.append(
                    keys: entries.keys, values: entries.values, count: count, layer: layer, head: head)
            }
        }
        return base
    }
}
