// Evaluates expressions.

/// Arguments of a call, evaluated.
struct Arguments {
    var positional: [Value] = []
    var named: [(name: String, value: Value)] = []
}

extension Interpreter {
    func evaluate(_ expression: Expression) throws(JinjaError) -> Value {
        switch expression {
        case .text(let text): .text(text)
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        case .bool(let value): .bool(value)
        case .none: .none
        case .name(let name): try lookUp(name)
        default: try nested { () throws(JinjaError) in try evaluateNested(expression) }
        }
    }

    private func evaluateNested(_ expression: Expression) throws(JinjaError) -> Value {
        switch expression {
        case .list(let elements): try list(try values(of: elements))
        case .tuple(let elements): try tuple(try values(of: elements))
        case .dict(let entries): try dict(entries)
        case .postfixed(let base, let postfixes): try apply(postfixes, to: base)
        case .negative(let operand): try signed(try evaluate(operand), isNegative: true)
        case .positive(let operand): try signed(try evaluate(operand), isNegative: false)
        case .not(let operand): .bool(!(try evaluate(operand).isTrue))
        case .arithmetic(let first, let operations): try arithmetic(first, operations)
        case .concat(let parts): try concat(parts)
        case .comparison(let first, let operations): try comparison(first, operations)
        case .any(let parts): try decide(parts, stopsAt: true)
        case .all(let parts): try decide(parts, stopsAt: false)
        case .conditional(let condition, let then, let otherwise): try choose(condition, then, otherwise)
        default: try evaluate(expression)
        }
    }

    private func lookUp(_ name: String) throws(JinjaError) -> Value {
        try budget.step()
        return scope.find(name) ?? .undefined(Value.Undefined(reason: "'\(name)' is undefined"))
    }

    private func values(of expressions: [Expression]) throws(JinjaError) -> [Value] {
        var values: [Value] = []
        for expression in expressions { values.append(try evaluate(expression)) }
        return values
    }

    private func dict(_ entries: [Expression.Entry]) throws(JinjaError) -> Value {
        let box = try registered(DictBox(), elements: entries.count)
        for entry in entries {
            let key = try evaluate(entry.key)
            box.set(try self.key(of: key), shownAs: key, try evaluate(entry.value))
        }
        return .dict(box)
    }

    private func arithmetic(
        _ first: Expression, _ operations: [Expression.Operation]
    ) throws(JinjaError) -> Value {
        var value = try evaluate(first)
        for operation in operations {
            value = try combine(value, operation.operator, try evaluate(operation.operand))
        }
        return value
    }

    private func concat(_ parts: [Expression]) throws(JinjaError) -> Value {
        var letters: [Text.Letter] = []
        for part in parts { letters += try string(try evaluate(part)).letters }
        return try text(Text(letters: letters))
    }

    private func comparison(
        _ first: Expression, _ operations: [Expression.Operation]
    ) throws(JinjaError) -> Value {
        var left = try evaluate(first)
        for operation in operations {
            let right = try evaluate(operation.operand)
            guard try compare(left, operation.operator, right) else { return .bool(false) }
            left = right
        }
        return .bool(true)
    }

    private func decide(_ parts: [Expression], stopsAt end: Bool) throws(JinjaError) -> Value {
        var value = Value.none
        for part in parts {
            value = try evaluate(part)
            if value.isTrue == end { return value }
        }
        return value
    }

    private func choose(
        _ condition: Expression, _ then: Expression, _ otherwise: Expression?
    ) throws(JinjaError) -> Value {
        if try evaluate(condition).isTrue { return try evaluate(then) }
        if let otherwise { return try evaluate(otherwise) }
        return .undefined(
            Value.Undefined(
                reason: "the inline if-expression evaluated to false and no else section was defined."))
    }

    // MARK: Postfixes

    private func apply(_ postfixes: [Expression.Postfix], to base: Expression) throws(JinjaError) -> Value {
        var value = try evaluate(base)
        for postfix in postfixes {
            try budget.step()
            switch postfix {
            case .attribute(let name): value = try attribute(name, of: value)
            case .item(let index): value = try item(try evaluate(index), of: value)
            case .slice(let start, let end, let step): value = try slice(value, start, end, step)
            case .call(let arguments): value = try call(value, try self.arguments(arguments))
            case .filter(let filter): value = try filtered(value, by: filter)
            case .test(let name, let arguments, let isNegated):
                let holds = try test(name, of: value, try self.arguments(arguments))
                value = .bool(holds != isNegated)
            }
        }
        return value
    }

    func filtered(_ value: Value, by filter: Expression.Filter) throws(JinjaError) -> Value {
        try apply(filter: filter.name, to: value, try arguments(filter.arguments))
    }

    func arguments(_ arguments: Expression.Arguments) throws(JinjaError) -> Arguments {
        var evaluated = Arguments(positional: try values(of: arguments.positional))
        for (name, expression) in arguments.named { evaluated.named.append((name, try evaluate(expression))) }
        if let list = arguments.unpackedList { evaluated.positional += try elements(of: try evaluate(list)) }
        if let dict = arguments.unpackedDict {
            guard case .dict(let box) = try evaluate(dict) else {
                throw JinjaError(.value, "argument after ** must be a mapping")
            }
            for (key, value) in zip(box.keys, box.values) {
                guard case .text(let name) = key else { throw JinjaError(.value, "keywords must be strings") }
                evaluated.named.append((name.string, value))
            }
        }
        return evaluated
    }

