// Runs statements.

/// The state of one rendering.
final class Interpreter {
    /// What a statement does to the loop around it.
    private enum Flow {
        case goesOn, breaks, continues
    }

    let now: Moment
    var budget: Budget
    var scope: Scope
    private var boxes: [Box] = []
    private var output: [Text.Letter] = []
    private var depth = 0

    static func render(
        _ statements: [Statement], variables: [Datum.Entry], now: Moment
    ) throws(JinjaError) -> Text {
        let interpreter = Interpreter(now: now, inputLetters: variables.reduce(0) { $0 + $1.value.letters })
        defer { for box in interpreter.boxes { box.empty() } }
        for entry in variables {
            interpreter.scope.names[entry.key] = try interpreter.value(of: entry.value)
        }
        // Its own scope, so that what a template sets doesn't go over what it was given.
        interpreter.scope = try interpreter.registered(Scope(in: interpreter.scope))
        _ = try interpreter.run(statements)
        return Text(letters: interpreter.output)
    }

    private init(now: Moment, inputLetters: Int) {
        self.now = now
        budget = Budget(inputLetters: inputLetters)
        scope = Scope(in: nil)
        boxes.append(scope)
        for function in Value.Function.allCases { scope.names[function.rawValue] = .function(function) }
    }

    // MARK: Making values

    func registered<B: Box>(_ box: B, elements: Int = 0) throws(JinjaError) -> B {
        try budget.box(elements)
        boxes.append(box)
        return box
    }

    func list(_ elements: [Value]) throws(JinjaError) -> Value {
        .list(try registered(ListBox(elements), elements: elements.count))
    }

    func tuple(_ elements: [Value]) throws(JinjaError) -> Value {
        .tuple(try registered(ListBox(elements), elements: elements.count))
    }

    func generator(_ elements: [Value]) throws(JinjaError) -> Value {
        .generator(try registered(ListBox(elements), elements: elements.count))
    }

    func text(_ text: Text) throws(JinjaError) -> Value {
        try budget.text(text.count)
        return .text(text)
    }

    private func value(of datum: Datum) throws(JinjaError) -> Value {
        switch datum {
        case .none: return .none
        case .bool(let value): return .bool(value)
        case .integer(let value): return .integer(value)
        case .float(let value): return .float(value)
        case .text(let text): return .text(text)
        case .list(let elements):
            var values: [Value] = []
            for element in elements { values.append(try value(of: element)) }
            return try list(values)
        case .dict(let entries):
            let box = try registered(DictBox(), elements: entries.count)
            for entry in entries { box.set(entry.key, try value(of: entry.value)) }
            return .dict(box)
        }
    }

    // MARK: Nesting

    /// Runs something one level deeper.
    func nested<Result>(_ body: () throws(JinjaError) -> Result) throws(JinjaError) -> Result {
        try budget.step()
        depth += 1
        defer { depth -= 1 }
        guard depth <= Bounds.depth else {
            throw JinjaError(.limit, "the template recurses deeper than \(Bounds.depth) levels")
        }
        return try body()
    }

    /// Runs something in a scope of its own.
    private func scoped<Result>(
        in outer: Scope? = nil, _ body: () throws(JinjaError) -> Result
    ) throws(JinjaError) -> Result {
        let saved = scope
        defer { scope = saved }
        scope = try registered(Scope(in: outer ?? saved))
        return try body()
    }

    /// What something writes, instead of writing it.
    private func captured(_ body: () throws(JinjaError) -> Void) throws(JinjaError) -> Text {
        let saved = output
        defer { output = saved }
        output = []
        try body()
        return Text(letters: output)
    }

    // MARK: Statements

    private func run(_ statements: [Statement]) throws(JinjaError) -> Flow {
        for statement in statements {
            do throws(JinjaError) {
                let flow = try nested { () throws(JinjaError) in try run(statement.kind) }
                if flow != .goesOn { return flow }
            } catch {
                throw error.at(line: statement.line)
            }
        }
        return .goesOn
    }

    private func run(_ kind: Statement.Kind) throws(JinjaError) -> Flow {
        switch kind {
        case .data(let text): try write(text)
        case .output(let expression): try write(string(try evaluate(expression)))
        case .set(let target, let expression): try assign(try evaluate(expression), to: target)
        case .setBlock(let target, let filters, let body): try setBlock(target, filters, body)
        case .condition(let branches, let otherwise): return try condition(branches, otherwise)
        case .loop(let loop): return try self.loop(loop)
        case .macro(let macro):
            scope.names[macro.name] = .macro(try registered(MacroBox(macro, in: scope)))
        case .callBlock(let caller, let call): try callBlock(caller, call)
        case .filterBlock(let filters, let body): try write(try filtered(body, by: filters))
        case .with(let values, let body): return try with(values, body)
        case .scope(let body): return try scoped { () throws(JinjaError) in try run(body) }
        case .breakLoop: return .breaks
        case .continueLoop: return .continues
        }
        return .goesOn
    }

    private func write(_ text: Text) throws(JinjaError) {
        try budget.output(text.count)
        output += text.letters
    }

    private func condition(
        _ branches: [Statement.Branch], _ otherwise: [Statement]
    ) throws(JinjaError) -> Flow {
        for branch in branches where try evaluate(branch.condition).isTrue { return try run(branch.body) }
        return try run(otherwise)
    }

    private func setBlock(
        _ target: Target, _ filters: [Expression.Filter], _ body: [Statement]
    ) throws(JinjaError) {
        try assign(.text(try filtered(body, by: filters)), to: target)
    }

