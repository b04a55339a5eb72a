// Python's methods of strings, lists and dicts.

extension Interpreter {
    private static let textMethods: Set<String> = [
        "capitalize", "casefold", "center", "count", "endswith", "find", "format", "index", "isalnum", "isalpha",
        "isascii",
        "isdecimal", "isdigit", "islower", "isnumeric", "isspace", "istitle", "isupper", "join", "ljust", "lower",
        "lstrip",
        "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition", "rsplit",
        "rstrip",
        "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper", "zfill",
    ]
    private static let listMethods: Set<String> = [
        "append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse",
    ]
    private static let tupleMethods: Set<String> = ["count", "index"]
    private static let dictMethods: Set<String> = [
        "clear", "copy", "get", "items", "keys", "pop", "setdefault", "update", "values",
    ]

    func hasMethod(_ name: String, _ value: Value) -> Bool {
        switch value {
        case .text: Self.textMethods.contains(name)
        case .list: Self.listMethods.contains(name)
        case .tuple: Self.tupleMethods.contains(name)
        case .dict: Self.dictMethods.contains(name)
        case .cycler: name == "next" || name == "reset"
        default: false
        }
    }

    func call(method name: String, of value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch value {
        case .text(let text):
            try budget.text(text.count)
            return try call(name, of: text, arguments)
        case .list(let box): return try call(name, of: box, arguments)
        case .tuple(let box): return try call(name, of: box, arguments)
        case .dict(let box): return try call(name, of: box, arguments)
        case .cycler(let box):
            defer { box.position = name == "next" ? (box.position + 1) % box.elements.count : 0 }
            return name == "next" ? box.elements[box.position] : .none
        case .loop(let loop):
            if name == "cycle" {
                guard !arguments.positional.isEmpty else { throw JinjaError(.value, "no items for cycling given") }
                return arguments.positional[loop.index % arguments.positional.count]
            }
            defer { loop.changed = arguments.positional }
            guard let last = loop.changed, last.count == arguments.positional.count else { return .bool(true) }
            for (old, new) in zip(last, arguments.positional) where !(try equal(old, new)) { return .bool(true) }
            return .bool(false)
        default: throw JinjaError(.value, "'\(value.typeName)' object has no method '\(name)'")
        }
    }

    // MARK: Strings

    private func call(_ name: String, of text: Text, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch name {
        case "strip", "lstrip", "rstrip":
            let parameters = try Parameters(arguments, ["chars"], of: name)
            let ends: Text.Ends = name == "strip" ? .both : name == "lstrip" ? .start : .end
            return .text(text.stripped(ends, of: try parameters.text(0)))
        case "split", "rsplit": return try split(text, name, arguments)
        case "splitlines":
            let parameters = try Parameters(arguments, ["keepends"], of: name)
            return try list(text.lines(keepingEnds: parameters.isTrue(0)).map { .text($0) })
        case "startswith", "endswith": return .bool(try touches(text, name, arguments))
        case "upper": return .text(text.uppercased())
        case "lower", "casefold": return .text(text.lowercased())
        case "title": return .text(text.titled())
        case "capitalize": return .text(text.capitalized())
        case "swapcase": return .text(text.caseSwapped())
        case "replace": return .text(try replace(in: text, arguments))
        case "find", "rfind", "index", "rindex", "count": return try find(in: text, name, arguments)
        case "join":
            return .text(try join(try Parameters(arguments, ["iterable"], of: name).required(0, name), with: text))
        case "format": return try self.text(try formatted(text, arguments))
        case "removeprefix", "removesuffix":
            let part = try requiredText(arguments, name)
            if name == "removeprefix" {
                return .text(text.hasPrefix(part) ? text.split(at: part.count).tail : text)
            }
            return .text(text.hasSuffix(part) ? text.split(at: text.count - part.count).head : text)
        case "partition", "rpartition": return try partition(text, try requiredText(arguments, name), name)
        case "center", "ljust", "rjust", "zfill": return .text(try padded(text, name, arguments))
        default: return .bool(isOfClass(text, name))
        }
    }

    private func requiredText(_ arguments: Arguments, _ name: String) throws(JinjaError) -> Text {
        guard let text = try Parameters(arguments, ["part"], of: name).text(0) else {
            throw JinjaError(.value, "\(name)() is missing a required argument")
        }
        return text
    }

    private func isOfClass(_ text: Text, _ name: String) -> Bool {
        switch name {
        case "isascii": text.letters.allSatisfy { $0.value < 0x80 }
        case "isspace": text.areAll(\.isPythonSpace)
        case "isalpha": text.areAll(\.isPythonLetter)
        case "isalnum": text.areAll { $0.isPythonLetter || $0.properties.numericType != nil }
        case "isnumeric": text.areAll { $0.properties.numericType != nil }
        case "isdigit": text.areAll { $0.properties.numericType == .digit || $0.properties.numericType == .decimal }
        case "isdecimal": text.areAll { $0.properties.numericType == .decimal }
        case "isupper": text.hasOnlyCase(upper: true)
        case "islower": text.hasOnlyCase(upper: false)
        default: text.letters.contains { $0.scalar.properties.isCased } && text.titled() == text
        }
    }

