// Typed lookups in a file's metadata: nil for a key that is absent, an error for one of another type.

/// The key-value pairs of a GGUF file, decoded from the mapping when asked for.
public struct GGUFMetadata: Sendable {
    let bytes: FileBytes
    let values: [String: MetadataValue]

    /// All keys, sorted.
    public var keys: [String] { values.keys.sorted() }

    /// The string under `key`.
    public func string(_ key: String) throws(GGUFError) -> String? {
        guard let value = values[key] else { return nil }
        guard value.type == .string else { throw mismatch(key, value, "string") }
        var cursor = ByteCursor(bytes, at: value.offset)
        return try cursor.text(key: key)
    }

    /// The integer under `key`, of any width and signedness.
    public func integer(_ key: String) throws(GGUFError) -> Int? {
        guard let value = values[key] else { return nil }
        return try integer(at: value.offset, of: value.type, key: key)
    }

    /// The number under `key`: float32, float64 (rounded) or any integer (rounded).
    public func float(_ key: String) throws(GGUFError) -> Float? {
        guard let value = values[key] else { return nil }
        return try float(at: value.offset, of: value.type, key: key)
    }

    /// The bool under `key`.
    public func bool(_ key: String) throws(GGUFError) -> Bool? {
        guard let value = values[key] else { return nil }
        guard value.type == .bool else { throw mismatch(key, value, "bool") }
        return bytes.integer(at: value.offset, as: UInt8.self) == 1
    }

    /// The array of bools, or of integers that are 0 for false, under `key`; nil where it is no array.
    public func truths(_ key: String) throws(GGUFError) -> [Bool]? {
        guard let value = values[key], value.type == .array else { return nil }
        guard value.elementType == .bool else { return try integers(key)?.map { $0 != 0 } }
        return (0..<value.count).map { bytes.integer(at: value.offset + $0, as: UInt8.self) != 0 }
    }

    /// The array of strings under `key`.
    public func strings(_ key: String) throws(GGUFError) -> [String]? {
        guard let value = values[key] else { return nil }
        guard value.type == .array, value.elementType == .string else { throw mismatch(key, value, "array of string") }
        var strings: [String] = []
        strings.reserveCapacity(value.count)
        var cursor = ByteCursor(bytes, at: value.offset)
        for _ in 0..<value.count { strings.append(try cursor.text(key: key)) }
        return strings
    }

    /// The array of numbers under `key`, of any type `float(_:)` takes.
    public func floats(_ key: String) throws(GGUFError) -> [Float]? {
        guard let value = values[key] else { return nil }
        let stride = try elementBytes(of: value, key: key, expected: "array of float32")
        var floats: [Float] = []
        floats.reserveCapacity(value.count)
        for index in 0..<value.count {
            floats.append(try float(at: value.offset + index * stride, of: value.elementType, key: key))
        }
        return floats
    }

    /// The array of integers under `key`, of any width and signedness.
    public func integers(_ key: String) throws(GGUFError) -> [Int]? {
        guard let value = values[key] else { return nil }
        let stride = try elementBytes(of: value, key: key, expected: "array of integers")
        var integers: [Int] = []
        integers.reserveCapacity(value.count)
        for index in 0..<value.count {
            integers.append(try integer(at: value.offset + index * stride, of: value.elementType, key: key))
        }
        return integers
    }

    private func integer(at offset: Int, of type: ValueType, key: String) throws(GGUFError) -> Int {
        switch type {
        case .uint8: return Int(bytes.integer(at: offset, as: UInt8.self))
        case .int8: return Int(bytes.integer(at: offset, as: Int8.self))
        case .uint16: return Int(bytes.integer(at: offset, as: UInt16.self))
        case .int16: return Int(bytes.integer(at: offset, as: Int16.self))
        case .uint32: return Int(bytes.integer(at: offset, as: UInt32.self))
        case .int32: return Int(bytes.integer(at: offset, as: Int32.self))
        case .int64: return Int(bytes.integer(at: offset, as: Int64.self))
        case .uint64:
            guard let value = Int(exactly: bytes.integer(at: offset, as: UInt64.self)) else {
                throw .integerOutOfRange(key: key, offset: offset)
            }
            return value
        case .float32, .float64, .bool, .string, .array:
            throw .wrongValueType(key: key, found: "\(type)", expected: "an integer", offset: offset)
        }
    }

    private func float(at offset: Int, of type: ValueType, key: String) throws(GGUFError) -> Float {
        switch type {
        case .float32: Float(bitPattern: bytes.integer(at: offset, as: UInt32.self))
        case .float64: Float(Double(bitPattern: bytes.integer(at: offset, as: UInt64.self)))
        default: Float(try integer(at: offset, of: type, key: key))
        }
    }

    private func elementBytes(of value: MetadataValue, key: String, expected: String) throws(GGUFError) -> Int {
        guard value.type == .array, let stride = value.elementType.fixedBytes else {
            throw mismatch(key, value, expected)
        }
        return stride
    }

    private func mismatch(_ key: String, _ value: MetadataValue, _ expected: String) -> GGUFError {
        .wrongValueType(key: key, found: value.typeName, expected: expected, offset: value.offset)
    }
}

extension ByteCursor {
    /// Reads a string of the value of `key`.
    fileprivate mutating func text(key: String) throws(GGUFError) -> String {
        let range = try string("a metadata string")
        guard let text = bytes.string(in: range) else {
            throw .notUTF8("a string of the metadata key \(key.debugDescription)", offset: range.lowerBound)
        }
        return text
    }
}
