// JSON in and out: the same value always has the same bytes, and what a client sends is bounded before it is decoded.

import FoundationEssentials

/// JSON as bytes.
public enum JSONText {
    /// `value` on one line with sorted keys.
    public static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        return Array(try encoder.encode(value))
    }

    /// An answer of a daemon; throws `DecodingError`.
    public static func decode<T: Decodable>(_ type: T.Type, from bytes: [UInt8]) throws -> T {
        try JSONDecoder().decode(type, from: Data(bytes))
    }

    /// A client's request; throws `RequestError` where it nests too deeply, is no JSON, or has a field that will not
    /// do.
    public static func request<T: Decodable>(
        _ type: T.Type, from body: some RandomAccessCollection<UInt8>, maxDepth: Int
    ) throws -> T {
        guard nests(body, within: maxDepth) else {
            throw RequestError("json_too_deep", "the JSON nests more than \(maxDepth) levels deep")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch let error as DecodingError {
            throw translated(error, body)
        }
    }

    /// The same, and a warning for each of its fields that is unknown; one that looks like a known field is refused
    /// before anything else.
    public static func request<T: Decodable>(
        _ type: T.Type, from body: some RandomAccessCollection<UInt8>, maxDepth: Int, fields: RequestFields,
        unknown: UnknownFields
    ) throws -> (value: T, warnings: [String]) {
        let named = try request(Named<T>.self, from: body, maxDepth: maxDepth)
        let warnings = try fields.warnings(about: named.names, unknown)
        do {
            return (try named.value.get(), warnings)
        } catch let error as DecodingError {
            throw translated(error, body)
        }
    }

    /// An object with the names of its fields.
    private struct Named<T: Decodable>: Decodable {
        let names: [String]
        let value: Result<T, any Error>

        init(from decoder: any Decoder) throws {
            names = try decoder.container(keyedBy: AnyKey.self).allKeys.map(\.stringValue).sorted()
            value = Result { try T(from: decoder) }
        }
    }

    /// Whether NaN or Infinity stands outside of strings; the text need not be valid JSON.
    private static func namesNoNumber(_ text: some Sequence<UInt8>) -> Bool {
        var (inString, escaped) = (false, false)
        var previous: UInt8 = 0
        for byte in text {
            if inString {
                if !escaped, byte == UInt8(ascii: "\"") { inString = false }
                escaped = !escaped && byte == UInt8(ascii: "\\")
            } else if byte == UInt8(ascii: "\"") {
                inString = true
            } else if byte == UInt8(ascii: "N") || byte == UInt8(ascii: "I") {
                // No word of JSON has either letter.
                return previous == UInt8(ascii: ":") || previous == UInt8(ascii: "-")
            } else if byte != UInt8(ascii: " ") {
                previous = byte
            }
        }
        return false
    }

    /// Whether no more than `limit` arrays and objects are open at any point.
    ///
    /// Strings are skipped; the text need not be valid JSON.
    static func nests(_ text: some Sequence<UInt8>, within limit: Int) -> Bool {
        var depth = 0
        var inString = false
        var escaped = false
        for byte in text {
            if inString {
                if escaped {
                    escaped = false
                } else if byte == UInt8(ascii: "\\") {
                    escaped = true
                } else if byte == UInt8(ascii: "\"") {
                    inString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): inString = true
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                depth += 1
                if depth > limit { return false }
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default: break
            }
        }
        return true
    }

    private static func translated(_ error: DecodingError, _ body: some Sequence<UInt8>) -> RequestError {
        switch error {
        case .keyNotFound(let key, let context):
            let name = path(context.codingPath + [key])
            return .invalid("`\(name)` is missing", param: name)
        case .typeMismatch(let type, let context):
            return wrongType(expected: "\(type)", context.codingPath)
        case .valueNotFound(let type, let context):
            return wrongType(expected: "\(type)", context.codingPath)
        case .dataCorrupted(let context) where !context.codingPath.isEmpty:
            let name = path(context.codingPath)
            return .invalid("`\(name)` has a value that does not fit", param: name)
        default:
            // Python writes it so, and a decoder says only that something is wrong.
            let hint =
                namesNoNumber(body) ? ": it has no NaN and no Infinity, write a number or leave the field out" : ""
            return RequestError("invalid_json", "the body is not valid JSON" + hint)
        }
    }

    private static func wrongType(expected type: String, _ codingPath: [any CodingKey]) -> RequestError {
        let wanted =
            switch type {
            case "String": "a text"
            case "Bool": "true or false"
            case _ where type.hasPrefix("Dictionary"): "an object"
            case _ where type.hasPrefix("Array"): "an array"
            default: "a number"
            }
        guard !codingPath.isEmpty else { return .invalid("the body must be a JSON object", param: nil) }
        let name = path(codingPath)
        return .invalid("`\(name)` must be \(wanted)", param: name)
    }

    /// `messages[2].content` for the path of that field.
    static func path(_ keys: [any CodingKey]) -> String {
        var text = ""
        for key in keys {
            if let index = key.intValue {
                text += "[\(index)]"
            } else {
                text += text.isEmpty ? key.stringValue : ".\(key.stringValue)"
            }
        }
        return text
    }
}

extension KeyedDecodingContainer {
    /// The number of a field, if it is there; one that is no number, or none of its type, is an error that says what is
    /// wanted.
    ///
    /// Where a number is too large or has a fraction Foundation throws an error of its own, which would become "not
    /// valid JSON" further up.
    func number<N: Decodable & Numeric>(_ type: N.Type, forKey key: Key, wanted: String) throws -> N? {
        do {
            return try decodeIfPresent(type, forKey: key)
        } catch {
            let name = JSONText.path(codingPath + [key])
            throw RequestError.invalid("`\(name)` must be \(wanted)", param: name)
        }
    }
}
