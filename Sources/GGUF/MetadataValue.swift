// Where a metadata value lies in the file and what type it has; the value itself is decoded when asked for.

/// `enum gguf_metadata_value_type` of the GGUF specification.
enum ValueType: UInt32, Sendable {
    case uint8, int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

    /// The size of a value, nil for strings and arrays, whose size the file gives.
    var fixedBytes: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }

    /// The least a value can take: an empty string is its length, an empty array its element type and count.
    var minimumBytes: Int {
        fixedBytes ?? (self == .string ? 8 : 12)
    }
}

/// A checked metadata value: a file with a 150,000-token vocabulary costs one of these for it, not 150,000 strings.
struct MetadataValue: Sendable {
    let type: ValueType
    /// For an array, its elements' type and number; for a scalar, its own type and 1.
    let elementType: ValueType
    let count: Int
    /// Of the scalar, or of the array's first element.
    let offset: Int

    var typeName: String { type == .array ? "array of \(elementType)" : "\(type)" }
}

extension ByteCursor {
    /// Reads the type and steps over the value of `key`, checking everything inside it.
    mutating func metadataValue(key: String) throws(GGUFError) -> MetadataValue {
        let type = try valueType(key: key)
        guard type == .array else {
            let start = offset
            try skipValue(type, key: key, depth: 0)
            return MetadataValue(type: type, elementType: type, count: 1, offset: start)
        }
        let (elementType, count) = try arrayHeader(key: key)
        let start = offset
        try skipElements(elementType, count: count, key: key, depth: 1)
        return MetadataValue(type: type, elementType: elementType, count: count, offset: start)
    }

    private mutating func valueType(key: String) throws(GGUFError) -> ValueType {
        let start = offset
        let number = try integer(UInt32.self, "the value type of a metadata key")
        guard let type = ValueType(rawValue: number) else {
            throw .unknownValueType(key: key, number: number, offset: start)
        }
        return type
    }

    private mutating func arrayHeader(key: String) throws(GGUFError) -> (elementType: ValueType, count: Int) {
        let type = try valueType(key: key)
        return (type, try count(itemBytes: type.minimumBytes, "the length of a metadata array"))
    }

    private mutating func skipValue(_ type: ValueType, key: String, depth: Int) throws(GGUFError) {
        switch type {
        case .string:
            _ = try string("a metadata string")
        case .array:
            guard depth < GGUFLimits.arrayDepth else {
                throw .nestedTooDeeply(key: key, limit: GGUFLimits.arrayDepth, offset: offset)
            }
            let (elementType, count) = try arrayHeader(key: key)
            try skipElements(elementType, count: count, key: key, depth: depth + 1)
        default:
            try skipElements(type, count: 1, key: key, depth: depth)
        }
    }

    private mutating func skipElements(
        _ type: ValueType, count: Int, key: String, depth: Int
    ) throws(GGUFError) {
        guard let fixedBytes = type.fixedBytes else {
            for _ in 0..<count { try skipValue(type, key: key, depth: depth) }
            return
        }
        // The product cannot overflow for an array: `count` was bounded by what remains of the file.
        let range = try take(UInt64(fixedBytes * count), "a metadata value")
        guard type == .bool else { return }
        for position in range where bytes.integer(at: position, as: UInt8.self) > 1 {
            let byte = bytes.integer(at: position, as: UInt8.self)
            throw .invalidBool(key: key, byte: byte, offset: position)
        }
    }
}
