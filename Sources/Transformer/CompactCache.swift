// What is left of a document's KV cache after eviction: ranked rows per layer and KV head, in memory.

import CAKE
import CKernels

/// The kept rows of one layer, packed: `[kvHead][keys | values][count]`.
///
/// Evicting truncates each head's rows.
@safe final class KeptLayer {
    /// Entries per KV head.
    private(set) var counts: [Int]
    private let rows: KVRows
    private let headWidth: Int
    private let buffer: KVBuffer

    /// Gathers the entries `positions[kvHead]` out of a layer's rows, in that order, and stores them as `rows`.
    init(
        gathering positions: [[UInt32]], from layer: HeadRows, as rows: KVRows, meter: KVMeter
    ) throws(ModelError) {
        precondition(layer.rows == rows.growing, "rows are stored as they were read, or quantised from that")
        counts = positions.map(\.count)
        self.rows = rows
        headWidth = layer.headWidth
        buffer = try KVBuffer(Self.bytes(counts, rows: rows, headWidth: headWidth), meter: meter)
        for head in positions.indices {
            precondition(positions[head].allSatisfy { Int($0) < layer.capacity }, "a kept entry outside the document")
            for values in [false, true] {
                if rows == layer.rows {
                    copy(positions[head], of: layer, head: head, values: values)
                } else {
                    try quantise(positions[head], of: layer, head: head, values: values)
                }
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
        self.headWidth = headWidth
        let bytes = Self.bytes(counts, rows: rows, headWidth: headWidth)
        buffer = try KVBuffer(bytes, meter: meter)
        unsafe try fill(UnsafeMutableRawBufferPointer(start: buffer.at(0, bytes: bytes), count: bytes))
    }

    private func copy(_ positions: [UInt32], of layer: HeadRows, head: Int, values: Bool) {
        let all = layer.entries(head: head, count: layer.capacity, seenByFirst: layer.capacity)
        let source = unsafe values ? all.values : all.keys
        let (target, rowBytes) = unsafe (address(head, values: values), layer.rowBytes)
        for (entry, position) in positions.enumerated() {
            unsafe (target + entry * rowBytes).copyMemory(from: source + Int(position) * rowBytes, byteCount: rowBytes)
        }
    }

    /// A group of entries at a time, neighbours in rank.
    private func quantise(_ positions: [UInt32], of layer: HeadRows, head: Int, values: Bool) throws(ModelError) {
        let all = layer.entries(head: head, count: layer.capacity, seenByFirst: layer.capacity)
        let source = unsafe values ? all.values : all.keys
        var target = unsafe address(head, values: values)
        let group = try FloatBuffer(rows.groupEntries * headWidth)
        for first in stride(from: 0, to: positions.count, by: rows.groupEntries) {
            let count = min(rows.groupEntries, positions.count - first)
            for entry in 0..<count {
                let row = group.floats.slice(entry * headWidth, headWidth)
                unsafe caked_dequantise(
                    layer.rows.type, source + Int(positions[first + entry]) * layer.rowBytes, row.base, headWidth)
            }
            let isKnown =
                unsafe values
                ? caked_quantise_values(rows.type, group.floats.base, count, headWidth, target)
                : caked_quantise_keys(rows.type, group.floats.base, count, headWidth, target)
            precondition(isKnown, "rows that a cache can be stored as")
            unsafe target += bytes(count, values: values)
        }
    }

    /// All rows, packed.
    @unsafe var bytes: UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(start: buffer.at(0, bytes: buffer.count), count: buffer.count)
    }

    /// Keeps the best `counts[kvHead]` entries of each head and gives the memory of the others back.
    ///
    /// A group of entries that is cut keeps what it is scaled by.
    func truncate(to counts: [Int]) {
        guard counts != self.counts else { return }
        var destination = 0
        for head in counts.indices {
            precondition(counts[head] <= self.counts[head], "budgets never grow")
            for values in [false, true] {
                let bytes = bytes(counts[head], values: values)
                buffer.move(from: offset(head, values: values), to: destination, bytes: bytes)
                destination += bytes
            }
        }
        self.counts = counts
        buffer.shrink(to: destination)
    }

    /// All entries of a head.
    func entries(head: Int) -> Entries {
        unsafe Entries(
            rows: rows, keys: UnsafeRawPointer(address(head, values: false)),
            values: UnsafeRawPointer(address(head, values: true)), count: counts[head], seenByFirst: counts[head])
    }

    static func bytes(_ counts: [Int], rows: KVRows, headWidth: Int) -> Int {
        counts.reduce(0) { $0 + rows.bytes(entries: $1, headWidth: headWidth) }
    }

    private func bytes(_ count: Int, values: Bool) -> Int {
        values
            ? rows.valueBytes(entries: count, headWidth: headWidth)
            : rows.keyBytes(entries: count, headWidth: headWidth)
    }

    private func address(_ head: Int, values: Bool) -> UnsafeMutableRawPointer {
        unsafe buffer.at(offset(head, values: values), bytes: bytes(counts[head], values: values))
    }

    private func offset(_ head: Int, values: Bool) -> Int {
        let before = Self.bytes(Array(counts[..<head]), rows: rows, headWidth: headWidth)
        return before + (values ? bytes(counts[head], values: false) : 0)
    }
}

/// A document's compact KV cache: immutable, usable as a base at once or copied into a store.
public final class CompactCache: @unchecked Sendable {
    // Unchecked: immutable once it is made.
    /// The entries of one (layer, KV head), best first; pointers are valid while the cache lives.
    @safe public struct Rows {
        /// Document positions, `[count]`.
        public let positions: [UInt32]
        /// Indicators, `[count]`, never rising.
        public let indicators: [Float]
        /// Keys after RoPE at their positions, `[count, headWidth]` as the cache's rows lie; values likewise.
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
    /// Of every entry, head after head.
    private let positions: Cells<UInt32>

