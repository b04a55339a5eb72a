// How a cache's entries are stored, as attention reads them: rows one after the other, or keys scaled by channel.

import CKernels

enum EntryFormat: UInt32, CaseIterable, Sendable {
    case f32 = 0
    case f16 = 1
    case q8_0 = 8
    case q4 = 256

    var type: caked_type { caked_type(rawValue: rawValue) }
    var isBlocked: Bool { self == .q8_0 || self == .q4 }
    /// Entries from which a call may start: a multiple of it.
    var groupEntries: Int { self == .q4 ? Int(CAKED_KEY_GROUP) : 1 }

    func keyBytes(_ count: Int, _ width: Int) -> Int { caked_key_bytes(type, count, width) }
    func valueBytes(_ count: Int, _ width: Int) -> Int { caked_value_bytes(type, count, width) }

    func quantiseKeys(_ keys: [Float], count: Int, width: Int) -> [UInt8]? {
        var result = [UInt8](repeating: 0xee, count: keyBytes(count, width))
        return unsafe caked_quantise_keys(type, keys, count, width, &result) ? result : nil
    }

    func quantiseValues(_ values: [Float], count: Int, width: Int) -> [UInt8]? {
        var result = [UInt8](repeating: 0xee, count: valueBytes(count, width))
        return unsafe caked_quantise_values(type, values, count, width, &result) ? result : nil
    }

    /// `[count, width]`.
    func dequantiseKeys(_ bytes: [UInt8], count: Int, width: Int) -> [Float] {
        var result = [Float](repeating: .nan, count: count * width)
        unsafe caked_dequantise_keys(type, bytes, count, width, &result)
        return result
    }

    func dequantiseValues(_ bytes: [UInt8], count: Int, width: Int) -> [Float] {
        var result = [Float](repeating: .nan, count: count * width)
        unsafe caked_dequantise_values(type, bytes, count, width, &result)
        return result
    }

    /// Keys and values between -1 and 1, some channels of the keys ten times as large as others.
    func random(_ count: Int, width: Int, using generator: inout Numbers) -> (keys: [UInt8], values: [UInt8]) {
        var keys = generator.floats(count * width)
        for index in keys.indices where index % width % 7 != 3 { keys[index] /= 10 }
        let values = generator.floats(count * width)
        return (
            quantiseKeys(keys, count: count, width: width) ?? [],
            quantiseValues(values, count: count, width: width) ?? []
        )
    }
}