    private func slice(
        _ value: Value, _ start: Expression?, _ end: Expression?, _ step: Expression?
    ) throws(JinjaError) -> Value {
        func index(_ expression: Expression?) throws(JinjaError) -> Int? {
            guard let expression else { return nil }
            let value = try evaluate(expression)
            if case .none = value { return nil }
            guard let index = value.index else {
                throw JinjaError(.value, "slice indices must be integers or None or have an __index__ method")
            }
            return index
        }
        let (start, end, step) = (try index(start), try index(end), try index(step) ?? 1)
        if step == 0 { throw JinjaError(.value, "slice step cannot be zero") }
        switch value {
        case .text(let letters):
            let places = Self.places(start, end, step, count: letters.count)
            return try text(Text(letters: places.map { letters.letters[$0] }))
        case .list(let box):
            return try list(Self.places(start, end, step, count: box.elements.count).map { box.elements[$0] })
        case .tuple(let box):
            return try tuple(Self.places(start, end, step, count: box.elements.count).map { box.elements[$0] })
        case .range:
            let elements = try elements(of: value)
            return try list(Self.places(start, end, step, count: elements.count).map { elements[$0] })
        case .undefined(let undefined): throw JinjaError(.undefined, undefined.reason)
        default:
            return .undefined(Value.Undefined(reason: "\(shownType(value)) has no element slice"))
        }
    }

    /// The places a Python slice takes, in order.
    private static func places(_ start: Int?, _ end: Int?, _ step: Int, count: Int) -> [Int] {
        func clamped(_ index: Int, _ lowest: Int, _ highest: Int) -> Int {
            min(max(index < 0 ? index + count : index, lowest), highest)
        }
        if step > 0 {
            let first = start.map { clamped($0, 0, count) } ?? 0
            let last = end.map { clamped($0, 0, count) } ?? count
            return Array(stride(from: first, to: last, by: step))
        }
        let first = start.map { clamped($0, -1, count - 1) } ?? count - 1
        let last = end.map { clamped($0, -1, count - 1) } ?? -1
        return Array(stride(from: first, to: last, by: step))
    }

    // MARK: Attributes and items

    /// What `value.name` is: a method, else an element.
    func attribute(_ name: String, of value: Value) throws(JinjaError) -> Value {
        switch value {
        case .undefined(let undefined): throw JinjaError(.undefined, undefined.reason)
        case .namespace(let box):
            return box[name] ?? .undefined(missing(name, of: value))
        case .loop(let loop):
            return try attribute(name, of: loop) ?? .undefined(missing(name, of: value))
        case .macro(let box): return macroAttribute(name, of: box) ?? .undefined(missing(name, of: value))
        case .cycler(let box) where name == "current": return box.elements[box.position]
        default:
            if hasMethod(name, value) { return .method(of: value, name) }
            if case .dict(let box) = value, let element = box[name] { return element }
            return .undefined(missing(name, of: value))
        }
    }

    /// What `value[index]` is: an element, else a method.
    func item(_ index: Value, of value: Value) throws(JinjaError) -> Value {
        switch (value, index) {
        case (.undefined(let undefined), _): throw JinjaError(.undefined, undefined.reason)
        case (.dict(let box), _):
            if let key = try? key(of: index), let element = box[key] { return element }
        case (.list(let box), _), (.tuple(let box), _):
            if let place = Self.place(index, count: box.elements.count) { return box.elements[place] }
        case (.text(let text), _):
            if let place = Self.place(index, count: text.count) { return .text(Text(letters: [text.letters[place]])) }
        case (.range(let range), _):
            if let place = Self.place(index, count: range.count) { return .integer(range.start + place * range.step) }
        default: break
        }
        if case .text(let name) = index { return try attribute(name.string, of: value) }
        return .undefined(Value.Undefined(reason: "\(shownType(value)) has no element \(try shown(index).string)"))
    }

    private static func place(_ index: Value, count: Int) -> Int? {
        guard let index = index.index else { return nil }
        let place = index < 0 ? index + count : index
        return (0..<count).contains(place) ? place : nil
    }

    private func missing(_ name: String, of value: Value) -> Value.Undefined {
        Value.Undefined(reason: "'\(shownType(value))' has no attribute '\(name)'")
    }

    /// A value's type as jinja2's messages have it.
    private func shownType(_ value: Value) -> String {
        switch value {
        case .none: "None"
        case .namespace: "jinja2.utils.Namespace object"
        default: "\(value.typeName) object"
        }
    }

    private func attribute(_ name: String, of loop: LoopBox) throws(JinjaError) -> Value? {
        let (index, count) = (loop.index, loop.elements.count)
        switch name {
        case "index": return .integer(index + 1)
        case "index0": return .integer(index)
        case "revindex": return .integer(count - index)
        case "revindex0": return .integer(count - index - 1)
        case "first": return .bool(index == 0)
        case "last": return .bool(index == count - 1)
        case "length": return .integer(count)
        case "depth": return .integer(1)
        case "depth0": return .integer(0)
        case "previtem":
            return index > 0
                ? loop.elements[index - 1] : .undefined(Value.Undefined(reason: "there is no previous item"))
        case "nextitem":
            return index + 1 < count
                ? loop.elements[index + 1] : .undefined(Value.Undefined(reason: "there is no next item"))
        case "cycle", "changed": return .method(of: .loop(loop), name)
        default: return nil
        }
    }

    private func macroAttribute(_ name: String, of box: MacroBox) -> Value? {
        switch name {
        case "name": .text(box.macro.name)
        case "catch_varargs": .bool(box.macro.takesMore)
        case "catch_kwargs": .bool(box.macro.takesMoreNamed)
        default: nil
        }
    }
}
