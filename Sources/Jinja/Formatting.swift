// Python's two ways to format: the operator % and str.format.

/// What a format asks of one value.
private struct Layout {
    var fill = Text.Letter(" ")
    var alignment: Unicode.Scalar?
    var sign: Unicode.Scalar = "-"
    var isAlternate = false
    var isGrouped = false
    var width = 0
    var precision: Int?
    var type: Unicode.Scalar?
}

extension Interpreter {
    /// Widest field and most digits that are made: what no prompt wants.
    private static let widestField = 1000

    // MARK: %

    /// `text % values`.
    func formatted(_ text: Text, _ values: Value) throws(JinjaError) -> Text {
        var given = [values]
        if case .tuple(let box) = values { given = box.elements }
        var next = 0
        var letters: [Text.Letter] = []
        var rest = text.letters[...]
        while let letter = rest.popFirst() {
            guard letter.scalar == "%" else {
                letters.append(letter)
                continue
            }
            var name: Text?
            if rest.first?.scalar == "(", let end = rest.firstIndex(where: { $0.scalar == ")" }) {
                name = Text(letters: rest[rest.startIndex + 1..<end])
                rest = rest[(end + 1)...]
            }
            let layout = try percentLayout(&rest)
            if layout.type == "%" {
                letters.append(Text.Letter("%"))
                continue
            }
            let value: Value
            if let name {
                value = try item(.text(name), of: values)
                try refuseUndefined(value)
                next = given.count
            } else {
                guard given.indices.contains(next) else {
                    throw JinjaError(.value, "not enough arguments for format string")
                }
                value = given[next]
                next += 1
            }
            letters += try laidOutByPercent(value, layout).letters
            try budget.text(letters.count / 8)
        }
        if next < given.count, !isMapping(values) {
            throw JinjaError(.value, "not all arguments converted during string formatting")
        }
        return Text(letters: letters)
    }

    private func isMapping(_ value: Value) -> Bool {
        switch value {
        case .dict, .list: true
        default: false
        }
    }

    private func percentLayout(_ rest: inout ArraySlice<Text.Letter>) throws(JinjaError) -> Layout {
        var layout = Layout()
        while let flag = rest.first?.scalar, "#0- +".unicodeScalars.contains(flag) {
            rest.removeFirst()
            switch flag {
            case "0": layout.fill = Text.Letter("0")
            case "-": layout.alignment = "<"
            case "+", " ": layout.sign = flag
            default: layout.isAlternate = true
            }
        }
        layout.width = try digits(&rest) ?? 0
        if rest.first?.scalar == "." {
            rest.removeFirst()
            layout.precision = try digits(&rest) ?? 0
        }
        guard let type = rest.popFirst() else { throw JinjaError(.value, "incomplete format") }
        layout.type = type.scalar
        return layout
    }

    private func digits(_ rest: inout ArraySlice<Text.Letter>) throws(JinjaError) -> Int? {
        let digits = rest.prefix { $0.scalar.isASCIIDigit }
        rest = rest[digits.endIndex...]
        if digits.isEmpty { return nil }
        guard let number = Int(Text.string(digits)), number <= Self.widestField else {
            throw JinjaError(.limit, "a field is wider than \(Self.widestField)")
        }
        return number
    }

    private func laidOutByPercent(_ value: Value, _ layout: Layout) throws(JinjaError) -> Text {
        var layout = layout
        switch layout.type {
        case "s", "r", "a":
            let text = layout.type == "s" ? try string(value) : try shown(value)
            layout.fill = Text.Letter(" ")
            let cut = layout.precision.map { text.split(at: $0).head } ?? text
            return fitted(cut, layout, alignment: layout.alignment ?? ">")
        case "c":
            if case .text(let text) = value, text.count == 1 { return fitted(text, layout, alignment: ">") }
            throw JinjaError(.value, "%c requires int or char")
        case "d", "i", "u":
            guard let number = value.number else {
                throw JinjaError(.value, "%d format: a real number is required, not \(value.typeName)")
            }
            layout.type = "d"
            let whole = number.double.rounded(.towardZero)
            guard case .float = number else { return try laidOut(number, layout) }
            guard let integer = Int(exactly: whole) else { throw JinjaError(.value, "cannot convert float to integer") }
            return try laidOut(.integer(integer), layout)
        default:
            guard let number = value.number else {
                throw JinjaError(.value, "must be real number, not \(value.typeName)")
            }
            return try laidOut(number, layout)
        }
    }

    // MARK: str.format

    /// `text.format(…)`.
    func formatted(_ text: Text, _ arguments: Arguments) throws(JinjaError) -> Text {
        var letters: [Text.Letter] = []
        var rest = text.letters[...]
        var next = 0
        while let letter = rest.popFirst() {
            switch letter.scalar {
            case "{" where rest.first?.scalar == "{", "}" where rest.first?.scalar == "}":
                letters.append(letter)
                rest.removeFirst()
            case "{":
                guard let end = rest.firstIndex(where: { $0.scalar == "}" }) else {
                    throw JinjaError(.value, "expected '}' before end of string")
                }
                letters += try field(Text(letters: rest[..<end]), arguments, next: &next).letters
                try budget.text(letters.count / 8)
                rest = rest[(end + 1)...]
            case "}": throw JinjaError(.value, "Single '}' encountered in format string")
            default: letters.append(letter)
            }
        }
        return Text(letters: letters)
    }

