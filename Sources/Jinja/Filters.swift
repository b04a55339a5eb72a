// jinja2's filters (`filters.py`), and the `tojson` of transformers.

extension Interpreter {
    func apply(filter name: String, to value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        try budget.step()
        if let result = try textFilter(name, value, arguments) { return result }
        if let result = try sequenceFilter(name, value, arguments) { return result }
        if let result = try numberFilter(name, value, arguments) { return result }
        if let result = try valueFilter(name, value, arguments) { return result }
        throw JinjaError(.unsupported, "No filter named '\(name)'.")
    }

    // MARK: Strings

    private func textFilter(
        _ name: String, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value? {
        func parameters(_ names: String...) throws(JinjaError) -> Parameters {
            try Parameters(arguments, names, of: name)
        }
        func subject() throws(JinjaError) -> Text {
            let text = try string(value)
            try budget.text(text.count)
            return text
        }
        switch name {
        case "trim": return .text(try subject().stripped(of: try parameters("chars").text(0)))
        case "upper": return .text(try subject().uppercased())
        case "lower": return .text(try subject().lowercased())
        case "capitalize": return .text(try subject().capitalized())
        case "title": return .text(try subject().titledWords())
        case "string", "safe": return .text(try subject())
        case "escape", "e", "forceescape": return .text(try escaped(try subject()))
        case "replace":
            let parameters = try parameters("old", "new", "count")
            let old = try string(try parameters.required(0, name))
            let new = try string(try parameters.required(1, name))
            return .text(try replaced(old, with: new, in: try subject(), limit: try parameters.integer(2, default: -1)))
        case "indent": return .text(try indented(value, try parameters("width", "first", "blank")))
        case "center":
            let width = try parameters("width").integer(0, default: 80)
            return .text(try padded(try subject(), to: width, with: Text.Letter(" "), as: name))
        case "truncate": return .text(try truncated(value, try parameters("length", "killwords", "end", "leeway")))
        case "wordcount": return .integer(try wordCount(of: try subject()))
        case "format":
            let list = arguments.named.isEmpty ? try tuple(arguments.positional) : .dict(try named(arguments))
            return .text(try formatted(try subject(), list))
        default: return nil
        }
    }

    private func named(_ arguments: Arguments) throws(JinjaError) -> DictBox {
        let box = try registered(DictBox(), elements: arguments.named.count)
        for (name, value) in arguments.named { box.set(name, value) }
        return box
    }

    private func escaped(_ text: Text) throws(JinjaError) -> Text {
        var letters: [Text.Letter] = []
        for letter in text.letters {
            let entity: String? =
                switch letter.scalar {
                case "&": "&amp;"
                case "<": "&lt;"
                case ">": "&gt;"
                case "'": "&#39;"
                case "\"": "&#34;"
                default: nil
                }
            if let entity { letters += Text(entity, mark: letter.mark).letters } else { letters.append(letter) }
        }
        try budget.text(letters.count)
        return Text(letters: letters)
    }

    private func indented(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Text {
        guard case .text(let text) = value else {
            try refuseUndefined(value)
            throw JinjaError(.value, "unsupported operand type(s) for +=: '\(value.typeName)' and 'str'")
        }
        var indent = Text("    ")
        if case .text(let given)? = parameters[0] {
            indent = given
        } else {
            let width = max(0, try parameters.integer(0, default: 4))
            try budget.text(width)
            indent = Text(letters: repeatElement(Text.Letter(" "), count: width))
        }
        let lines = (text + Text("\n")).lines()
        try budget.text(try exact(lines.count.multipliedReportingOverflow(by: indent.count + 1)))
        try budget.text(text.count)
        var letters: [Text.Letter] = []
        for (index, line) in lines.enumerated() {
            if index > 0 { letters.append(Text.Letter("\n")) }
            let isIndented = index == 0 ? parameters.isTrue(1) : parameters.isTrue(2) || !line.isEmpty
            if isIndented { letters += indent.letters }
            letters += line.letters
        }
        return Text(letters: letters)
    }

    private func truncated(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Text {
        let text = try string(value)
        let length = try parameters.integer(0, default: 255)
        let end = try parameters.text(2) ?? Text("...")
        let leeway = try parameters.integer(3, default: 5)
        guard length >= end.count, leeway >= 0 else {
            throw JinjaError(.value, "expected length >= \(end.count), got \(length)")
        }
        if length > text.count || text.count - length <= leeway { return text }
        let head = text.split(at: length - end.count).head
        if parameters.isTrue(1) { return head + end }
        return (head.splitFromEnd(at: Text(" "), limit: 1).first ?? head) + end
    }

    private func wordCount(of text: Text) throws(JinjaError) -> Int {
        var count = 0
        var isInside = false
        for letter in text.letters {
            let isWord =
                letter.scalar == "_" || letter.scalar.isPythonLetter || letter.scalar.properties.numericType != nil
            if isWord, !isInside { count += 1 }
            isInside = isWord
        }
        return count
    }

    // MARK: Anything

    private func valueFilter(
        _ name: String, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value? {
        func parameters(_ names: String...) throws(JinjaError) -> Parameters {
            try Parameters(arguments, names, of: name)
        }
        switch name {
        case "default", "d":
            let parameters = try parameters("default_value", "boolean")
            let isMissing = value.isUndefined || (parameters.isTrue(1) && !value.isTrue)
            return isMissing ? parameters[0] ?? .text(Text("")) : value
        case "attr":
            guard let attribute = try parameters("name").text(0) else {
                throw JinjaError(.value, "attr() is missing a required argument")
            }
            if case .dict = value, !hasMethod(attribute.string, value) {
                return .undefined(Value.Undefined(reason: "'dict object' has no attribute '\(attribute.string)'"))
            }
            return try self.attribute(attribute.string, of: value)
        case "tojson":
            return .text(
                try json(value, try style(try parameters("ensure_ascii", "indent", "separators", "sort_keys"))))
        case "pprint": return .text(try shown(value))
        default: return nil
        }
    }

    private func style(_ parameters: Parameters) throws(JinjaError) -> JSONStyle {
        var style = JSONStyle()
        style.isASCII = parameters.isTrue(0)
        style.sortsKeys = parameters.isTrue(3)
        switch parameters[1] {
        case nil, .some(.none): break
        case .text(let text): style.indent = text
        case .some(let value):
            let width = max(0, value.index ?? 0)
            try budget.text(width)
            style.indent = Text(letters: repeatElement(Text.Letter(" "), count: width))
        }
        if style.indent != nil { style.separator = Text(",") }
        if let separators = parameters[2], !separators.isNone {
            let parts = try elements(of: separators)
            guard parts.count == 2 else { throw JinjaError(.value, "separators must be a pair") }
            (style.separator, style.colon) = (try string(parts[0]), try string(parts[1]))
        }
        return style
    }
}

extension Value {
    var isNone: Bool { if case .none = self { true } else { false } }
}
