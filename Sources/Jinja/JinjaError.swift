// What can go wrong with a template: in its source, while it runs, or because it asks for too much.

/// An error of a template; its description names the line and the cause.
public struct JinjaError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What went wrong.
    public enum Kind: Sendable, Equatable {
        /// The source is no jinja.
        case syntax
        /// Something undefined was used (jinja2 `UndefinedError`).
        case undefined
        /// A value of the wrong type or content (Python `TypeError`, `ValueError`).
        case value
        /// The template refused the input with `raise_exception`; the message is its own.
        case raised
        /// A statement, filter, test or method that isn't supported.
        case unsupported
        /// The template exceeds a bound on steps, nesting, memory or output.
        case limit
    }

    /// What went wrong.
    public let kind: Kind
    /// Line of the template, from 1.
    public let line: Int
    /// The cause, without the line.
    public let message: String

    init(_ kind: Kind, line: Int = 0, _ message: String) {
        (self.kind, self.line, self.message) = (kind, line, message)
    }

    /// The line and the cause.
    public var description: String { line > 0 ? "line \(line): \(message)" : message }

    /// The same error on a line, where it doesn't know one yet.
    func at(line: Int) -> JinjaError { self.line > 0 ? self : JinjaError(kind, line: line, message) }
}