    private func filtered(_ body: [Statement], by filters: [Expression.Filter]) throws(JinjaError) -> Text {
        let written = try captured { () throws(JinjaError) in
            _ = try scoped { () throws(JinjaError) in try run(body) }
        }
        var value = Value.text(written)
        for filter in filters { value = try self.filtered(value, by: filter) }
        return try string(value)
    }

    private func with(
        _ values: [(Target, Expression)], _ body: [Statement]
    ) throws(JinjaError) -> Flow {
        var evaluated: [(Target, Value)] = []
        for (target, expression) in values { evaluated.append((target, try evaluate(expression))) }
        return try scoped { () throws(JinjaError) in
            for (target, value) in evaluated { try assign(value, to: target) }
            return try run(body)
        }
    }

    // MARK: Assigning

    private func assign(_ value: Value, to target: Target) throws(JinjaError) {
        switch target {
        case .name(let name): scope.names[name] = value
        case .attribute(let name, let attribute):
            guard case .namespace(let box)? = scope.find(name) else {
                throw JinjaError(.value, "cannot assign attribute on non-namespace object")
            }
            try budget.box(1)
            box.set(attribute, value)
        case .tuple(let targets):
            let elements = try elements(of: value)
            guard elements.count == targets.count else {
                throw JinjaError(
                    .value,
                    elements.count < targets.count
                        ? "not enough values to unpack (expected \(targets.count), got \(elements.count))"
                        : "too many values to unpack (expected \(targets.count))")
            }
            for (target, element) in zip(targets, elements) { try assign(element, to: target) }
        }
    }

    // MARK: Loops

    private func loop(_ loop: Statement.Loop) throws(JinjaError) -> Flow {
        var elements = try elements(of: try evaluate(loop.sequence))
        if let filter = loop.filter { elements = try kept(elements, by: filter, as: loop.target) }
        if elements.isEmpty { return try scoped { () throws(JinjaError) in try run(loop.otherwise) } }
        let box = try registered(LoopBox(elements), elements: elements.count)
        for (index, element) in elements.enumerated() {
            box.index = index
            let flow = try scoped { () throws(JinjaError) in
                scope.names["loop"] = .loop(box)
                try assign(element, to: loop.target)
                return try run(loop.body)
            }
            if flow == .breaks { break }
        }
        return .goesOn
    }

    private func kept(
        _ elements: [Value], by filter: Expression, as target: Target
    ) throws(JinjaError) -> [Value] {
        var kept: [Value] = []
        for element in elements {
            let isKept = try scoped { () throws(JinjaError) in
                try assign(element, to: target)
                return try evaluate(filter).isTrue
            }
            if isKept { kept.append(element) }
        }
        return kept
    }

    // MARK: Macros

    private func callBlock(_ caller: Statement.Macro, _ call: Expression) throws(JinjaError) {
        guard case .postfixed(let base, let postfixes) = call, case .call(let arguments)? = postfixes.last else {
            return
        }
        let function = try evaluate(.postfixed(base, postfixes.dropLast()))
        var evaluated = try self.arguments(arguments)
        evaluated.named.append(("caller", .macro(try registered(MacroBox(caller, in: scope)))))
        try write(try string(try self.call(function, evaluated)))
    }

    /// What a macro writes.
    func call(_ box: MacroBox, _ arguments: Arguments) throws(JinjaError) -> Value {
        guard let outer = box.scope else { return .text(Text("")) }
        let macro = box.macro
        let written = try captured { () throws(JinjaError) in
            _ = try scoped(in: outer) { () throws(JinjaError) in
                try bind(arguments, to: macro)
                return try run(macro.body)
            }
        }
        return .text(written)
    }

    private func bind(_ arguments: Arguments, to macro: Statement.Macro) throws(JinjaError) {
        var named = arguments.named
        func take(_ name: String) -> Value? {
            named.firstIndex { $0.name == name }.map { named.remove(at: $0).value }
        }
        for (index, parameter) in macro.parameters.enumerated() {
            if index < arguments.positional.count {
                if take(parameter.name) != nil {
                    throw JinjaError(
                        .value, "macro '\(macro.name)' got multiple values for argument '\(parameter.name)'")
                }
                scope.names[parameter.name] = arguments.positional[index]
            } else if let value = take(parameter.name) {
                scope.names[parameter.name] = value
            } else if let standard = parameter.standard {
                scope.names[parameter.name] = try evaluate(standard)
            } else {
                scope.names[parameter.name] = .undefined(
                    Value.Undefined(reason: "parameter '\(parameter.name)' was not provided"))
            }
        }
        if let caller = take("caller") {
            scope.names["caller"] = caller
        } else if !macro.parameters.contains(where: { $0.name == "caller" }) {
            scope.names["caller"] = .undefined(Value.Undefined(reason: "No caller defined"))
        }
        try bindRest(Array(arguments.positional.dropFirst(macro.parameters.count)), named, to: macro)
    }

    private func bindRest(
        _ positional: [Value], _ named: [(name: String, value: Value)], to macro: Statement.Macro
    ) throws(JinjaError) {
        if macro.takesMore {
            scope.names["varargs"] = try tuple(positional)
        } else if !positional.isEmpty {
            throw JinjaError(.value, "macro '\(macro.name)' takes not more than \(macro.parameters.count) argument(s)")
        }
        if macro.takesMoreNamed {
            let box = try registered(DictBox(), elements: named.count)
            for (name, value) in named { box.set(name, value) }
            scope.names["kwargs"] = .dict(box)
        } else if let first = named.first {
            throw JinjaError(.value, "macro '\(macro.name)' takes no keyword argument '\(first.name)'")
        }
    }
}