    private func field(_ field: Text, _ arguments: Arguments, next: inout Int) throws(JinjaError) -> Text {
        let colon = field.index(of: Text(":")) ?? field.count
        var (path, spec) = field.split(at: colon)
        spec = spec.split(at: 1).tail
        let bang = path.index(of: Text("!")) ?? path.count
        let conversion = path.split(at: bang + 1).tail.string
        path = path.split(at: bang).head
        let value = try fieldValue(path, arguments, next: &next)
        switch conversion {
        case "r", "a": return try laidOut(.text(try shown(value)), spec)
        case "s": return try laidOut(.text(try string(value)), spec)
        case "": return try laidOut(value, spec)
        default: throw JinjaError(.value, "Unknown conversion specifier '\(conversion)'")
        }
    }

    private func fieldValue(_ path: Text, _ arguments: Arguments, next: inout Int) throws(JinjaError) -> Value {
        let parts = path.split(at: Text("."), limit: -1)
        let name = parts[0].string
        if name.contains("[") { throw JinjaError(.unsupported, "indices in format strings are not supported") }
        var value: Value
        if name.isEmpty || Int(name) != nil {
            let index = Int(name) ?? next
            if name.isEmpty { next += 1 }
            guard arguments.positional.indices.contains(index) else {
                throw JinjaError(.value, "Replacement index \(index) out of range for positional args tuple")
            }
            value = arguments.positional[index]
        } else {
            guard let named = arguments.named.first(where: { $0.name == name }) else {
                throw JinjaError(.value, "there is no argument '\(name)' to format")
            }
            value = named.value
        }
        for part in parts.dropFirst() { value = try attribute(part.string, of: value) }
        return value
    }

    /// Python's format specification: `[[fill]align][sign][#][0][width][,][.precision][type]`.
    private func laidOut(_ value: Value, _ spec: Text) throws(JinjaError) -> Text {
        if spec.isEmpty { return try string(value) }
        let layout = try self.layout(spec)
        if case .bool = value, layout.type == nil {
            return fitted(try string(value), layout, alignment: layout.alignment ?? "<")
        }
        if let number = value.number, layout.type != "s" { return try laidOut(number, layout) }
        guard layout.type == nil || layout.type == "s", case .text(let text) = value else {
            throw JinjaError(.value, "unsupported format string passed to \(value.typeName).__format__")
        }
        let cut = layout.precision.map { text.split(at: $0).head } ?? text
        return fitted(cut, layout, alignment: layout.alignment ?? "<")
    }

    private func layout(_ spec: Text) throws(JinjaError) -> Layout {
        var layout = Layout()
        var rest = spec.letters[...]
        func isAlignment(_ letter: Text.Letter?) -> Bool {
            letter.map { "<>=^".unicodeScalars.contains($0.scalar) } ?? false
        }
        if rest.count > 1, isAlignment(rest.dropFirst().first) {
            layout.fill = rest.removeFirst()
            layout.alignment = rest.removeFirst().scalar
        } else if isAlignment(rest.first) {
            layout.alignment = rest.removeFirst().scalar
        }
        if let sign = rest.first?.scalar, "+- ".unicodeScalars.contains(sign) {
            layout.sign = sign
            rest.removeFirst()
        }
        if rest.first?.scalar == "#" {
            layout.isAlternate = true
            rest.removeFirst()
        }
        if rest.first?.scalar == "0", layout.alignment == nil {
            layout.fill = Text.Letter("0")
            layout.alignment = "="
        }
        layout.width = try digits(&rest) ?? 0
        if rest.first?.scalar == "," {
            layout.isGrouped = true
            rest.removeFirst()
        }
        if rest.first?.scalar == "." {
            rest.removeFirst()
            layout.precision = try digits(&rest)
        }
        layout.type = rest.popFirst()?.scalar
        if !rest.isEmpty { throw JinjaError(.value, "Invalid format specifier '\(spec.string)'") }
        return layout
    }

    // MARK: Both

    private func fitted(_ text: Text, _ layout: Layout, alignment: Unicode.Scalar) -> Text {
        let missing = max(0, layout.width - text.count)
        let before = alignment == "<" ? 0 : alignment == "^" ? missing / 2 : missing
        return Text(letters: repeatElement(layout.fill, count: before)) + text
            + Text(letters: repeatElement(layout.fill, count: missing - before))
    }

