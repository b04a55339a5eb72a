// jinja2's tests (`tests.py`): what stands behind `is`.

extension Interpreter {
    func test(_ name: String, of value: Value, _ arguments: Arguments) throws(JinjaError) -> Bool {
        try budget.step()
        if let sign = Self.comparisons[name] {
            guard let other = arguments.positional.first else {
                throw JinjaError(.value, "the test \"\(name)\" wants a value to compare with")
            }
            return try compare(value, sign, other)
        }
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "none": return value.isNone
        case "true": if case .bool(true) = value { return true } else { return false }
        case "false": if case .bool(false) = value { return true } else { return false }
        case "boolean": if case .bool = value { return true } else { return false }
        case "integer": if case .integer = value { return true } else { return false }
        case "float": if case .float = value { return true } else { return false }
        case "number": return value.number != nil
        case "string": if case .text = value { return true } else { return false }
        case "mapping": if case .dict = value { return true } else { return false }
        case "iterable": return isIterable(value)
        case "sequence": return isSequence(value)
        case "callable": return isCallable(value)
        case "escaped": return false
        case "lower", "upper": return try string(value).hasOnlyCase(upper: name == "upper")
        case "odd", "even", "divisibleby": return try divides(name, value, arguments)
        case "sameas": return try isSame(value, arguments)
        case "filter", "test": throw JinjaError(.unsupported, "the test \"\(name)\" is not supported")
        default: throw JinjaError(.unsupported, "No test named '\(name)'.")
        }
    }

    private static let comparisons: [String: Expression.Operator] = [
        "==": .equal, "eq": .equal, "equalto": .equal, "!=": .notEqual, "ne": .notEqual, "<": .less, "lt": .less,
        "lessthan": .less, "<=": .lessOrEqual, "le": .lessOrEqual, ">": .greater, "gt": .greater,
        "greaterthan": .greater, ">=": .greaterOrEqual, "ge": .greaterOrEqual, "in": .in,
    ]

    private func isIterable(_ value: Value) -> Bool {
        switch value {
        case .none, .bool, .integer, .float, .namespace, .macro, .function, .method, .cycler, .joiner: false
        default: true
        }
    }

    private func isSequence(_ value: Value) -> Bool {
        switch value {
        case .undefined, .text, .list, .tuple, .dict, .range: true
        default: false
        }
    }

    private func isCallable(_ value: Value) -> Bool {
        switch value {
        case .macro, .function, .method, .joiner, .loop: true
        default: false
        }
    }

    private func divides(_ name: String, _ value: Value, _ arguments: Arguments) throws(JinjaError) -> Bool {
        let divisor = name == "divisibleby" ? arguments.positional.first ?? .none : .integer(2)
        let remainder = try combine(value, .remainder, divisor)
        return try equal(remainder, .integer(name == "odd" ? 1 : 0))
    }

    /// Python's `is`, which for numbers and strings is as good as equal values of one type.
    private func isSame(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Bool {
        guard let other = arguments.positional.first else {
            throw JinjaError(.value, "the test \"sameas\" wants a value to compare with")
        }
        switch (value, other) {
        case (.list(let one), .list(let other)), (.tuple(let one), .tuple(let other)): return one === other
        case (.dict(let one), .dict(let other)): return one === other
        default: return value.typeName == other.typeName ? try equal(value, other) : false
        }
    }
}
