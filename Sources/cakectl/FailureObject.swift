// Errors as JSON, in the shape that the daemon gives them.
import API
import CakedClient
import TextFiles

/// The object around an error.
struct ErrorReply: Encodable {
    /// What the daemon says of an error, or would.
    struct Object: Encodable, Equatable {
        var code: String
        var message: String
        var param: String?
        /// The HTTP status; nil where no daemon answered.
        var status: Int?
    }

    var error: Object
}

/// An error that can be said as an object.
protocol FailureObject: Error, CustomStringConvertible {
    var object: ErrorReply.Object { get }
}

extension ClientError: FailureObject {
    var object: ErrorReply.Object {
        if case .api(let status, let code, let message, let param, _) = self {
            return ErrorReply.Object(code: code, message: message, param: param, status: status)
        }
        let code =
            switch self {
            case .unreachable: "unreachable"
            case .backlogFull: "busy"
            case .permissionDenied: "permission_denied"
            case .timedOut: "timed_out"
            case .invalidName: "invalid_name"
            case .notUTF8, .emptyDocument, .unreadable: "unreadable"
            case .unwritable: "unwritable"
            case .cancelled: "cancelled"
            default: "failed"
            }
        return ErrorReply.Object(code: code, message: description)
    }
}

extension TextFileError: FailureObject {
    var object: ErrorReply.Object {
        if case .client(let error) = self { return error.object }
        let code =
            switch self {
            case .missingProgram: "missing_program"
            case .noText, .emptyText: "no_text"
            case .failed, .tookTooLong: "conversion_failed"
            case .sameName: "invalid_name"
            default: "unreadable"
            }
        return ErrorReply.Object(code: code, message: description)
    }
}
