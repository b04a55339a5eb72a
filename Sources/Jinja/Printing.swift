// How Python writes values: str, repr and JSON.

extension Interpreter {
    /// Python's `str(value)`, undefined being empty.
    func string(_ value: Value) throws(JinjaError) -> Text {
        switch value {
        case .text(let text): text
        case .undefined: Text("")
        default: try shown(value)
        }
    }

    /// Python's `repr(value)`.
    func shown(_ value: Value) throws(JinjaError) -> Text {
        var letters: [Text.Letter] = []
        try show(value, into: &letters)
        return Text(letters: letters)
    }

    private func show(_ value: Value, into letters: inout [Text.Letter]) throws(JinjaError) {
        switch value {
        case .undefined: try add("Undefined", to: &letters)
        case .none: try add("None", to: &letters)
        case .bool(let value): try add(value ? "True" : "False", to: &letters)
        case .integer(let value): try add("\(value)", to: &letters)
        case .float(let value): try add(Self.digits(value), to: &letters)
        case .text(let text): try quote(text, into: &letters)
        case .list(let box): try show(box.elements, "[", "]", into: &letters)
        case .tuple(let box): try show(box.elements, "(", box.elements.count == 1 ? ",)" : ")", into: &letters)
        case .dict(let box): try show(box, into: &letters)
        case .namespace(let box):
            try add("<Namespace ", to: &letters)
            try show(box, into: &letters)
            try add(">", to: &letters)
        case .view(let kind, let box): try show(box.elements, kind + "([", "])", into: &letters)
        case .range(let range):
            let step = range.step == 1 ? "" : ", \(range.step)"
            try add("range(\(range.start), \(range.stop)\(step))", to: &letters)
        case .loop(let loop): try add("<LoopContext \(loop.index + 1)/\(loop.elements.count)>", to: &letters)
        case .macro(let box): try add("<Macro '\(box.macro.name)'>", to: &letters)
        default: try add("<\(value.typeName)>", to: &letters)
        }
    }

    private func add(_ string: String, to letters: inout [Text.Letter]) throws(JinjaError) {
        let text = Text(string)
        try budget.text(text.count)
        letters += text.letters
    }

    private func show(
        _ elements: [Value], _ open: String, _ close: String, into letters: inout [Text.Letter]
    ) throws(JinjaError) {
        try add(open, to: &letters)
        try nested { () throws(JinjaError) in
            for (index, element) in elements.enumerated() {
                if index > 0 { try add(", ", to: &letters) }
                try show(element, into: &letters)
            }
        }
        try add(close, to: &letters)
    }

    private func show(_ box: DictBox, into letters: inout [Text.Letter]) throws(JinjaError) {
        try add("{", to: &letters)
        try nested { () throws(JinjaError) in
            for (index, (key, value)) in zip(box.keys, box.values).enumerated() {
                if index > 0 { try add(", ", to: &letters) }
                try show(key, into: &letters)
                try add(": ", to: &letters)
                try show(value, into: &letters)
            }
        }
        try add("}", to: &letters)
    }

    private func quote(_ text: Text, into letters: inout [Text.Letter]) throws(JinjaError) {
        try budget.text(text.count)
        let has = { (quote: Unicode.Scalar) in text.letters.contains { $0.scalar == quote } }
        let quote: Unicode.Scalar = has("'") && !has("\"") ? "\"" : "'"
        letters.append(Text.Letter(quote))
        for letter in text.letters {
            let escape: String? =
                switch letter.scalar {
                case "\n": "\\n"
                case "\r": "\\r"
                case "\t": "\\t"
                case "\\": "\\\\"
                case quote: "\\" + String(quote)
                case let scalar where !scalar.isPythonPrintable: Self.escape(scalar.value)
                default: nil
                }
            if let escape { letters += Text(escape, mark: letter.mark).letters } else { letters.append(letter) }
        }
        letters.append(Text.Letter(quote))
    }

    private static func escape(_ value: UInt32) -> String {
        value < 0x100
            ? "\\x" + hexadecimal(value, digits: 2)
            : value < 0x10000 ? "\\u" + hexadecimal(value, digits: 4) : "\\U" + hexadecimal(value, digits: 8)
    }

    static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// Python's `repr(float)`: the shortest digits that give the number back, with an exponent below 1e-4 and from
    /// 1e16 on.
    static func digits(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        let sign = value.sign == .minus ? "-" : ""
        if value == 0 { return sign + "0.0" }
        // Swift's description has the same digits, with an exponent at other sizes.
        let parts = value.magnitude.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var digits = String(mantissa[0]) + (mantissa.count > 1 ? String(mantissa[1]) : "")
        var point = mantissa[0].count + (parts.count > 1 ? Int(parts[1]) ?? 0 : 0)
        while digits.hasPrefix("0") {
            digits.removeFirst()
            point -= 1
        }
        while digits.hasSuffix("0") { digits.removeLast() }
        let exponent = point - 1
        if exponent < -4 || exponent >= 16 {
            let size = abs(exponent) < 10 ? "0\(abs(exponent))" : "\(abs(exponent))"
            let rest = digits.count > 1 ? "." + digits.dropFirst() : ""
            return sign + digits.prefix(1) + rest + "e" + (exponent < 0 ? "-" : "+") + size
        }
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if point >= digits.count { return sign + digits + String(repeating: "0", count: point - digits.count) + ".0" }
        return sign + digits.prefix(point) + "." + digits.dropFirst(point)
    }

