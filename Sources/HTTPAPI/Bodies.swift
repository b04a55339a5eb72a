// JSON in answers, and the bodies of requests: bounded before they are taken.

import API
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

extension JSONText {
    /// `value` as bytes.
    static func bytes(_ value: some Encodable) -> [UInt8] {
        do {
            return try encode(value)
        } catch {
            // Only a value that cannot be written as JSON gets here, and none of ours is one.
            return Array(#"{"error":{"message":"unencodable answer","type":"server_error","code":"internal"}}"#.utf8)
        }
    }

    /// An answer with `value` as its body.
    static func response(_ value: some Encodable, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: .init(byteBuffer: ByteBuffer(bytes: bytes(value))))
    }
}

extension Request {
    /// The whole body, unless it is larger than `limit` bytes; then it is refused, by its declared size if there is
    /// one.
    ///
    /// `lease` is its share of the memory for bodies; hold it as long as the body, or what was made of it.
    func wholeBody(limitBytes: Int, lease: BodyBudget.Lease) async throws -> ByteBuffer {
        if let encoding = headers[.contentEncoding], encoding.lowercased() != "identity" {
            throw RequestError.unsupported("bodies are taken uncompressed", param: "Content-Encoding")
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
