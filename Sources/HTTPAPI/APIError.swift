// A failed request as its client sees it: an HTTP status and an OpenAI-shaped error object with a stable code.

import API
import EngineInterface
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore
import NIOHTTP1

/// An error that can be sent.
struct APIError: Error, Equatable, Sendable {
    var status: HTTPResponse.Status
    var code: String
    var message: String
    /// The request's field that is wrong.
    var param: String?
    var retryAfterSeconds: Int?
    var allowedMethods: String?

    init(_ status: HTTPResponse.Status, _ code: String, _ message: String, param: String? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.param = param
    }

    /// The class of the error, as OpenAI's clients know it.
    var type: String {
        switch status.code {
        case 403: "permission_error"
        case 404: "not_found_error"
        case 429: "rate_limit_error"
        case 500...: "server_error"
        default: "invalid_request_error"
        }
    }

    /// What the engine says, with the status its kind stands for.
    init(_ error: EngineError) {
        switch error {
        case .invalid: self.init(.badRequest, error.code, error.message, param: error.parameter)
        case .notFound: self.init(.notFound, error.code, error.message)
        case .conflict: self.init(.conflict, error.code, error.message)
        case .gone: self.init(.gone, error.code, error.message)
        case .unacceptable: self.init(.unprocessableContent, error.code, error.message)
        case .busy(let message, let seconds): self = .busy(message, retryAfterSeconds: max(1, seconds))
        case .insufficientStorage: self.init(.init(code: 507), error.code, error.message)
        case .unavailable:
            self.init(.serviceUnavailable, error.code, error.message)
            retryAfterSeconds = Self.restartSeconds
        case .shuttingDown: self = .shuttingDown
        case .cancelled: self = .cancelled
        case .internalFailure: self.init(.internalServerError, error.code, error.message)
        }
    }

    /// Whatever was thrown, without showing a client what only the log should know.
    init(_ error: any Error) {
        switch error {
        case let error as APIError: self = error
        case let error as RequestError: self.init(.badRequest, error.code, error.message, param: error.param)
        case let error as EngineError: self.init(error)
        case let error as HTTPError where error.status == .notFound:
            self.init(.notFound, "route_not_found", "there is no such path; the README lists the paths of the API")
        case let error as HTTPError:
            self.init(error.status, "invalid_request", error.body ?? error.status.reasonPhrase)
        case is CancellationError, is IOError, is ChannelError, HTTPParserError.invalidEOFState:
            // The client went away, in the middle of its request or before its answer.
            self = .cancelled
        default: self.init(.internalServerError, "internal", "caked failed; its log says why")
        }
    }

    /// A restart takes about as long as mapping the model.
    private static let restartSeconds = 5

    static let shuttingDown = {
        var error = APIError(.serviceUnavailable, EngineError.shuttingDown.code, EngineError.shuttingDown.message)
        error.retryAfterSeconds = restartSeconds
        return error
    }()

    /// All connections are taken, most of them by the user who makes one more.
    static let noPlace = {
        var error = APIError(
            .serviceUnavailable, "busy",
            "all connections are in use, most of them by you: close some, or try again shortly")
        error.retryAfterSeconds = 1
        return error
    }()

    static func slowBody(_ limits: ServerLimits) -> APIError {
        APIError(
            .requestTimeout, "request_timeout",
            "the body came too slowly: it may stall for \(Int(limits.bodyGraceSeconds)) s, and must come at "
                + "\(limits.bodyBytesPerSecond) bytes a second or more; send it from a file")
    }

    /// Nobody is left to read it; the status is nginx's for the same.
    static let cancelled = APIError(
        .init(code: 499, reasonPhrase: "Client Closed Request"), EngineError.cancelled.code,
        EngineError.cancelled.message)

    static func bodyTooLarge(limitBytes: Int) -> APIError {
        APIError(.contentTooLarge, "body_too_large", "the body is larger than the limit of \(limitBytes) bytes")
    }

    static func busy(_ message: String, retryAfterSeconds: Int) -> APIError {
        var error = APIError(.tooManyRequests, "busy", message)
        error.retryAfterSeconds = retryAfterSeconds
        return error
    }

    static func methodNotAllowed(_ allowed: String) -> APIError {
        var error = APIError(.methodNotAllowed, "method_not_allowed", "this path takes \(allowed)")
        error.allowedMethods = allowed
        return error
    }

    /// The error object's bytes, `{"error":{…}}`.
    var body: [UInt8] {
        JSONText.bytes(ErrorBody(error: .init(message: message, type: type, param: param, code: code)))
    }

    /// The whole answer.
    var response: Response {
        var headers: HTTPFields = [.contentType: "application/json"]
        if let retryAfterSeconds { headers[.retryAfter] = String(retryAfterSeconds) }
        if let allowedMethods { headers[.allow] = allowedMethods }
        // OpenAI's clients repeat a 409 by themselves; a mismatch does not go away by asking again.
        if status == .conflict { headers[.shouldRetry] = "false" }
        return Response(status: status, headers: headers, body: .init(byteBuffer: .init(bytes: body)))
    }
}

extension HTTPField.Name {
    /// Tells OpenAI's clients whether to repeat a request.
    ///
    /// The literal is a valid field name.
    static let shouldRetry = HTTPField.Name("x-should-retry") ?? .retryAfter
}
