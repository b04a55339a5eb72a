// What is wrong with a request, and the object in which a client hears of any error.

/// A request that cannot be meant: HTTP's 400, with a stable code and the field that is wrong.
public struct RequestError: Error, Equatable, Sendable {
    /// The stable code.
    public var code: String
    /// What is wrong and what would be right, for a person.
    public var message: String
    /// The field that is wrong.
    public var param: String?

    /// All three parts.
    public init(_ code: String, _ message: String, param: String? = nil) {
        (self.code, self.message, self.param) = (code, message, param)
    }

    /// A field with a value that will not do.
    public static func invalid(_ message: String, param: String?) -> RequestError {
        RequestError("invalid_parameter", message, param: param)
    }

    /// A field that asks for what caked cannot do.
    public static func unsupported(_ message: String, param: String) -> RequestError {
        RequestError("unsupported_parameter", message, param: param)
    }
}

/// The body of an answer that is an error, as OpenAI's clients know it.
public struct ErrorBody: Codable, Equatable, Sendable {
    /// The error itself.
    public struct Fields: Codable, Equatable, Sendable {
        /// What happened and what to do about it.
        public var message: String
        /// The class of the error.
        public var type: String?
        /// The request's field that is wrong.
        public var param: String?
        /// The stable code.
        public var code: String?

        /// All four fields.
        public init(message: String, type: String?, param: String?, code: String?) {
            (self.message, self.type, self.param, self.code) = (message, type, param, code)
        }

        enum CodingKeys: CodingKey { case message, type, param, code }

        /// Every field, null where it is absent, as OpenAI sends it.
        public func encode(to encoder: any Encoder) throws {
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encode(message, forKey: .message)
            try fields.encode(type, forKey: .type)
            try fields.encode(param, forKey: .param)
            try fields.encode(code, forKey: .code)
        }
    }

    /// The error itself.
    public var error: Fields

    /// The one field.
    public init(error: Fields) { self.error = error }
}