    private func laidOut(_ number: Number, _ layout: Layout) throws(JinjaError) -> Text {
        let isNegative = number.double < 0
        var digits = try digits(of: number, layout)
        if digits.hasPrefix("-") { digits.removeFirst() }
        if layout.isGrouped { digits = Self.grouped(digits) }
        let sign = isNegative ? "-" : layout.sign == "-" ? "" : String(layout.sign)
        let missing = max(0, layout.width - sign.count - digits.count)
        if layout.alignment == "=" || (layout.alignment == nil && layout.fill.scalar == "0") {
            return Text(sign) + Text(letters: repeatElement(layout.fill, count: missing)) + Text(digits)
        }
        return fitted(Text(sign + digits), layout, alignment: layout.alignment ?? ">")
    }

    private func digits(of number: Number, _ layout: Layout) throws(JinjaError) -> String {
        let precision = layout.precision ?? 6
        switch (layout.type, number) {
        case (nil, .integer(let value)), ("d", .integer(let value)): return "\(value.magnitude)"
        case (nil, .float(let value)) where layout.precision == nil: return Self.digits(value.magnitude)
        case ("x", .integer(let value)): return (layout.isAlternate ? "0x" : "") + String(value.magnitude, radix: 16)
        case ("X", .integer(let value)):
            return (layout.isAlternate ? "0X" : "") + String(value.magnitude, radix: 16, uppercase: true)
        case ("o", .integer(let value)): return (layout.isAlternate ? "0o" : "") + String(value.magnitude, radix: 8)
        case ("b", .integer(let value)): return (layout.isAlternate ? "0b" : "") + String(value.magnitude, radix: 2)
        case ("f", _), ("F", _): return try fixed(number.double.magnitude, digits: precision)
        case ("%", _): return try fixed(number.double.magnitude * 100, digits: precision) + "%"
        default:
            throw JinjaError(
                .unsupported, "the format \"\(layout.type.map(String.init) ?? "")\" is not supported for this number")
        }
    }

    private static func grouped(_ digits: String) -> String {
        let whole = digits.prefix { $0.isNumber }
        var result = ""
        for (index, digit) in whole.enumerated() {
            if index > 0, (whole.count - index).isMultiple(of: 3) { result += "," }
            result.append(digit)
        }
        return result + digits.dropFirst(whole.count)
    }

    /// A number with so many digits after the point, rounded exactly as C's `printf` does: halves of the exact value
    /// to even.
    func fixed(_ value: Double, digits: Int) throws(JinjaError) -> String {
        guard value.isFinite else { return Self.digits(value) }
        // Each step of the exponent goes over all digits.
        let exponent = abs(Int(value.exponent.clamped(to: -1100...1100)) - 52)
        try budget.step(exponent * exponent / 64)
        var decimal = ExactDecimal(value.magnitude)
        let text = decimal.rounded(toDigits: digits)
        return (value.sign == .minus ? "-" : "") + text
    }
}

/// A double's exact decimal digits.
private struct ExactDecimal {
    /// Whole digits and digits after the point, each 0 to 9.
    private var whole: [UInt8]
    private var fraction: [UInt8]

    init(_ value: Double) {
        // value = significand · 2^exponent with a whole significand.
        let exponent = value == 0 ? 0 : Int(value.exponent) - 52
        var digits: [UInt8] = []
        var rest = value == 0 ? 0 : UInt64((value.significand * 0x1p52).rounded())
        while rest > 0 {
            digits.append(UInt8(rest % 10))
            rest /= 10
        }
        // Least digit first while multiplying.
        var places = 0
        if exponent > 0 {
            for _ in 0..<exponent { Self.multiply(&digits, by: 2) }
        } else {
            for _ in 0..<(-exponent) { Self.multiply(&digits, by: 5) }
            places = -exponent
        }
        while digits.count < places { digits.append(0) }
        whole = digits.dropFirst(places).reversed()
        fraction = digits.prefix(places).reversed()
        if whole.isEmpty { whole = [0] }
    }

    private static func multiply(_ digits: inout [UInt8], by factor: UInt8) {
        var carry: UInt8 = 0
        for index in digits.indices {
            let product = digits[index] * factor + carry
            digits[index] = product % 10
            carry = product / 10
        }
        if carry > 0 { digits.append(carry) }
    }

    mutating func rounded(toDigits count: Int) -> String {
        let kept = Array(fraction.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - fraction.count))
        var digits = whole + kept
        let rest = fraction.dropFirst(count)
        let isHalf = rest.first == 5 && rest.dropFirst().allSatisfy { $0 == 0 }
        let roundsUp = isHalf ? (digits.last ?? 0) % 2 == 1 : (rest.first ?? 0) >= 5
        if roundsUp {
            var index = digits.count - 1
            while index >= 0, digits[index] == 9 {
                digits[index] = 0
                index -= 1
            }
            if index >= 0 { digits[index] += 1 } else { digits.insert(1, at: 0) }
        }
        let text = digits.map { String($0) }.joined()
        return count == 0 ? text : text.dropLast(count) + "." + text.suffix(count)
    }
}

extension Int {
    fileprivate func clamped(to range: ClosedRange<Int>) -> Int {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
