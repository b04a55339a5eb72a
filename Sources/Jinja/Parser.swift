// Statements from tokens.

/// A recursive-descent parser of jinja2's grammar (`parser.py`).
struct Parser {
    private let tokens: [Token]
    private var position = 0
    private var nesting = 0

    /// The statements of a source.
    static func statements(of source: String) throws(JinjaError) -> [Statement] {
        guard source.utf8.count <= Bounds.sourceBytes else {
            throw JinjaError(.limit, "the template is longer than \(Bounds.sourceBytes) bytes")
        }
        var parser = Parser(tokens: try Lexer.tokens(of: source))
        let body = try parser.body(until: [])
        guard parser.current == .end else { throw parser.unexpected() }
        return body
    }

    private init(tokens: [Token]) { self.tokens = tokens }

    // MARK: Tokens

    var current: Token.Kind { tokens[position].kind }
    var following: Token.Kind { tokens[min(position + 1, tokens.count - 1)].kind }
    var line: Int { tokens[position].line }

    mutating func advance(_ count: Int = 1) { position = min(position + count, tokens.count - 1) }

    func isName(_ name: String) -> Bool { current == .name(name) }

    func isSymbol(_ symbol: String) -> Bool { current == .symbol(symbol) }

    mutating func skips(name: String) -> Bool {
        let isThere = isName(name)
        if isThere { advance() }
        return isThere
    }

    mutating func skips(symbol: String) -> Bool {
        let isThere = isSymbol(symbol)
        if isThere { advance() }
        return isThere
    }

    mutating func expect(symbol: String) throws(JinjaError) {
        guard skips(symbol: symbol) else { throw unexpected(wanted: "\"\(symbol)\"") }
    }

    mutating func expectName() throws(JinjaError) -> String {
        guard case .name(let name) = current else { throw unexpected(wanted: "a name") }
        advance()
        return name
    }

    mutating func expectBlockEnd() throws(JinjaError) {
        guard current == .blockEnd else { throw unexpected(wanted: "%}") }
        advance()
    }

    func unexpected(wanted: String? = nil) -> JinjaError {
        let found =
            switch current {
            case .data: "text"
            case .blockBegin: "{%"
            case .blockEnd: "%}"
            case .variableBegin: "{{"
            case .variableEnd: "}}"
            case .name(let name): "\"\(name)\""
            case .string: "a string"
            case .integer, .float: "a number"
            case .symbol(let symbol): "\"\(symbol)\""
            case .end: "the end of the template"
            }
        return JinjaError(.syntax, line: line, "unexpected \(found)" + (wanted.map { ", expected \($0)" } ?? ""))
    }

    /// Parses something one level deeper.
    mutating func nested<Result>(
        _ parse: (inout Parser) throws(JinjaError) -> Result
    ) throws(JinjaError) -> Result {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= Bounds.nesting else {
            throw JinjaError(.limit, line: line, "the template nests deeper than \(Bounds.nesting) levels")
        }
        return try parse(&self)
    }

    // MARK: Statements

    /// Statements up to a block that begins with one of these names, which becomes the current token.
    private mutating func body(until ends: [String]) throws(JinjaError) -> [Statement] {
        var statements: [Statement] = []
        while true {
            let line = line
            switch current {
            case .end:
                if ends.isEmpty { return statements }
                throw unexpected(wanted: ends.map { "{% \($0) %}" }.joined(separator: " or "))
            case .data(let text):
                advance()
                statements.append(Statement(line: line, kind: .data(text)))
            case .variableBegin:
                advance()
                let value = try tuple()
                guard current == .variableEnd else { throw unexpected(wanted: "}}") }
                advance()
                statements.append(Statement(line: line, kind: .output(value)))
            case .blockBegin:
                advance()
                if case .name(let name) = current, ends.contains(name) { return statements }
                let kind = try nested { parser throws(JinjaError) in try parser.statement() }
                if let kind { statements.append(Statement(line: line, kind: kind)) }
                try expectBlockEnd()
            default: throw unexpected()
            }
        }
    }

    /// The body of a block, up to its end, which is consumed but for its `%}`.
    private mutating func block(endingWith end: String) throws(JinjaError) -> [Statement] {
        try expectBodyStart()
        let body = try body(until: [end])
        advance()
        return body
    }

    private mutating func expectBodyStart() throws(JinjaError) {
        _ = skips(symbol: ":")
        try expectBlockEnd()
    }

    private mutating func statement() throws(JinjaError) -> Statement.Kind? {
        let name = try expectName()
        switch name {
        case "if": return try condition()
        case "for": return try loop()
        case "set": return try set()
        case "macro":
            let name = try expectName()
            let parameters = try parameters()
            return .macro(try macro(name: name, parameters: parameters, end: "endmacro"))
        case "call": return try callBlock()
        case "filter":
            let filters = try filters(startsInline: true)
            return .filterBlock(filters, try block(endingWith: "endfilter"))
        case "with": return try with()
        case "break": return .breakLoop
        case "continue": return .continueLoop
        case "generation": return .scope(try block(endingWith: "endgeneration"))
        case "print": return .output(try tuple())
        case "block":
            _ = try expectName()
            let body = try block(endingWith: "endblock")
            if case .name = current { advance() }
            return .scope(body)
        case "autoescape":
            _ = try expression()
            return .scope(try block(endingWith: "endautoescape"))
        default:
            throw JinjaError(.unsupported, line: line, "the statement \"\(name)\" is not supported")
        }
    }

