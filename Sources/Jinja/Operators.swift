// Python's operators: arithmetic, comparisons, membership.

import Glibc

extension Interpreter {
    // MARK: Arithmetic

    func signed(_ value: Value, isNegative: Bool) throws(JinjaError) -> Value {
        switch value.number {
        case .integer(let number):
            return .integer(isNegative ? try exact(0.subtractingReportingOverflow(number)) : number)
        case .float(let number): return .float(isNegative ? -number : number)
        case nil:
            try refuseUndefined(value)
            throw JinjaError(.value, "bad operand type for unary \(isNegative ? "-" : "+"): '\(value.typeName)'")
        }
    }

    func combine(_ left: Value, _ operation: Expression.Operator, _ right: Value) throws(JinjaError) -> Value {
        try budget.step()
        if case .text(let text) = left, operation == .remainder { return try self.text(try formatted(text, right)) }
        if let left = left.number, let right = right.number {
            if case (.integer(let left), .integer(let right)) = (left, right) {
                return try integers(left, operation, right)
            }
            return .float(try floats(left.double, operation, right.double))
        }
        switch (operation, left, right) {
        case (.add, .text(let left), .text(let right)):
            try budget.text(left.count + right.count)
            return .text(left + right)
        case (.add, .list(let left), .list(let right)): return try list(left.elements + right.elements)
        case (.add, .tuple(let left), .tuple(let right)): return try tuple(left.elements + right.elements)
        case (.multiply, _, _):
            if let count = right.index { return try repeated(left, count, wrong: right) }
            if let count = left.index { return try repeated(right, count, wrong: left) }
        default: break
        }
        throw mismatch(left, operation, right)
    }

    private func mismatch(_ left: Value, _ operation: Expression.Operator, _ right: Value) -> JinjaError {
        for case .undefined(let undefined) in [left, right] { return JinjaError(.undefined, undefined.reason) }
        if operation == .add {
            switch left {
            case .text, .list, .tuple:
                let name = left.typeName
                return JinjaError(.value, "can only concatenate \(name) (not \"\(right.typeName)\") to \(name)")
            default: break
            }
        }
        return JinjaError(
            .value,
            "unsupported operand type(s) for \(operation.rawValue): '\(left.typeName)' and '\(right.typeName)'")
    }

    /// A sequence several times; the result is counted before it is made.
    private func repeated(_ value: Value, _ times: Int, wrong: Value) throws(JinjaError) -> Value {
        // What overflows is beyond every bound.
        func total(_ count: Int) -> Int {
            let total = count.multipliedReportingOverflow(by: max(times, 0))
            return total.overflow ? Int.max : total.partialValue
        }
        switch value {
        case .text(let text):
            try budget.text(total(text.count))
            return .text(Text(letters: repeatElement(text.letters, count: max(times, 0)).joined()))
        case .list(let box), .tuple(let box):
            try budget.box(total(box.elements.count))
            let elements = Array(repeatElement(box.elements, count: max(times, 0)).joined())
            if case .list = value { return try list(elements) }
            return try tuple(elements)
        default: throw mismatch(value, .multiply, wrong)
        }
    }

    func exact(_ result: (partialValue: Int, overflow: Bool)) throws(JinjaError) -> Int {
        if result.overflow { throw JinjaError(.value, "integers beyond 64 bits are not supported") }
        return result.partialValue
    }

    private func integers(
        _ left: Int, _ operation: Expression.Operator, _ right: Int
    ) throws(JinjaError) -> Value {
        switch operation {
        case .add: return .integer(try exact(left.addingReportingOverflow(right)))
        case .subtract: return .integer(try exact(left.subtractingReportingOverflow(right)))
        case .multiply: return .integer(try exact(left.multipliedReportingOverflow(by: right)))
        case .floorDivide, .remainder:
            if right == 0 { throw JinjaError(.value, "integer division or modulo by zero") }
            let quotient = try exact(left.dividedReportingOverflow(by: right))
            let remainder = left - quotient * right
            let isBelow = remainder != 0 && (remainder < 0) != (right < 0)
            if operation == .floorDivide { return .integer(isBelow ? quotient - 1 : quotient) }
            return .integer(isBelow ? remainder + right : remainder)
        case .power where right >= 0: return .integer(try power(left, right))
        default: return .float(try floats(Double(left), operation, Double(right)))
        }
    }