    private func split(_ text: Text, _ name: String, _ arguments: Arguments) throws(JinjaError) -> Value {
        let parameters = try Parameters(arguments, ["sep", "maxsplit"], of: name)
        let limit = try parameters.integer(1, default: -1)
        guard let separator = try parameters.text(0) else {
            let parts = name == "split" ? text.splitAtSpace(limit: limit) : text.splitAtSpaceFromEnd(limit: limit)
            return try list(parts.map { .text($0) })
        }
        if separator.isEmpty { throw JinjaError(.value, "empty separator") }
        let parts =
            name == "split"
            ? text.split(at: separator, limit: limit) : text.splitFromEnd(at: separator, limit: limit)
        return try list(parts.map { .text($0) })
    }

    private func touches(_ text: Text, _ name: String, _ arguments: Arguments) throws(JinjaError) -> Bool {
        let parameters = try Parameters(arguments, ["prefix", "start", "end"], of: name)
        let range = try self.range(parameters, of: text)
        let part = Text(letters: text.letters[range])
        let given = try parameters.required(0, name)
        var candidates = [given]
        if case .tuple(let box) = given { candidates = box.elements }
        for candidate in candidates {
            guard case .text(let candidate) = candidate else {
                throw JinjaError(
                    .value, "\(name) first arg must be str or a tuple of str, not \(candidate.typeName)")
            }
            if name == "startswith" ? part.hasPrefix(candidate) : part.hasSuffix(candidate) { return true }
        }
        return false
    }

    /// The range that the arguments `start` and `end` take, at places 1 and 2.
    private func range(_ parameters: Parameters, of text: Text) throws(JinjaError) -> Range<Int> {
        func place(_ index: Int) -> Int { min(max(index < 0 ? index + text.count : index, 0), text.count) }
        let start = place(try parameters.integer(1, default: 0))
        return start..<max(start, place(try parameters.integer(2, default: text.count)))
    }

    private func find(in text: Text, _ name: String, _ arguments: Arguments) throws(JinjaError) -> Value {
        let parameters = try Parameters(arguments, ["sub", "start", "end"], of: name)
        guard let part = try parameters.text(0) else { throw JinjaError(.value, "must be str, not None") }
        let range = try range(parameters, of: text)
        if name == "count" { return .integer(Text(letters: text.letters[range]).occurrences(of: part)) }
        let place =
            name.hasPrefix("r")
            ? text.lastIndex(of: part, in: range)
            : text.index(of: part, from: range.lowerBound, to: range.upperBound)
        if place == nil, name.hasSuffix("index") { throw JinjaError(.value, "substring not found") }
        return .integer(place ?? -1)
    }

    private func replace(in text: Text, _ arguments: Arguments) throws(JinjaError) -> Text {
        let parameters = try Parameters(arguments, ["old", "new", "count"], of: "replace")
        guard let old = try parameters.text(0), let new = try parameters.text(1) else {
            throw JinjaError(.value, "replace expected at least 2 arguments")
        }
        return try replaced(old, with: new, in: text, limit: try parameters.integer(2, default: -1))
    }

    /// Replaces once it is known that the result is bearable.
    func replaced(_ old: Text, with new: Text, in text: Text, limit: Int) throws(JinjaError) -> Text {
        let found = text.occurrences(of: old)
        let count = limit < 0 ? found : min(limit, found)
        try budget.text(try exact(count.multipliedReportingOverflow(by: new.count)))
        try budget.text(text.count)
        return text.replacing(old, with: new, limit: limit)
    }

    private func partition(_ text: Text, _ separator: Text, _ name: String) throws(JinjaError) -> Value {
        if separator.isEmpty { throw JinjaError(.value, "empty separator") }
        let isLast = name == "rpartition"
        let place =
            isLast ? text.lastIndex(of: separator, in: 0..<text.count) : text.index(of: separator)
        guard let place else {
            let parts = isLast ? [Text(""), Text(""), text] : [text, Text(""), Text("")]
            return try tuple(parts.map { .text($0) })
        }
        let (head, tail) = (text.split(at: place).head, text.split(at: place + separator.count).tail)
        return try tuple([.text(head), .text(separator), .text(tail)])
    }

    private func padded(_ text: Text, _ name: String, _ arguments: Arguments) throws(JinjaError) -> Text {
        let parameters = try Parameters(arguments, ["width", "fillchar"], of: name)
        let width = try parameters.integer(0, default: 0)
        let fill = try parameters.text(1)?.letters.first ?? Text.Letter(name == "zfill" ? "0" : " ")
        return try padded(text, to: width, with: fill, as: name)
    }

