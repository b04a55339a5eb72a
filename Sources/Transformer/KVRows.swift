// How the rows of a KV cache are stored, and the meter that counts every byte of them.

import CKernels
import Synchronization

/// The element type of cached key and value rows.
public enum KVRows: String, Sendable, Codable, CaseIterable {
    case f32
    case f16
    /// Blocks of 32: a Float16 scale and 32 Int8 (ggml's `block_q8_0`).
    case q8_0

    /// How many elements a block holds; a row is a whole number of blocks.
    public var blockElements: Int { self == .q8_0 ? 32 : 1 }

    /// The bytes of a row of `elements` floats.
    public func bytes(forElements elements: Int) -> Int { caked_bytes(type, elements) }

    /// The kernels' name of the type.
    var type: caked_type {
        switch self {
        case .f32: CAKED_F32
        case .f16: CAKED_F16
        case .q8_0: CAKED_Q8_0
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
