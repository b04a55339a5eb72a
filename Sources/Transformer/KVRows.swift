// How the rows of a KV cache are stored, and the meter that counts every byte of them.

import CKernels
import Locks

/// The element type of cached key and value rows.
public enum KVRows: String, Sendable, Codable, CaseIterable {
    case f32
    case f16
    /// Blocks of 32: a Float16 scale and 32 Int8 (ggml's `block_q8_0`).
    case q8_0
    /// Four bits: keys with a scale and a centre for each channel of 32 entries that are neighbours in rank, values in
    /// blocks of 32 with a scale and a shift (`caked_kernels.h` has the layout).
    ///
    /// Only whole groups of kept entries can be stored so: what still grows is stored as `growing`.
    case q4

    /// How many elements a block holds; a row is a whole number of blocks.
    public var blockElements: Int {
        switch self {
        case .f32, .f16: 1
        case .q8_0, .q4: 32
        }
    }

    /// How many entries share what their keys are scaled by: runs of a head's entries begin at a multiple of it.
    public var groupEntries: Int { self == .q4 ? Int(CAKED_KEY_GROUP) : 1 }

    /// How the rows of a layer being read are stored, and those of a conversation: one after the other, as they come.
    public var growing: KVRows { self == .q4 ? .f16 : self }

    /// The bytes of the keys of so many entries, the first of which begins a group.
    ///
    /// Those of fewer entries are their first ones.
    public func keyBytes(entries: Int, headWidth: Int) -> Int { caked_key_bytes(type, entries, headWidth) }

    /// The bytes of the values of so many entries.
    public func valueBytes(entries: Int, headWidth: Int) -> Int { caked_value_bytes(type, entries, headWidth) }

    /// The bytes of so many entries of one head.
    public func bytes(entries: Int, headWidth: Int) -> Int {
        keyBytes(entries: entries, headWidth: headWidth) + valueBytes(entries: entries, headWidth: headWidth)
    }

    /// How many entries fit into the bytes that one takes in `q8_0`, which shares of a cache are counted in.
    ///
    /// Wider rows take more bytes for the same entries: nobody who asks for more precision asks to forget more.
    public var entriesPerCounted: Double {
        let (group, width) = (Int(CAKED_KEY_GROUP), Int(CAKED_KEY_GROUP))
        let counted = Self.q8_0.bytes(entries: group, headWidth: width)
        return max(1, Double(counted) / Double(bytes(entries: group, headWidth: width)))
    }

    /// The kernels' name of the type.
    package var type: caked_type {
        switch self {
        case .f32: CAKED_F32
        case .f16: CAKED_F16
        case .q8_0: CAKED_Q8_0
        case .q4: CAKED_Q4
        }
    }

    func check(headWidth: Int) throws(ModelError) {
        guard headWidth.isMultiple(of: blockElements) else { throw .unsupportedRows(self, headWidth: headWidth) }
    }
}

/// Counts the bytes of KV rows that are allocated now, and the most there ever were.
public final class KVMeter: Sendable {
    private let bytes = Mutex((current: 0, peak: 0))

    /// A meter at zero.
    public init() {}

    /// Bytes allocated now.
    public var currentBytes: Int { bytes.withLock { $0.current } }
    /// The largest value `currentBytes` ever had.
    public var peakBytes: Int { bytes.withLock { $0.peak } }

    func add(_ count: Int) {
        bytes.withLock {
            $0.current += count
            $0.peak = max($0.peak, $0.current)
        }
    }
}