    // MARK: JSON

    /// How `tojson` writes.
    struct JSONStyle {
        var isASCII = false
        /// What stands before an element, for each level; nil for one line.
        var indent: Text?
        var separator = Text(", ")
        var colon = Text(": ")
        var sortsKeys = false
    }

    /// Python's `json.dumps`.
    func json(_ value: Value, _ style: JSONStyle) throws(JinjaError) -> Text {
        var letters: [Text.Letter] = []
        try writeJSON(value, style, level: 0, into: &letters)
        return Text(letters: letters)
    }

    private func writeJSON(
        _ value: Value, _ style: JSONStyle, level: Int, into letters: inout [Text.Letter]
    ) throws(JinjaError) {
        switch value {
        case .none: try add("null", to: &letters)
        case .bool(let value): try add(value ? "true" : "false", to: &letters)
        case .integer(let value): try add("\(value)", to: &letters)
        case .float(let value): try add(Self.jsonDigits(value), to: &letters)
        case .text(let text): try writeJSON(text, style, into: &letters)
        case .list(let box), .tuple(let box):
            try writeJSON(box.elements.count, "[", "]", style, level: level, into: &letters) {
                (index, letters) throws(JinjaError) in
                try writeJSON(box.elements[index], style, level: level + 1, into: &letters)
            }
        case .dict(let box):
            let order = try jsonOrder(of: box, isSorted: style.sortsKeys)
            try writeJSON(box.count, "{", "}", style, level: level, into: &letters) {
                (index, letters) throws(JinjaError) in
                try writeJSON(try jsonKey(box.keys[order[index]]), style, into: &letters)
                letters += style.colon.letters
                try writeJSON(box.values[order[index]], style, level: level + 1, into: &letters)
            }
        default: throw JinjaError(.value, "Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private func writeJSON(
        _ count: Int, _ open: String, _ close: String, _ style: JSONStyle, level: Int,
        into letters: inout [Text.Letter], element: (Int, inout [Text.Letter]) throws(JinjaError) -> Void
    ) throws(JinjaError) {
        func breakLine(_ level: Int) throws(JinjaError) {
            guard let indent = style.indent else { return }
            try budget.text(try exact(indent.count.multipliedReportingOverflow(by: level)) + 1)
            letters.append(Text.Letter("\n"))
            for _ in 0..<level { letters += indent.letters }
        }
        try add(open, to: &letters)
        if count > 0 {
            try nested { () throws(JinjaError) in
                for index in 0..<count {
                    try budget.text(style.separator.count)
                    if index > 0 { letters += style.separator.letters }
                    try breakLine(level + 1)
                    try element(index, &letters)
                }
            }
            try breakLine(level)
        }
        try add(close, to: &letters)
    }

    private func jsonOrder(of box: DictBox, isSorted: Bool) throws(JinjaError) -> [Int] {
        isSorted ? try sorted(Array(0..<box.count), by: box.keys) : Array(0..<box.count)
    }

    private func jsonKey(_ key: Value) throws(JinjaError) -> Text {
        switch key {
        case .text(let text): return text
        case .none: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .integer, .float: return try string(key)
        default:
            throw JinjaError(.value, "keys must be str, int, float, bool or None, not \(key.typeName)")
        }
    }

    private static func jsonDigits(_ value: Double) -> String {
        value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : digits(value)
    }

    private func writeJSON(
        _ text: Text, _ style: JSONStyle, into letters: inout [Text.Letter]
    ) throws(JinjaError) {
        try budget.text(text.count + 2)
        letters.append(Text.Letter("\""))
        for letter in text.letters {
            guard let escape = Self.jsonEscape(letter.scalar, isASCII: style.isASCII) else {
                letters.append(letter)
                continue
            }
            letters += Text(escape, mark: letter.mark).letters
        }
        letters.append(Text.Letter("\""))
    }

    private static func jsonEscape(_ scalar: Unicode.Scalar, isASCII: Bool) -> String? {
        switch scalar {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        case "\u{8}": return "\\b"
        case "\u{C}": return "\\f"
        default: break
        }
        if scalar.value < 0x20 { return "\\u" + hexadecimal(scalar.value, digits: 4) }
        guard isASCII, scalar.value > 0x7E else { return nil }
        if scalar.value == 0x7F { return nil }
        return Character(scalar).utf16.map { "\\u" + hexadecimal(UInt32($0), digits: 4) }.joined()
    }
}
