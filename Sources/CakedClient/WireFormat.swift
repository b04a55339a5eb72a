// The API's JSON, its errors and its events, as they come over the wire.
import API
import NIOCore
import NIOHTTP1

/// `Retry-After` beyond a day is not a hint any more.
private let maximumRetryAfterSeconds = 86400
/// An error is a sentence or two.
private let maximumErrorBytes = 1 << 20

/// Throws the error that an answer carries, if its status is not a success.
func refuse(_ head: HTTPResponseHead, _ body: inout HTTPResponseBody) async throws {
    guard !(200...299).contains(head.status.code) else { return }
    let status = Int(head.status.code)
    let retryAfter = head.headers.first(name: "Retry-After").flatMap { Int($0) }
        .map { min(max($0, 0), maximumRetryAfterSeconds) }
    let bytes = try await body.collect(limitBytes: maximumErrorBytes)
    guard let failure = errorBody(bytes) else {
        throw ClientError.protocolViolation("the daemon answered \(status) without an error object")
    }
    throw apiError(failure, status: status, retryAfterSeconds: retryAfter)
}

private func errorBody(_ bytes: [UInt8]) -> ErrorBody.Fields? {
    try? JSONText.decode(ErrorBody.self, from: bytes).error
}

private func apiError(_ error: ErrorBody.Fields, status: Int, retryAfterSeconds: Int?) -> ClientError {
    .api(
        status: status, code: error.code ?? error.type ?? "unknown", message: error.message, param: error.param,
        retryAfterSeconds: retryAfterSeconds)
}

/// The events of an answer; an error among them is thrown.
struct EventReader {
    private var parser = ServerSentEventParser()
    private var ready: ArraySlice<ServerSentEvent> = []
    private var streamBytes = 0

    /// The next event, nil at the end of the answer.
    mutating func next(_ body: inout HTTPResponseBody) async throws -> ServerSentEvent? {
        while ready.isEmpty {
            guard let piece = try await body.next() else { return nil }
            streamBytes += piece.readableBytes
            guard streamBytes <= DaemonClient.maximumStreamBytes else {
                throw ClientError.responseTooLarge(
                    what: "the daemon's answer", limitBytes: DaemonClient.maximumStreamBytes)
            }
            ready = try parser.append(piece.readableBytesView)[...]
        }
        let event = ready.removeFirst()
        if let error = errorBody(Array(event.data.utf8)) {
            throw apiError(error, status: 200, retryAfterSeconds: nil)
        }
        return event
    }
}

/// Reads one JSON object.
///
/// Throws `ClientError.protocolViolation` naming the field that is wrong.
func decodeJSON<Value: Decodable>(_ bytes: [UInt8]) throws(ClientError) -> Value {
    do {
        return try JSONText.decode(Value.self, from: bytes)
    } catch DecodingError.keyNotFound(let key, _) {
        throw .protocolViolation("the daemon's answer lacks \"\(key.stringValue)\"")
    } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
        let path = context.codingPath.map(\.stringValue).joined(separator: ".")
        throw .protocolViolation("the daemon's answer has a wrong value at \"\(path)\"")
    } catch {
        throw .protocolViolation("the daemon's answer is not JSON")
    }
}

/// Writes one JSON object on one line, keys sorted.
public func encodeJSON(_ value: some Encodable) throws(ClientError) -> [UInt8] {
    do {
        return try JSONText.encode(value)
    } catch {
        throw .protocolViolation("a value cannot be written as JSON (\(error))")
    }
}
