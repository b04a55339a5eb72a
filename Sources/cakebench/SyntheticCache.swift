// A cache of random rows: decoding over it costs what it costs over a document's, since arithmetic does not care what
// rows say, and nobody has to read 128K tokens first.

import Transformer

/// Random rows shared by caches of any number of entries.
final class SyntheticRows {
    private let memory: FloatBuffer
    /// So late that every window reaches them.
    private let positions: FloatBuffer
    private let shape: ModelConfiguration
    private let rows: KVRows
    private let capacity: Int

    /// Room for `entries` entries per layer and KV head.
    init(_ shape: ModelConfiguration, rows: KVRows, entries: Int) throws {
        self.shape = shape
        self.rows = rows
        capacity = max(entries, 1)
        let bytes = shape.layers * shape.kvHeads * rows.bytes(entries: capacity, headWidth: shape.headWidth)
        memory = try FloatBuffer((bytes + 3) / 4)
        positions = try FloatBuffer(capacity)
        positions.floats.fill(Float(bitPattern: .max >> 1))
        unsafe fillWithSmallHalves(UnsafeMutableRawPointer(memory.floats.base), bytes: bytes)
    }

    /// A cache of `entries` entries for each layer and head, of a document of `tokens` tokens.
    func base(tokens: Int, entries: Int) -> BaseRows {
        precondition(entries <= capacity)
        let headBytes = rows.bytes(entries: capacity, headWidth: shape.headWidth)
        let keyBytes = rows.keyBytes(entries: capacity, headWidth: shape.headWidth)
        var base = BaseRows(
            rows: rows, layers: shape.layers, kvHeads: shape.kvHeads, headWidth: shape.headWidth, tokens: tokens,
            owner: self)
        for layer in 0..<shape.layers {
            for head in 0..<shape.kvHeads {
                let keys = unsafe UnsafeRawPointer(memory.floats.base) + (layer * shape.kvHeads + head) * headBytes
                let positions = unsafe UnsafeRawPointer(positions.floats.base).assumingMemoryBound(to: UInt32.self)
                unsafe base.append(
                    keys: keys, values: keys + keyBytes, positions: positions, count: entries, layer: layer,
                    head: head)
            }
        }
        return base
    }
}

/// Random halves between 1/16 and 1/8, of either sign, from a fixed seed: finite and small in every type of row and of
/// weight, wherever its scales are.
@unsafe func fillWithSmallHalves(_ memory: UnsafeMutableRawPointer, bytes: Int) {
    let words = unsafe memory.assumingMemoryBound(to: UInt64.self)
    var state: UInt64 = 2026
    for index in 0..<bytes / 8 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        unsafe words[index] = state & 0x83ff_83ff_83ff_83ff | 0x2c00_2c00_2c00_2c00
    }
}