    func padded(_ text: Text, to width: Int, with fill: Text.Letter, as name: String) throws(JinjaError) -> Text {
        let missing = width > text.count ? width - text.count : 0
        try budget.text(missing)
        // As CPython has it: of an odd number the larger half goes left where the width is odd too.
        let left =
            switch name {
            case "center": missing / 2 + (missing & width & 1)
            case "ljust": 0
            default: missing
            }
        let before = Text(letters: repeatElement(fill, count: left))
        let after = Text(letters: repeatElement(fill, count: missing - left))
        if name == "zfill", let sign = text.letters.first, sign.scalar == "-" || sign.scalar == "+" {
            return Text(letters: [sign]) + before + text.split(at: 1).tail
        }
        return before + text + after
    }

    /// `separator.join(value)`, for texts only.
    private func join(_ value: Value, with separator: Text) throws(JinjaError) -> Text {
        var letters: [Text.Letter] = []
        for (index, element) in try elements(of: value).enumerated() {
            guard case .text(let text) = element else {
                throw JinjaError(
                    .value, "sequence item \(index): expected str instance, \(element.typeName) found")
            }
            if index > 0 { letters += separator.letters }
            try budget.text(separator.count + text.count)
            letters += text.letters
        }
        return Text(letters: letters)
    }

    // MARK: Lists

    private func call(_ name: String, of box: ListBox, _ arguments: Arguments) throws(JinjaError) -> Value {
        let given = arguments.positional
        func argument(_ place: Int) throws(JinjaError) -> Value {
            guard given.indices.contains(place), arguments.named.isEmpty else {
                throw JinjaError(.value, "\(name)() was called with wrong arguments")
            }
            return given[place]
        }
        try budget.step(box.elements.count / Bounds.lettersPerStep)
        switch name {
        case "append":
            try budget.box(1)
            box.elements.append(try argument(0))
        case "extend":
            let more = try elements(of: try argument(0))
            try budget.box(more.count)
            box.elements += more
        case "insert":
            guard let index = try argument(0).index else { throw JinjaError(.value, "an index must be an integer") }
            let count = box.elements.count
            try budget.box(1)
            box.elements.insert(try argument(1), at: min(max(index < 0 ? index + count : index, 0), count))
        case "pop":
            let index = given.isEmpty ? -1 : try argument(0).index ?? 0
            let place = index < 0 ? index + box.elements.count : index
            guard box.elements.indices.contains(place) else {
                throw JinjaError(.value, box.elements.isEmpty ? "pop from empty list" : "pop index out of range")
            }
            return box.elements.remove(at: place)
        case "clear": box.elements = []
        case "copy": return try list(box.elements)
        case "reverse": box.elements.reverse()
        case "count":
            var count = 0
            for element in box.elements where try equal(element, try argument(0)) { count += 1 }
            return .integer(count)
        default:
            for (index, element) in box.elements.enumerated() where try equal(element, try argument(0)) {
                if name == "index" { return .integer(index) }
                box.elements.remove(at: index)
                return .none
            }
            throw JinjaError(.value, "\(try shown(try argument(0)).string) is not in list")
        }
        return .none
    }

    // MARK: Dicts

    private func call(_ name: String, of box: DictBox, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch name {
        case "get":
            let parameters = try Parameters(arguments, ["key", "default"], of: name)
            return box[try key(of: try parameters.required(0, name))] ?? parameters[1] ?? .none
        case "items": return .view(kind: "dict_items", try items(of: box))
        case "keys": return .view(kind: "dict_keys", try registered(ListBox(box.keys), elements: box.count))
        case "values": return .view(kind: "dict_values", try registered(ListBox(box.values), elements: box.count))
        case "copy":
            let copy = try registered(DictBox(), elements: box.count)
            try update(copy, from: .dict(box))
            return .dict(copy)
        case "clear":
            box.empty()
            return .none
        case "update":
            if let source = arguments.positional.first { try update(box, from: source) }
            try budget.box(arguments.named.count)
            for (name, value) in arguments.named { box.set(name, value) }
            return .none
        case "setdefault":
            let parameters = try Parameters(arguments, ["key", "default"], of: name)
            let shown = try parameters.required(0, name)
            let key = try key(of: shown)
            if let value = box[key] { return value }
            try budget.box(1)
            box.set(key, shownAs: shown, parameters[1] ?? .none)
            return parameters[1] ?? .none
        default:
            let parameters = try Parameters(arguments, ["key", "default"], of: name)
            try budget.step(box.count)
            let shown = try parameters.required(0, name)
            if let value = box.remove(try key(of: shown)) ?? parameters[1] { return value }
            throw JinjaError(.value, "there is no key \(try self.shown(shown).string)")
        }
    }

    func items(of box: DictBox) throws(JinjaError) -> ListBox {
        var pairs: [Value] = []
        for (key, value) in zip(box.keys, box.values) { pairs.append(try tuple([key, value])) }
        return try registered(ListBox(pairs), elements: pairs.count)
    }
}

extension Unicode.Scalar {
    /// What Python's `str.isalpha` takes for a letter.
    var isPythonLetter: Bool {
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: true
        default: false
        }
    }
}
