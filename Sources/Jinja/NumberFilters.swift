// jinja2's filters of numbers.

extension Interpreter {
    func numberFilter(
        _ name: String, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value? {
        func parameters(_ names: String...) throws(JinjaError) -> Parameters {
            try Parameters(arguments, names, of: name)
        }
        switch name {
        case "int": return try integer(value, try parameters("default", "base"))
        case "float":
            let standard = try parameters("default")[0] ?? .float(0)
            try refuseUndefined(value)
            if case .text(let text) = value { return Self.number(text).map { .float($0) } ?? standard }
            return value.number.map { .float($0.double) } ?? standard
        case "abs":
            switch value.number {
            case .integer(let number):
                return .integer(number < 0 ? try exact(0.subtractingReportingOverflow(number)) : number)
            case .float(let number): return .float(number.magnitude)
            case nil: throw JinjaError(.value, "bad operand type for abs(): '\(value.typeName)'")
            }
        case "round": return try rounded(value, try parameters("precision", "method"))
        default: return nil
        }
    }

    /// Python's `float(text)`.
    private static func number(_ text: Text) -> Double? {
        let trimmed = text.stripped().string
        let isPlain = trimmed.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
        switch trimmed.lowercased() {
        case "inf", "+inf", "infinity", "+infinity": return .infinity
        case "-inf", "-infinity": return -.infinity
        case "nan", "+nan", "-nan": return .nan
        default: return isPlain ? Double(trimmed.hasSuffix(".") ? trimmed + "0" : trimmed) : nil
        }
    }

    private func integer(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Value {
        let standard = parameters[0] ?? .integer(0)
        func whole(_ number: Double) -> Value {
            number.isFinite ? Int(exactly: number.rounded(.towardZero)).map { .integer($0) } ?? standard : standard
        }
        switch value {
        case .undefined(let undefined): throw JinjaError(.undefined, undefined.reason)
        case .bool, .integer: return .integer(value.index ?? 0)
        case .float(let number): return whole(number)
        case .text(let text):
            let base = try parameters.integer(1, default: 10)
            guard (2...36).contains(base) else { return standard }
            if let number = Self.integer(text.stripped().string, base: base) { return .integer(number) }
            return Self.number(text).map(whole) ?? standard
        default: return standard
        }
    }

    /// Python's `int(text, base)`: a sign, the base's prefix, digits with single underscores between them.
    private static func integer(_ text: String, base: Int) -> Int? {
        var digits = Substring(text)
        let isNegative = digits.hasPrefix("-")
        if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
        let prefixes = [16: "0x", 8: "0o", 2: "0b"]
        if let prefix = prefixes[base], digits.lowercased().hasPrefix(prefix) { digits.removeFirst(2) }
        let parts = digits.split(separator: "_", omittingEmptySubsequences: false)
        guard
            parts.allSatisfy({ !$0.isEmpty && $0.utf8.first != UInt8(ascii: "+") && $0.utf8.first != UInt8(ascii: "-") }
            )
        else { return nil }
        return Int((isNegative ? "-" : "") + parts.joined(), radix: base)
    }

    private func rounded(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Value {
        try refuseUndefined(value)
        guard let number = value.number else {
            throw JinjaError(.value, "type \(value.typeName) doesn't define __round__ method")
        }
        let precision = try parameters.integer(0, default: 0)
        let method = try parameters.text(1)?.string ?? "common"
        guard ["common", "ceil", "floor"].contains(method) else {
            throw JinjaError(.value, "method must be common, ceil or floor")
        }
        if method == "common", case .integer = number, precision >= 0 { return number.value }
        // Beyond this a double has no digits to round.
        let digits = min(max(precision, -308), 308)
        if method == "common" { return .float(try rounded(number.double, digits: digits)) }
        let scale = Self.powerOfTen(digits)
        let scaled = number.double * scale
        return .float((method == "ceil" ? scaled.rounded(.up) : scaled.rounded(.down)) / scale)
    }

    private static func powerOfTen(_ exponent: Int) -> Double { Double("1e\(exponent)") ?? 1 }

    /// Python's `round`: to the nearest, halves of the exact value to even.
    private func rounded(_ value: Double, digits: Int) throws(JinjaError) -> Double {
        guard value.isFinite else { return value }
        if digits > 22 { return value }
        if digits <= 0 {
            let scale = Self.powerOfTen(-digits)
            return (value / scale).rounded(.toNearestOrEven) * scale
        }
        return Double(try fixed(value, digits: digits)) ?? value
    }
}
