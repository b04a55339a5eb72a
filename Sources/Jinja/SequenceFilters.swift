// jinja2's filters of sequences: choosing, mapping, ordering, grouping.

extension Interpreter {
    func sequenceFilter(
        _ name: String, _ value: Value, _ arguments: Arguments
    ) throws(JinjaError) -> Value? {
        func parameters(_ names: String...) throws(JinjaError) -> Parameters {
            try Parameters(arguments, names, of: name)
        }
        switch name {
        case "length", "count": return .integer(try count(of: value))
        case "list": return try list(try elements(of: value))
        case "first": return try elements(of: value).first ?? noItem("first")
        case "last": return try last(of: value)
        case "reverse":
            if case .text(let text) = value { return try self.text(text.reversed()) }
            return try generator(try elements(of: value).reversed())
        case "join": return .text(try joined(value, try parameters("d", "attribute")))
        case "map": return try mapped(value, arguments)
        case "select", "reject": return try selected(value, arguments, keeps: name == "select")
        case "selectattr", "rejectattr":
            return try selectedByAttribute(value, arguments, keeps: name == "selectattr")
        case "sort": return try list(try sorted(value, try parameters("reverse", "case_sensitive", "attribute")))
        case "unique": return try generator(try unique(value, try parameters("case_sensitive", "attribute")))
        case "min", "max":
            return try extreme(value, try parameters("case_sensitive", "attribute"), isMaximum: name == "max")
        case "sum": return try total(value, try parameters("attribute", "start"))
        case "batch": return try batches(value, try parameters("linecount", "fill_with"))
        case "slice": return try slices(value, try parameters("slices", "fill_with"))
        case "groupby": return try groups(value, try parameters("attribute", "default", "case_sensitive"))
        case "dictsort": return try dictSorted(value, try parameters("case_sensitive", "by", "reverse"))
        case "items":
            if value.isUndefined { return try generator([]) }
            guard case .dict(let box) = value else {
                throw JinjaError(.value, "Can only get item pairs from a mapping.")
            }
            return try generator(try items(of: box).elements)
        default: return nil
        }
    }

    private func noItem(_ which: String) -> Value {
        .undefined(Value.Undefined(reason: "No \(which) item, sequence was empty."))
    }

    private func last(of value: Value) throws(JinjaError) -> Value {
        if case .generator = value { throw JinjaError(.value, "'generator' object is not reversible") }
        return try elements(of: value).last ?? noItem("last")
    }

