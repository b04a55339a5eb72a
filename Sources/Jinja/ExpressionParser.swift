// Expressions from tokens, with the precedence of jinja2: or, and, not, comparisons, + -, ~, * / // %, **, signs,
// postfixes.

extension Parser {
    /// An expression, or several with commas between them, which make a tuple.
    mutating func tuple(takesConditional: Bool = true) throws(JinjaError) -> Expression {
        let first = try expression(takesConditional: takesConditional)
        guard isSymbol(",") else { return first }
        var elements = [first]
        while skips(symbol: ",") {
            switch current {
            case .blockEnd, .variableEnd, .symbol(")"): return .tuple(elements)
            default: elements.append(try expression(takesConditional: takesConditional))
            }
        }
        return .tuple(elements)
    }

    /// An expression.
    mutating func expression(takesConditional: Bool = true) throws(JinjaError) -> Expression {
        try nested { parser throws(JinjaError) in
            takesConditional ? try parser.conditional() : try parser.disjunction()
        }
    }

    private mutating func conditional() throws(JinjaError) -> Expression {
        var value = try disjunction()
        var count = 0
        while skips(name: "if") {
            count += 1
            guard count <= Bounds.nesting else {
                throw JinjaError(.limit, line: line, "a value has more than \(Bounds.nesting) conditions")
            }
            let condition = try disjunction()
            let otherwise = skips(name: "else") ? try expression() : nil
            value = .conditional(condition: condition, then: value, otherwise: otherwise)
        }
        return value
    }

    private mutating func disjunction() throws(JinjaError) -> Expression {
        let first = try conjunction()
        guard isName("or") else { return first }
        var parts = [first]
        while skips(name: "or") { parts.append(try conjunction()) }
        return .any(parts)
    }

    private mutating func conjunction() throws(JinjaError) -> Expression {
        let first = try negation()
        guard isName("and") else { return first }
        var parts = [first]
        while skips(name: "and") { parts.append(try negation()) }
        return .all(parts)
    }

    private mutating func negation() throws(JinjaError) -> Expression {
        guard skips(name: "not") else { return try comparison() }
        return .not(try nested { parser throws(JinjaError) in try parser.negation() })
    }

    private mutating func comparison() throws(JinjaError) -> Expression {
        let first = try sum()
        var operations: [Expression.Operation] = []
        while let found = comparisonOperator() {
            operations.append(Expression.Operation(operator: found, operand: try sum()))
        }
        return operations.isEmpty ? first : .comparison(first, operations)
    }

    private mutating func comparisonOperator() -> Expression.Operator? {
        switch current {
        case .symbol(let symbol):
            guard ["==", "!=", "<", "<=", ">", ">="].contains(symbol) else { return nil }
            advance()
            return Expression.Operator(rawValue: symbol)
        case .name("in"):
            advance()
            return .in
        case .name("not") where following == .name("in"):
            advance(2)
            return .notIn
        default: return nil
        }
    }

    private mutating func sum() throws(JinjaError) -> Expression {
        let first = try concatenation()
        var operations: [Expression.Operation] = []
        while case .symbol(let symbol) = current, symbol == "+" || symbol == "-" {
            advance()
            operations.append(
                Expression.Operation(operator: symbol == "+" ? .add : .subtract, operand: try concatenation()))
        }
        return operations.isEmpty ? first : .arithmetic(first, operations)
    }

    private mutating func concatenation() throws(JinjaError) -> Expression {
        let first = try product()
        guard isSymbol("~") else { return first }
        var parts = [first]
        while skips(symbol: "~") { parts.append(try product()) }
        return .concat(parts)
    }

    private mutating func product() throws(JinjaError) -> Expression {
        let first = try power()
        var operations: [Expression.Operation] = []
        while case .symbol(let symbol) = current, ["*", "/", "//", "%"].contains(symbol) {
            advance()
            guard let found = Expression.Operator(rawValue: symbol) else { throw unexpected() }
            operations.append(Expression.Operation(operator: found, operand: try power()))
        }
        return operations.isEmpty ? first : .arithmetic(first, operations)
    }

    private mutating func power() throws(JinjaError) -> Expression {
        let first = try signed()
        var operations: [Expression.Operation] = []
        while skips(symbol: "**") {
            operations.append(Expression.Operation(operator: .power, operand: try signed()))
        }
        return operations.isEmpty ? first : .arithmetic(first, operations)
    }

    private mutating func signed(takesFilters: Bool = true) throws(JinjaError) -> Expression {
        var value: Expression
        if isSymbol("-") || isSymbol("+") {
            let isNegative = isSymbol("-")
            advance()
            let operand = try nested { parser throws(JinjaError) in try parser.signed(takesFilters: false) }
            value = isNegative ? .negative(operand) : .positive(operand)
        } else {
            value = try primary()
        }
        var postfixes: [Expression.Postfix] = []
        while let postfix = try postfix() { postfixes.append(postfix) }
        while takesFilters, let postfix = try filterOrTest() { postfixes.append(postfix) }
        return postfixes.isEmpty ? value : .postfixed(value, postfixes)
    }

    // MARK: Values