    private func power(_ base: Int, _ exponent: Int) throws(JinjaError) -> Int {
        if (-1...1).contains(base) { return exponent == 0 ? 1 : exponent.isMultiple(of: 2) ? base * base : base }
        guard exponent < Int.bitWidth else { throw JinjaError(.value, "integers beyond 64 bits are not supported") }
        var result = 1
        for _ in 0..<exponent { result = try exact(result.multipliedReportingOverflow(by: base)) }
        return result
    }

    private func floats(
        _ left: Double, _ operation: Expression.Operator, _ right: Double
    ) throws(JinjaError) -> Double {
        switch operation {
        case .add: return left + right
        case .subtract: return left - right
        case .multiply: return left * right
        case .power:
            if left == 0, right < 0 { throw JinjaError(.value, "0.0 cannot be raised to a negative power") }
            if left < 0, right != right.rounded() {
                throw JinjaError(.unsupported, "complex numbers are not supported")
            }
            return pow(left, right)
        default:
            if right == 0 { throw JinjaError(.value, "division by zero") }
            if operation == .divide { return left / right }
            var remainder = fmod(left, right)
            if remainder != 0, (remainder < 0) != (right < 0) { remainder += right }
            if operation == .remainder { return remainder == 0 ? copysign(0, right) : remainder }
            return ((left - remainder) / right).rounded()
        }
    }

    func refuseUndefined(_ value: Value) throws(JinjaError) {
        if case .undefined(let undefined) = value { throw JinjaError(.undefined, undefined.reason) }
    }

    // MARK: Comparisons

    func compare(_ left: Value, _ operation: Expression.Operator, _ right: Value) throws(JinjaError) -> Bool {
        try budget.step()
        switch operation {
        case .equal: return try equal(left, right)
        case .notEqual: return !(try equal(left, right))
        case .in: return try contains(right, left)
        case .notIn: return !(try contains(right, left))
        case .less: return try isLess(left, right, sign: "<")
        case .greater: return try isLess(right, left, sign: ">")
        // Not a number is neither less nor greater.
        case .lessOrEqual:
            if try isLess(left, right, sign: "<=") { return true }
            return try equal(left, right)
        default:
            if try isLess(right, left, sign: ">=") { return true }
            return try equal(left, right)
        }
    }

