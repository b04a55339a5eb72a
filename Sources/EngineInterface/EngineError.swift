// What can go wrong with a request, each with the stable code a client may act on.

import API

/// A failed request: its kind decides the HTTP status, its code never changes, its message names the cause and the
/// mend.
public enum EngineError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The request itself is wrong (HTTP 400).
    case invalid(code: String, message: String, parameter: String?)
    /// What the request names does not exist for this caller (HTTP 404).
    case notFound(code: String, message: String)
    /// The document cannot be used as things are, for example with another model than it was written with (HTTP 409).
    case conflict(code: String, message: String)
    /// The document is there and cannot be used any more: it is damaged (HTTP 410).
    case gone(code: String, message: String)
    /// The request is sound, and what it leads to is not good enough (HTTP 422).
    case unacceptable(code: String, message: String)
    /// A bounded queue is full (HTTP 429).
    case busy(message: String, retryAfterSeconds: Int)
    /// The store has no room (HTTP 507).
    case insufficientStorage(message: String)
    /// What the daemon works with was changed under it: nothing is answered or stored until it is right (HTTP 503).
    case unavailable(code: String, message: String)
    /// The daemon is shutting down (HTTP 503).
    case shuttingDown
    /// The caller went away.
    case cancelled
    /// A fault on our side (HTTP 500).
    case internalFailure(message: String)

    /// The stable code of the API's error object.
    public var code: String {
        switch self {
        case .invalid(let code, _, _), .notFound(let code, _), .conflict(let code, _), .gone(let code, _),
            .unacceptable(let code, _), .unavailable(let code, _):
            code
        case .busy: "busy"
        case .insufficientStorage: "insufficient_storage"
        case .shuttingDown: "shutting_down"
        case .cancelled: "cancelled"
        case .internalFailure: "internal"
        }
    }

    /// What happened and what to do about it, for a person.
    public var message: String {
        switch self {
        case .invalid(_, let message, _), .notFound(_, let message), .conflict(_, let message),
            .gone(_, let message), .unacceptable(_, let message), .busy(let message, _),
            .insufficientStorage(let message), .unavailable(_, let message), .internalFailure(let message):
            message
        case .shuttingDown: "caked is shutting down; ask again when it is back"
        case .cancelled: "the request was cancelled by its client"
        }
    }

    /// The request's field that is wrong, if one is.
    public var parameter: String? {
        if case .invalid(_, _, let parameter) = self { parameter } else { nil }
    }

    /// The code and the message, for logs.
    public var description: String { "\(code): \(message)" }
}

extension EngineError {
    /// What is wrong with a request whatever the document and the model are.
    public init(_ error: RequestError) {
        self = .invalid(code: error.code, message: error.message, parameter: error.param)
    }
}