    private mutating func primary() throws(JinjaError) -> Expression {
        let token = current
        switch token {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return .bool(true)
            case "false", "False": return .bool(false)
            case "none", "None": return .none
            default: return .name(name)
            }
        case .string:
            var text = Text("")
            while case .string(let part) = current {
                text.letters += part.letters
                advance()
            }
            return .text(text)
        case .integer(let value):
            advance()
            return .integer(value)
        case .float(let value):
            advance()
            return .float(value)
        case .symbol("("):
            advance()
            if skips(symbol: ")") { return .tuple([]) }
            let value = try tuple()
            try expect(symbol: ")")
            return value
        case .symbol("["):
            advance()
            return .list(try expressions(until: "]"))
        case .symbol("{"):
            advance()
            return try dict()
        default: throw unexpected(wanted: "a value")
        }
    }

    private mutating func expressions(until end: String) throws(JinjaError) -> [Expression] {
        var elements: [Expression] = []
        while !isSymbol(end) {
            if !elements.isEmpty {
                try expect(symbol: ",")
                if isSymbol(end) { break }
            }
            elements.append(try expression())
        }
        advance()
        return elements
    }

    private mutating func dict() throws(JinjaError) -> Expression {
        var entries: [Expression.Entry] = []
        while !isSymbol("}") {
            if !entries.isEmpty {
                try expect(symbol: ",")
                if isSymbol("}") { break }
            }
            let key = try expression()
            try expect(symbol: ":")
            entries.append(Expression.Entry(key: key, value: try expression()))
        }
        advance()
        return .dict(entries)
    }

    // MARK: Postfixes

    private mutating func postfix() throws(JinjaError) -> Expression.Postfix? {
        switch current {
        case .symbol("."):
            advance()
            if case .integer(let index) = current {
                advance()
                return .item(.integer(index))
            }
            return .attribute(try expectName())
        case .symbol("["):
            advance()
            return try subscripted()
        case .symbol("("): return .call(try arguments())
        default: return nil
        }
    }

    private mutating func filterOrTest() throws(JinjaError) -> Expression.Postfix? {
        if isSymbol("|") {
            advance()
            return .filter(try filter())
        }
        if skips(name: "is") { return try test() }
        return isSymbol("(") ? .call(try arguments()) : nil
    }

    private mutating func subscripted() throws(JinjaError) -> Expression.Postfix {
        let start = isSymbol(":") ? nil : try expression()
        guard skips(symbol: ":") else {
            guard let start else { throw unexpected(wanted: "an index") }
            guard isSymbol(",") else {
                try expect(symbol: "]")
                return .item(start)
            }
            var elements = [start]
            while skips(symbol: ",") { elements.append(try expression()) }
            try expect(symbol: "]")
            return .item(.tuple(elements))
        }
        let end = isSymbol(":") || isSymbol("]") ? nil : try expression()
        var step: Expression?
        if skips(symbol: ":"), !isSymbol("]") { step = try expression() }
        try expect(symbol: "]")
        return .slice(start, end, step)
    }

    private mutating func arguments() throws(JinjaError) -> Expression.Arguments {
        let line = line
        try expect(symbol: "(")
        var arguments = Expression.Arguments()
        var isFirst = true
        while !isSymbol(")") {
            if !isFirst {
                try expect(symbol: ",")
                if isSymbol(")") { break }
            }
            isFirst = false
            let isPlain = arguments.named.isEmpty && arguments.unpackedList == nil
            if skips(symbol: "*") {
                arguments.unpackedList = try expression()
            } else if skips(symbol: "**") {
                arguments.unpackedDict = try expression()
            } else if case .name(let name) = current, following == .symbol("=") {
                advance(2)
                arguments.named.append((name, try expression()))
            } else {
                guard isPlain, arguments.unpackedDict == nil else {
                    throw JinjaError(.syntax, line: line, "an argument without a name follows one with a name")
                }
                arguments.positional.append(try expression())
            }
        }
        advance()
        return arguments
    }

    /// Filters with bars between them; in a filter block the first has none.
    mutating func filters(startsInline: Bool) throws(JinjaError) -> [Expression.Filter] {
        var filters: [Expression.Filter] = []
        if startsInline { filters.append(try filter()) }
        while skips(symbol: "|") { filters.append(try filter()) }
        return filters
    }

    private mutating func filter() throws(JinjaError) -> Expression.Filter {
        var name = try expectName()
        while skips(symbol: ".") { name += "." + (try expectName()) }
        return Expression.Filter(name: name, arguments: isSymbol("(") ? try arguments() : .init())
    }

    private mutating func test() throws(JinjaError) -> Expression.Postfix {
        let isNegated = skips(name: "not")
        let name = try expectName()
        var arguments = Expression.Arguments()
        switch current {
        case .symbol("("): arguments = try self.arguments()
        case .name("else"), .name("or"), .name("and"), .name("if"), .name("not"): break
        case .name("is"): throw JinjaError(.syntax, line: line, "tests cannot be chained with \"is\"")
        case .name, .string, .integer, .float, .symbol("["), .symbol("{"):
            let value = try primary()
            var postfixes: [Expression.Postfix] = []
            while let postfix = try postfix() { postfixes.append(postfix) }
            arguments.positional = [postfixes.isEmpty ? value : .postfixed(value, postfixes)]
        default: break
        }
        return .test(name: name, arguments, isNegated: isNegated)
    }
}