    func equal(_ left: Value, _ right: Value) throws(JinjaError) -> Bool {
        if let left = left.number, let right = right.number {
            if case (.integer(let left), .integer(let right)) = (left, right) { return left == right }
            return left.double == right.double
        }
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let left), .text(let right)):
            guard left.count == right.count else { return false }
            try budget.step(left.count / Bounds.lettersPerStep)
            return left == right
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return try equal(left.elements, right.elements)
        case (.dict(let left), .dict(let right)): return try equal(left, right)
        case (.range(let left), .range(let right)): return left == right || (left.count == 0 && right.count == 0)
        case (.namespace(let left), .namespace(let right)): return left === right
        case (.macro(let left), .macro(let right)): return left === right
        case (.function(let left), .function(let right)): return left == right
        default: return false
        }
    }

    private func equal(_ left: [Value], _ right: [Value]) throws(JinjaError) -> Bool {
        guard left.count == right.count else { return false }
        return try nested { () throws(JinjaError) in
            for (left, right) in zip(left, right) where !(try equal(left, right)) { return false }
            return true
        }
    }

    private func equal(_ left: DictBox, _ right: DictBox) throws(JinjaError) -> Bool {
        guard left.count == right.count else { return false }
        return try nested { () throws(JinjaError) in
            for (shown, value) in zip(left.keys, left.values) {
                guard let other = right[try key(of: shown)], try equal(value, other) else { return false }
            }
            return true
        }
    }

    func isLess(_ left: Value, _ right: Value, sign: String = "<") throws(JinjaError) -> Bool {
        if let left = left.number, let right = right.number {
            if case (.integer(let left), .integer(let right)) = (left, right) { return left < right }
            return left.double < right.double
        }
        switch (left, right) {
        case (.text(let left), .text(let right)):
            try budget.step(min(left.count, right.count) / Bounds.lettersPerStep)
            return left.letters.lexicographicallyPrecedes(right.letters) { $0.value < $1.value }
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            return try nested { () throws(JinjaError) in
                for (left, right) in zip(left.elements, right.elements) where !(try equal(left, right)) {
                    return try isLess(left, right, sign: sign)
                }
                return left.elements.count < right.elements.count
            }
        default:
            try refuseUndefined(left)
            try refuseUndefined(right)
            let (first, second) = sign.hasPrefix(">") ? (right, left) : (left, right)
            throw JinjaError(
                .value, "'\(sign)' not supported between instances of '\(first.typeName)' and '\(second.typeName)'")
        }
    }

    func contains(_ container: Value, _ value: Value) throws(JinjaError) -> Bool {
        switch container {
        case .text(let text):
            guard case .text(let part) = value else {
                throw JinjaError(
                    .value, "'in <string>' requires string as left operand, not \(value.typeName)")
            }
            try budget.step(text.count / Bounds.lettersPerStep + part.count / Bounds.lettersPerStep)
            return text.index(of: part) != nil
        case .dict(let box): return box[try key(of: value)] != nil
        case .none, .bool, .integer, .float, .namespace, .macro, .function, .method, .cycler, .joiner:
            throw JinjaError(.value, "argument of type '\(container.typeName)' is not iterable")
        default:
            for element in try elements(of: container) {
                try budget.step()
                if try equal(element, value) { return true }
            }
            return false
        }
    }

    /// A value as a dict's key.
    func key(of value: Value) throws(JinjaError) -> DictBox.Key {
        switch value {
        case .undefined: return .undefined
        case .none: return .none
        case .text(let text):
            try budget.step(text.count / Bounds.lettersPerStep)
            return .text(text)
        case .bool, .integer: return .integer(value.index ?? 0)
        case .float(let number): return Int(exactly: number).map { .integer($0) } ?? .float(number)
        case .tuple(let box):
            return try nested { () throws(JinjaError) in
                var keys: [DictBox.Key] = []
                for element in box.elements { keys.append(try key(of: element)) }
                return .tuple(keys)
            }
        default: throw JinjaError(.value, "unhashable type: '\(value.typeName)'")
        }
    }

    /// The elements of whatever can be iterated over.
    func elements(of value: Value) throws(JinjaError) -> [Value] {
        switch value {
        case .undefined: return []
        case .list(let box), .tuple(let box), .view(_, let box): return box.elements
        case .dict(let box): return box.keys
        case .generator(let box):
            defer { box.elements = [] }
            return box.elements
        case .text(let text):
            try budget.box(text.count * 2)
            return text.letters.map { .text(Text(letters: [$0])) }
        case .range(let range):
            try budget.box(range.count)
            return (0..<range.count).map { .integer(range.start + $0 * range.step) }
        case .loop(let loop): return Array(loop.elements[(loop.index + 1)...])
        default: throw JinjaError(.value, "'\(value.typeName)' object is not iterable")
        }
    }

    /// `len(value)`.
    func count(of value: Value) throws(JinjaError) -> Int {
        switch value {
        case .undefined: return 0
        case .text(let text): return text.count
        case .list(let box), .tuple(let box), .view(_, let box): return box.elements.count
        case .dict(let box): return box.count
        case .range(let range): return range.count
        case .loop(let loop): return loop.elements.count
        default: throw JinjaError(.value, "object of type '\(value.typeName)' has no len()")
        }
    }
}
