// Key and value rows of some KV heads of one layer, appended as they are computed.

import CKernels

/// Rows `[kvHeads, (keys, values), capacity]` of `headWidth` elements each, in one metered buffer.
@safe final class HeadRows {
    let rows: KVRows
    let heads: Int
    let headWidth: Int
    let capacity: Int
    /// Where the first row's token stands.
    let firstPosition: Int
    let rowBytes: Int
    private let buffer: KVBuffer

    init(
        rows: KVRows, heads: Int, headWidth: Int, capacity: Int, firstPosition: Int = 0, meter: KVMeter
    ) throws(ModelError) {
        self.firstPosition = firstPosition
        self.rows = rows
        self.heads = heads
        self.headWidth = headWidth
        self.capacity = capacity
        precondition(rows == rows.growing, "rows that come one by one have no groups")
        rowBytes = rows.keyBytes(entries: 1, headWidth: headWidth)
        let bytes = (2 * heads * rowBytes).multipliedReportingOverflow(by: capacity)
        guard !bytes.overflow else { throw .outOfMemory(bytes: Int.max) }
        buffer = try KVBuffer(bytes.partialValue, meter: meter)
    }

    /// Bytes the meter counts for it.
    var bufferBytes: Int { buffer.count }

    /// Stores the key and the value of one token, `[headWidth]` each.
    func store(head: Int, row: Int, key: Floats, value: Floats) {
        storeKey(head: head, row: row, key)
        precondition(value.count == headWidth)
        unsafe _ = caked_quantise(rows.type, value.base, address(head, row, values: true), headWidth)
    }

    /// Stores a key alone, for rows whose values nobody reads.
    func storeKey(head: Int, row: Int, _ key: Floats) {
        precondition(key.count == headWidth)
        unsafe _ = caked_quantise(rows.type, key.base, address(head, row, values: false), headWidth)
    }

    /// `count` entries of `head` from row `first` on.
    ///
    /// Row i of a tile of queries sees `seenByFirst + i` of them, at most all.
    func entries(head: Int, first: Int = 0, count: Int, seenByFirst: Int) -> Entries {
        precondition(first >= 0 && first + count <= capacity)
        return unsafe Entries(
            rows: rows, keys: UnsafeRawPointer(buffer.at(offset(head, first, values: false), bytes: count * rowBytes)),
            values: UnsafeRawPointer(buffer.at(offset(head, first, values: true), bytes: count * rowBytes)),
            count: count, seenByFirst: seenByFirst, firstPosition: firstPosition + first)
    }

    /// Copies the first `count` rows of every head from a smaller buffer.
    func copy(from other: HeadRows, count: Int) {
        precondition(other.heads == heads && other.rowBytes == rowBytes && count <= min(capacity, other.capacity))
        for head in 0..<heads {
            for values in [false, true] {
                unsafe buffer.at(offset(head, 0, values: values), bytes: count * rowBytes).copyMemory(
                    from: other.buffer.at(other.offset(head, 0, values: values), bytes: count * rowBytes),
                    byteCount: count * rowBytes)
            }
        }
    }

    private func offset(_ head: Int, _ row: Int, values: Bool) -> Int {
        precondition(head >= 0 && head < heads && row >= 0 && row <= capacity, "outside the head's rows")
        return ((2 * head + (values ? 1 : 0)) * capacity + row) * rowBytes
    }

    private func address(_ head: Int, _ row: Int, values: Bool) -> UnsafeMutableRawPointer {
        unsafe buffer.at(offset(head, row, values: values), bytes: rowBytes)
    }
}

/// A run of entries of one KV head that a tile of query rows attends to, wherever they lie.
@safe struct Entries {
    let rows: KVRows
    /// `[count, headWidth]` as `rows` lie, from the begin of a group on; values likewise.
    let keys: UnsafeRawPointer
    let values: UnsafeRawPointer
    let count: Int
    /// How many the first query row sees; each later row sees one more, up to `count`.
    let seenByFirst: Int
    /// Where their tokens stand, `[count]`; nil: one after the other from `firstPosition` on.
    let positions: UnsafePointer<UInt32>?
    let firstPosition: Int

    init(
        rows: KVRows, keys: UnsafeRawPointer, values: UnsafeRawPointer, count: Int, seenByFirst: Int,
        positions: UnsafePointer<UInt32>? = nil, firstPosition: Int = 0
    ) {
        self.rows = rows
        unsafe self.keys = unsafe keys
        unsafe self.values = unsafe values
        self.count = count
        self.seenByFirst = seenByFirst
        unsafe self.positions = unsafe positions
        self.firstPosition = firstPosition
    }

    /// How many of the entries query row `row` sees.
    @inline(__always)
    func seen(by row: Int) -> Int { min(count, seenByFirst + row) }
}