    private func joined(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Text {
        let separator = try parameters[0].map { value throws(JinjaError) in try string(value) } ?? Text("")
        var letters: [Text.Letter] = []
        for (index, element) in try elements(of: value).enumerated() {
            let element =
                try parameters[1].map { path throws(JinjaError) in try self.element(of: element, at: path) }
                ?? element
            let text = try string(element)
            try budget.text(separator.count + text.count)
            if index > 0 { letters += separator.letters }
            letters += text.letters
        }
        return Text(letters: letters)
    }

    /// The value that a path like `"a.b.0"` leads to.
    func element(of value: Value, at path: Value, default standard: Value? = nil) throws(JinjaError) -> Value {
        guard case .text(let path) = path else { return try item(path, of: value) }
        var value = value
        for part in path.split(at: Text("."), limit: -1) {
            let index = part.areAll(\.isASCIIDigit) ? Int(part.string).map { Value.integer($0) } : nil
            value = try item(index ?? .text(part), of: value)
            if let standard, value.isUndefined { value = standard }
        }
        return value
    }

    /// The elements, none of whatever is false: `map` and its like do not look further there.
    private func elementsIfTrue(of value: Value) throws(JinjaError) -> [Value] {
        value.isTrue ? try elements(of: value) : []
    }

    private func mapped(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        var results: [Value] = []
        if arguments.positional.isEmpty {
            let parameters = try Parameters(arguments, ["attribute", "default"], of: "map")
            let path = try parameters.required(0, "map")
            for element in try elementsIfTrue(of: value) {
                results.append(try self.element(of: element, at: path, default: parameters[1]))
            }
            return try generator(results)
        }
        guard case .text(let name) = arguments.positional[0] else {
            throw JinjaError(.value, "map requires a filter argument")
        }
        var rest = arguments
        rest.positional.removeFirst()
        for element in try elementsIfTrue(of: value) {
            results.append(try apply(filter: name.string, to: element, rest))
        }
        return try generator(results)
    }

    private func selected(_ value: Value, _ arguments: Arguments, keeps: Bool) throws(JinjaError) -> Value {
        var results: [Value] = []
        for element in try elementsIfTrue(of: value) where try holds(element, arguments) == keeps {
            results.append(element)
        }
        return try generator(results)
    }

    private func selectedByAttribute(
        _ value: Value, _ arguments: Arguments, keeps: Bool
    ) throws(JinjaError) -> Value {
        guard let path = arguments.positional.first else {
            throw JinjaError(.value, "Missing parameter for attribute name")
        }
        var rest = arguments
        rest.positional.removeFirst()
        var results: [Value] = []
        for element in try elementsIfTrue(of: value) {
            if try holds(try self.element(of: element, at: path), rest) == keeps { results.append(element) }
        }
        return try generator(results)
    }

    /// Whether the test named first holds for a value; whether the value is true where none is named.
    private func holds(_ value: Value, _ arguments: Arguments) throws(JinjaError) -> Bool {
        guard case .text(let name)? = arguments.positional.first else { return value.isTrue }
        var rest = arguments
        rest.positional.removeFirst()
        return try test(name.string, of: value, rest)
    }

    private func batches(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Value {
        let size = try parameters.integer(0, default: 1)
        guard size > 0 else { throw JinjaError(.value, "batch wants a positive number") }
        let elements = try elements(of: value)
        var batches: [Value] = []
        var start = 0
        while start < elements.count {
            var batch = Array(elements[start..<min(start + size, elements.count)])
            if let fill = parameters[1], !fill.isNone, batch.count < size {
                try budget.box(size)
                batch += repeatElement(fill, count: size - batch.count)
            }
            batches.append(try list(batch))
            start += min(size, elements.count)
        }
        return try generator(batches)
    }

    private func slices(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Value {
        let count = try parameters.integer(0, default: 1)
        guard count > 0 else { throw JinjaError(.value, "slice wants a positive number") }
        try budget.box(count)
        let elements = try elements(of: value)
        var slices: [Value] = []
        var start = 0
        for index in 0..<count {
            let isLonger = index < elements.count % count
            let end = start + elements.count / count + (isLonger ? 1 : 0)
            var slice = Array(elements[start..<end])
            if let fill = parameters[1], !fill.isNone, !isLonger { slice.append(fill) }
            slices.append(try list(slice))
            start = end
        }
        return try generator(slices)
    }

    private func total(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Value {
        var total = parameters[1] ?? .integer(0)
        for element in try elements(of: value) {
            var element = element
            if let path = parameters[0], !path.isNone { element = try self.element(of: element, at: path) }
            if case .text = element { throw mismatchOfSum(total, element) }
            total = try combine(total, .add, element)
        }
        return total
    }

    private func mismatchOfSum(_ total: Value, _ element: Value) -> JinjaError {
        JinjaError(.value, "unsupported operand type(s) for +: '\(total.typeName)' and '\(element.typeName)'")
    }

    // MARK: Order

    /// What elements are compared by: the attributes named, in lower case where case doesn't matter.
    private func sortKeys(
        of elements: [Value], by path: Value?, isCaseSensitive: Bool, default standard: Value? = nil
    ) throws(JinjaError) -> [Value] {
        func folded(_ value: Value) throws(JinjaError) -> Value {
            guard !isCaseSensitive, case .text(let text) = value else { return value }
            return try self.text(text.lowercased())
        }
        var keys: [Value] = []
        for element in elements {
            guard let path, !path.isNone else {
                keys.append(try folded(element))
                continue
            }
            var parts: [Value] = [path]
            if case .text(let text) = path { parts = text.split(at: Text(","), limit: -1).map { .text($0) } }
            var key: [Value] = []
            for part in parts { key.append(try folded(try self.element(of: element, at: part, default: standard))) }
            keys.append(key.count == 1 ? key[0] : try tuple(key))
        }
        return keys
    }

    /// A stable merge sort of indices by the keys they stand for: comparing may throw.
    func sorted(_ indices: [Int], by keys: [Value], isReversed: Bool = false) throws(JinjaError) -> [Int] {
        if indices.count < 2 { return indices }
        let middle = indices.count / 2
        let left = try sorted(Array(indices[..<middle]), by: keys, isReversed: isReversed)
        let right = try sorted(Array(indices[middle...]), by: keys, isReversed: isReversed)
        var merged: [Int] = []
        merged.reserveCapacity(indices.count)
        var (first, second) = (0, 0)
        while first < left.count, second < right.count {
            try budget.step()
            let (one, other) = (keys[left[first]], keys[right[second]])
            let takesRight = isReversed ? try isLess(one, other) : try isLess(other, one)
            merged.append(takesRight ? right[second] : left[first])
            if takesRight { second += 1 } else { first += 1 }
        }
        return merged + left[first...] + right[second...]
    }

    private func sorted(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> [Value] {
        let elements = try elements(of: value)
        let keys = try sortKeys(of: elements, by: parameters[2], isCaseSensitive: parameters.isTrue(1))
        return try sorted(Array(elements.indices), by: keys, isReversed: parameters.isTrue(0)).map { elements[$0] }
    }

    private func dictSorted(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Value {
        guard case .dict(let box) = value else {
            try refuseUndefined(value)
            throw JinjaError(.undefined, "'\(value.typeName) object' has no attribute 'items'")
        }
        let by = try parameters.text(1)?.string ?? "key"
        guard by == "key" || by == "value" else {
            throw JinjaError(.value, "You can only sort by either \"key\" or \"value\"")
        }
        let keys = try sortKeys(
            of: by == "key" ? box.keys : box.values, by: nil, isCaseSensitive: parameters.isTrue(0))
        let pairs = try items(of: box).elements
        return try list(try sorted(Array(pairs.indices), by: keys, isReversed: parameters.isTrue(2)).map { pairs[$0] })
    }

    private func unique(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> [Value] {
        let elements = try elements(of: value)
        let keys = try sortKeys(of: elements, by: parameters[1], isCaseSensitive: parameters.isTrue(0))
        var seen: Set<DictBox.Key> = []
        var kept: [Value] = []
        for (element, key) in zip(elements, keys) where seen.insert(try self.key(of: key)).inserted {
            kept.append(element)
        }
        return kept
    }

    private func extreme(_ value: Value, _ parameters: Parameters, isMaximum: Bool) throws(JinjaError) -> Value {
        let elements = try elements(of: value)
        guard !elements.isEmpty else {
            return .undefined(Value.Undefined(reason: "No aggregated item, sequence was empty."))
        }
        let keys = try sortKeys(of: elements, by: parameters[1], isCaseSensitive: parameters.isTrue(0))
        var best = 0
        for index in elements.indices.dropFirst() {
            let isBetter =
                isMaximum ? try isLess(keys[best], keys[index]) : try isLess(keys[index], keys[best])
            if isBetter { best = index }
        }
        return elements[best]
    }

    private func groups(_ value: Value, _ parameters: Parameters) throws(JinjaError) -> Value {
        let elements = try elements(of: value)
        let path = try parameters.required(0, "groupby")
        let keys = try sortKeys(
            of: elements, by: path, isCaseSensitive: parameters.isTrue(2), default: parameters[1])
        let shown = try sortKeys(of: elements, by: path, isCaseSensitive: true, default: parameters[1])
        var groups: [Value] = []
        var members: [Int] = []
        func close() throws(JinjaError) {
            guard let first = members.first else { return }
            groups.append(try tuple([shown[first], try list(members.map { elements[$0] })]))
            members = []
        }
        for index in try sorted(Array(elements.indices), by: keys) {
            if let last = members.last, !(try equal(keys[last], keys[index])) { try close() }
            members.append(index)
        }
        try close()
        return try list(groups)
    }
}
