// Writes GGUF files, sound ones and broken ones: every field can be set to something the format forbids.

import GGUF

/// A GGUF file under construction.
struct GGUFBuilder {
    /// A metadata value and its type number.
    indirect enum Value {
        case uint8(UInt8)
        case int8(Int8)
        case uint16(UInt16)
        case int16(Int16)
        case uint32(UInt32)
        case int32(Int32)
        case float32(Float)
        case bool(UInt8)
        case string([UInt8])
        case array(elementType: UInt32, count: UInt64?, [Value])
        case uint64(UInt64)
        case int64(Int64)
        case float64(Double)
        case unknown(type: UInt32, [UInt8])

        static func text(_ text: String) -> Value { .string(Array(text.utf8)) }
        static func array(_ elements: [Value]) -> Value {
            .array(elementType: elements.first?.typeNumber ?? 0, count: nil, elements)
        }

        var typeNumber: UInt32 {
            switch self {
            case .uint8: 0
            case .int8: 1
            case .uint16: 2
            case .int16: 3
            case .uint32: 4
            case .int32: 5
            case .float32: 6
            case .bool: 7
            case .string: 8
            case .array: 9
            case .uint64: 10
            case .int64: 11
            case .float64: 12
            case .unknown(let type, _): type
            }
        }
    }

    struct Tensor {
        var name: String
        var type: UInt32 = TensorType.f32.rawValue
        var dimensions: [UInt64]
        /// Written instead of `dimensions.count`.
        var dimensionCount: UInt32?
        /// Written instead of the next aligned offset.
        var offset: UInt64?
    }

    var magic = Array("GGUF".utf8)
    var version: UInt32 = 3
    var tensorCount: UInt64?
    var keyCount: UInt64?
    var keys: [(key: String, value: Value)] = []
    /// Written instead of the first key's length.
    var firstKeyLength: UInt64?
    var tensors: [Tensor] = []
    /// What tensors are laid out by, whatever `general.alignment` says.
    var alignment: UInt64 = 32
    /// Bytes of data left off, or added when negative.
    var missingDataBytes = 0
    var writesData = true

    func bytes() -> [UInt8] {
        var bytes = magic
        bytes.write(version)
        bytes.write(tensorCount ?? UInt64(tensors.count))
        bytes.write(keyCount ?? UInt64(keys.count))
        for (index, pair) in keys.enumerated() {
            bytes.write(index == 0 ? firstKeyLength ?? UInt64(pair.key.utf8.count) : UInt64(pair.key.utf8.count))
            bytes += Array(pair.key.utf8)
            bytes.write(pair.value.typeNumber)
            bytes.write(pair.value)
        }
        var dataBytes: UInt64 = 0
        for tensor in tensors {
            bytes.write(UInt64(tensor.name.utf8.count))
            bytes += Array(tensor.name.utf8)
            bytes.write(tensor.dimensionCount ?? UInt32(tensor.dimensions.count))
            for dimension in tensor.dimensions { bytes.write(dimension) }
            bytes.write(tensor.type)
            bytes.write(tensor.offset ?? dataBytes)
            dataBytes += (tensor.byteCount + alignment - 1) / alignment * alignment
        }
        guard !tensors.isEmpty, writesData else { return bytes }
        bytes += Array(repeating: 0, count: (Int(alignment) - bytes.count % Int(alignment)) % Int(alignment))
        bytes += (0..<Int(dataBytes) - missingDataBytes).map { UInt8(truncatingIfNeeded: $0) }
        return bytes
    }
}

extension GGUFBuilder.Tensor {
    /// As ggml computes it; 0 where there is no such number, so that broken tensors can be written.
    var byteCount: UInt64 {
        guard let type = TensorType(rawValue: type) else { return 0 }
        var elements: UInt64 = 1
        for dimension in dimensions {
            let (product, overflows) = elements.multipliedReportingOverflow(by: dimension)
            guard !overflows, product < 1 << 20 else { return 0 }
            elements = product
        }
        return elements / UInt64(type.blockElements) * UInt64(type.blockBytes)
    }
}

extension [UInt8] {
    mutating func write(_ integer: some FixedWidthInteger) {
        let width = integer.bitWidth / 8
        self += (0..<width).map { UInt8(truncatingIfNeeded: integer >> ($0 * 8)) }
    }

    mutating func write(_ value: GGUFBuilder.Value) {
        switch value {
        case .uint8(let value), .bool(let value): write(value)
        case .int8(let value): write(UInt8(bitPattern: value))
        case .uint16(let value): write(value)
        case .int16(let value): write(value)
        case .uint32(let value): write(value)
        case .int32(let value): write(value)
        case .uint64(let value): write(value)
        case .int64(let value): write(value)
        case .float32(let value): write(value.bitPattern)
        case .float64(let value): write(value.bitPattern)
        case .unknown(_, let raw): self += raw
        case .string(let text):
            write(UInt64(text.count))
            self += text
        case .array(let elementType, let count, let elements):
            write(elementType)
            write(count ?? UInt64(elements.count))
            for element in elements { write(element) }
        }
    }
}

/// A generator with a seed (SplitMix64), so that a failure can be repeated.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