    init(kept: [KeptLayer], retention: Retention, rows: KVRows, kvHeads: Int, headWidth: Int, peakKVBytes: Int) {
        self.kept = kept
        self.retention = retention
        self.rows = rows
        layers = kept.count
        self.kvHeads = kvHeads
        self.headWidth = headWidth
        tokens = retention.tokens
        self.peakKVBytes = peakKVBytes
        storedBytes = KeptLayer.bytes(Array(retention.counts.joined()), rows: rows, headWidth: headWidth)
        let ranked = retention.layers.flatMap(\.heads)
        positions = Cells(ranked.reduce(0) { $0 + $1.count }, of: 0)
        for (index, position) in ranked.lazy.flatMap(\.positions).enumerated() { positions[index] = position }
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
        let count = ranked.count
        return unsafe Rows(
            positions: ranked.positions, indicators: ranked.indicators,
            keys: UnsafeRawBufferPointer(
                start: entries.keys, count: rows.keyBytes(entries: count, headWidth: headWidth)),
            values: UnsafeRawBufferPointer(
                start: entries.values, count: rows.valueBytes(entries: count, headWidth: headWidth)))
    }

    /// The base of sequences that know nothing of the document, at the positions of those that do.
    public var emptyBase: BaseRows {
        BaseRows(rows: rows, layers: layers, kvHeads: kvHeads, headWidth: headWidth, tokens: tokens)
    }

    /// The cache as the base of sequences; it keeps the cache alive.
    public var base: BaseRows {
        var base = BaseRows(
            rows: rows, layers: layers, kvHeads: kvHeads, headWidth: headWidth, tokens: tokens, owner: self)
        var before = 0
        for layer in 0..<layers {
            for head in 0..<kvHeads {
                let entries = kept[layer].entries(head: head)
                let count = retention.layers[layer].heads[head].count
                unsafe base.append(
                    keys: entries.keys, values: entries.values, positions: positions.base + before, count: count,
                    layer: layer, head: head)
                before += count
            }
        }
        return base
    }
}
