// JSON in and out: bounded before it is decoded, with errors that name the field.

import FoundationEssentials
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// JSON as bytes.
package enum JSONText {
    /// `value` with sorted keys, so that the same value always has the same bytes.
    static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        do {
            return Array(try encoder.encode(value))
        } catch {
            // Only a value that cannot be written as JSON gets here, and none of ours is one.
            return Array(#"{"error":{"message":"unencodable answer","type":"server_error","code":"internal"}}"#.utf8)
        }
    }

    /// An answer with `value` as its body.
    static func response(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: encode(value))))
    }

    /// Decodes a client's JSON after checking how deeply it nests.
    static func decode<T: Decodable>(_ type: T.Type, from body: ByteBuffer, maxDepth: Int) throws -> T {
        try decode(type, from: body.readableBytesView, maxDepth: maxDepth)
    }

    /// Decodes bytes, wherever they come from.
    package static func decode<T: Decodable>(
        _ type: T.Type, from body: some RandomAccessCollection<UInt8>, maxDepth: Int
    ) throws -> T {
        guard nests(body, within: maxDepth) else {
            throw APIError(.badRequest, "json_too_deep", "the JSON nests more than \(maxDepth) levels deep")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(body))
        } catch let error as DecodingError {
            throw translated(error)
        }
    }

    /// Whether no more than `limit` arrays and objects are open at any point.
    ///
    /// Strings are skipped; the text need not
    /// be valid JSON.
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

    private static func translated(_ error: DecodingError) -> APIError {
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
            return APIError(.badRequest, "invalid_json", "the body is not valid JSON")
        }
    }

    private static func wrongType(expected type: String, _ codingPath: [any CodingKey]) -> APIError {
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

extension DecodingError {
    fileprivate var isOfTypeOrPresence: Bool { if case .dataCorrupted = self { false } else { true } }
}

extension KeyedDecodingContainer {
    /// The number of a field, if it is there; one that does not fit its type is an error that names the field.
    func number<N: Decodable & Numeric>(_ type: N.Type, forKey key: Key) throws -> N? {
        do {
            return try decodeIfPresent(type, forKey: key)
        } catch let error as DecodingError where error.isOfTypeOrPresence {
            throw error
        } catch {
            // Where a number is too large or has a fraction Foundation throws an error of its own, which would become
            // "not valid JSON" further up.
            let name = JSONText.path(codingPath + [key])
            throw APIError.invalid("`\(name)` has a value that does not fit", param: name)
        }
    }
}

extension Request {
    /// The whole body, unless it is larger than `limit` bytes; then it is refused, by its declared size if there is one.
    ///
    /// `lease` is its share of the memory for bodies; hold it as long as the body, or what was made of it.
    func wholeBody(limitBytes: Int, lease: BodyBudget.Lease) async throws -> ByteBuffer {
        if let encoding = headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw APIError.unsupported("bodies are taken uncompressed", param: "Content-Encoding")
        }
        if let declared = headers[.contentLength].flatMap({ Int($0) }), declared > limitBytes {
            throw APIError.bodyTooLarge(limitBytes: limitBytes)
        }
        var whole = ByteBuffer()
        for try await var part in body {
            guard whole.readableBytes + part.readableBytes <= limitBytes else {
                throw APIError.bodyTooLarge(limitBytes: limitBytes)
            }
            try lease.grow(byBytes: part.readableBytes)
            whole.writeBuffer(&part)
        }
        return whole
    }
}
