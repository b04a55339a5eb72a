// A template, parsed once and rendered any number of times.

/// A jinja template.
///
/// It behaves as jinja2 3.1 does with the settings of Hugging Face's transformers: blocks take the newline after them
/// and the white space before them, nothing is escaped, `break` and `continue` are there, and so are
/// `raise_exception`, `strftime_now` and a `tojson` that leaves letters as they are. Its source may come from
/// anywhere: it can do nothing but write text, within `Bounds`.
public struct Template: Sendable {
    private let statements: [Statement]

    /// Parses a source; throws what is wrong with it.
    public init(_ source: String) throws(JinjaError) {
        statements = try Parser.statements(of: source)
    }

    /// What the template writes.
    ///
    /// - Parameters:
    ///   - variables: what it finds under which name; later ones go over earlier ones.
    ///   - now: what `strftime_now` tells.
    public func render(_ variables: [Datum.Entry], now: Moment) throws(JinjaError) -> Text {
        try Interpreter.render(statements, variables: variables, now: now)
    }
}