    private mutating func condition() throws(JinjaError) -> Statement.Kind {
        var branches: [Statement.Branch] = []
        while true {
            let condition = try tuple(takesConditional: false)
            try expectBodyStart()
            branches.append(
                Statement.Branch(condition: condition, body: try body(until: ["elif", "else", "endif"])))
            if skips(name: "elif") { continue }
            if skips(name: "else") { return .condition(branches, otherwise: try block(endingWith: "endif")) }
            advance()
            return .condition(branches, otherwise: [])
        }
    }

    private mutating func loop() throws(JinjaError) -> Statement.Kind {
        let target = try target(endsAtIn: true)
        guard skips(name: "in") else { throw unexpected(wanted: "\"in\"") }
        let sequence = try tuple(takesConditional: false)
        let filter = skips(name: "if") ? try expression() : nil
        if isName("recursive") { throw JinjaError(.unsupported, line: line, "recursive loops are not supported") }
        try expectBodyStart()
        let body = try body(until: ["endfor", "else"])
        var otherwise: [Statement] = []
        if skips(name: "else") { otherwise = try block(endingWith: "endfor") } else { advance() }
        return .loop(
            Statement.Loop(target: target, sequence: sequence, filter: filter, body: body, otherwise: otherwise))
    }

    private mutating func set() throws(JinjaError) -> Statement.Kind {
        let target = try target(takesAttributes: true)
        if skips(symbol: "=") { return .set(target, try tuple()) }
        let filters = try filters(startsInline: false)
        return .setBlock(target, filters, try block(endingWith: "endset"))
    }

    private mutating func with() throws(JinjaError) -> Statement.Kind {
        var values: [(Target, Expression)] = []
        while current != .blockEnd {
            if !values.isEmpty { try expect(symbol: ",") }
            let target = try target()
            try expect(symbol: "=")
            values.append((target, try expression()))
        }
        return .with(values, try block(endingWith: "endwith"))
    }

    private mutating func callBlock() throws(JinjaError) -> Statement.Kind {
        let parameters = isSymbol("(") ? try parameters() : []
        let line = line
        let call = try expression()
        guard case .postfixed(_, let postfixes) = call, case .call = postfixes.last else {
            throw JinjaError(.syntax, line: line, "a call block must call something")
        }
        return .callBlock(try macro(name: "caller", parameters: parameters, end: "endcall"), call)
    }

    private mutating func macro(
        name: String, parameters: [Statement.Parameter], end: String
    ) throws(JinjaError) -> Statement.Macro {
        let start = position
        let body = try block(endingWith: end)
        let names = tokens[start..<position].map(\.kind)
        return Statement.Macro(
            name: name, parameters: parameters, body: body, takesMore: names.contains(.name("varargs")),
            takesMoreNamed: names.contains(.name("kwargs")))
    }

    private mutating func parameters() throws(JinjaError) -> [Statement.Parameter] {
        try expect(symbol: "(")
        var parameters: [Statement.Parameter] = []
        while !isSymbol(")") {
            if !parameters.isEmpty { try expect(symbol: ",") }
            let name = try expectName()
            let standard = skips(symbol: "=") ? try expression() : nil
            if standard == nil, parameters.last?.standard != nil {
                throw JinjaError(.syntax, line: line, "a parameter without a default follows one with a default")
            }
            parameters.append(Statement.Parameter(name: name, standard: standard))
        }
        advance()
        return parameters
    }

    /// What is assigned to: a name, names with commas between them, or where it is allowed an attribute.
    private mutating func target(endsAtIn: Bool = false, takesAttributes: Bool = false) throws(JinjaError) -> Target {
        var targets: [Target] = []
        var isTuple = false
        while true {
            if !targets.isEmpty, isSymbol("=") || current == .blockEnd || (endsAtIn && isName("in")) { break }
            targets.append(try singleTarget(takesAttributes: takesAttributes))
            guard skips(symbol: ",") else { break }
            isTuple = true
        }
        return isTuple ? .tuple(targets) : targets[0]
    }

    private mutating func singleTarget(takesAttributes: Bool) throws(JinjaError) -> Target {
        if skips(symbol: "(") {
            let inner = try nested { parser throws(JinjaError) in
                try parser.target(takesAttributes: takesAttributes)
            }
            try expect(symbol: ")")
            return inner
        }
        let name = try expectName()
        if ["true", "false", "none", "True", "False", "None"].contains(name) {
            throw JinjaError(.syntax, line: line, "nothing can be assigned to \"\(name)\"")
        }
        if takesAttributes, skips(symbol: ".") { return .attribute(of: name, try expectName()) }
        return .name(name)
    }
}
