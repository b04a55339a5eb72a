// Calls of functions, macros and methods.

/// Positional and named arguments against the parameters of a Python function.
struct Parameters {
    private var values: [Value?]

    /// Binds arguments to parameter names; too many of them or unknown names are an error.
    init(_ arguments: Arguments, _ names: [String], of function: String) throws(JinjaError) {
        guard arguments.positional.count <= names.count else {
            throw JinjaError(
                .value,
                "\(function)() takes at most \(names.count) argument(s) (\(arguments.positional.count) given)")
        }
        values =
            arguments.positional.map { Optional($0) }
            + [Value?](repeating: nil, count: names.count - arguments.positional.count)
        for (name, value) in arguments.named {
            guard let place = names.firstIndex(of: name) else {
                throw JinjaError(.value, "\(function)() got an unexpected keyword argument '\(name)'")
            }
            guard values[place] == nil else {
                throw JinjaError(.value, "\(function)() got multiple values for argument '\(name)'")
            }
            values[place] = value
        }
    }

    /// An argument, nil where it wasn't given.
    subscript(_ place: Int) -> Value? { values[place] }

    /// An argument that must be there.
    func required(_ place: Int, _ function: String) throws(JinjaError) -> Value {
        guard let value = values[place] else {
            throw JinjaError(.value, "\(function)() is missing a required argument")
        }
        return value
    }

    func integer(_ place: Int, default standard: Int) throws(JinjaError) -> Int {
        guard let value = values[place] else { return standard }
        guard let index = value.index else {
            throw JinjaError(.value, "'\(value.typeName)' object cannot be interpreted as an integer")
        }
        return index
    }

    func isTrue(_ place: Int) -> Bool { values[place]?.isTrue ?? false }

    func text(_ place: Int) throws(JinjaError) -> Text? {
        switch values[place] {
        case nil, .some(.none): return nil
        case .text(let text): return text
        case .some(let value): throw JinjaError(.value, "expected str, not \(value.typeName)")
        }
    }
}

extension Interpreter {
    func call(_ callee: Value, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch callee {
        case .macro(let box): return try nested { () throws(JinjaError) in try call(box, arguments) }
        case .function(let function): return try call(function, arguments)
        case .method(let value, let name): return try call(method: name, of: value, arguments)
        case .undefined(let undefined): throw JinjaError(.undefined, undefined.reason)
        case .joiner(let box):
            defer { box.position = 1 }
            return box.position == 0 ? .text(Text("")) : box.elements[0]
        case .loop: throw JinjaError(.unsupported, "recursive loops are not supported")
        default: throw JinjaError(.value, "'\(callee.typeName)' object is not callable")
        }
    }

    private func call(_ function: Value.Function, _ arguments: Arguments) throws(JinjaError) -> Value {
        switch function {
        case .range: return try range(arguments)
        case .dict: return .dict(try dict(arguments))
        case .namespace: return .namespace(try dict(arguments))
        case .cycler:
            guard !arguments.positional.isEmpty else {
                throw JinjaError(.value, "at least one item has to be provided")
            }
            return .cycler(try registered(CyclerBox(arguments.positional), elements: arguments.positional.count))
        case .joiner:
            let parameters = try Parameters(arguments, ["sep"], of: "joiner")
            return .joiner(try registered(CyclerBox([parameters[0] ?? .text(", ")])))
        case .raise:
            let parameters = try Parameters(arguments, ["message"], of: function.rawValue)
            let message = try string(try parameters.required(0, function.rawValue)).string
            throw JinjaError(.raised, message)
        case .now:
            let parameters = try Parameters(arguments, ["format"], of: function.rawValue)
            guard let format = try parameters.text(0) else {
                throw JinjaError(.value, "strftime_now() is missing a required argument")
            }
            return try text(try now.formatted(format))
        }
    }

    private func range(_ arguments: Arguments) throws(JinjaError) -> Value {
        guard arguments.named.isEmpty, (1...3).contains(arguments.positional.count) else {
            throw JinjaError(.value, "range expected 1 to 3 arguments")
        }
        var numbers: [Int] = []
        for value in arguments.positional {
            try refuseUndefined(value)
            guard let number = value.index else {
                throw JinjaError(.value, "'\(value.typeName)' object cannot be interpreted as an integer")
            }
            // So that no arithmetic on them overflows.
            guard number.magnitude <= UInt(Int32.max) else {
                throw JinjaError(.limit, "a range lies beyond what is supported")
            }
            numbers.append(number)
        }
        let range =
            switch numbers.count {
            case 1: Value.Range(start: 0, stop: numbers[0], step: 1)
            case 2: Value.Range(start: numbers[0], stop: numbers[1], step: 1)
            default: Value.Range(start: numbers[0], stop: numbers[1], step: numbers[2])
            }
        if range.step == 0 { throw JinjaError(.value, "range() arg 3 must not be zero") }
        guard range.count <= Bounds.range else {
            throw JinjaError(
                .limit, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (\(Bounds.range)).")
        }
        return .range(range)
    }

    /// `dict(other, key=value…)`.
    private func dict(_ arguments: Arguments) throws(JinjaError) -> DictBox {
        let box = try registered(DictBox(), elements: arguments.named.count)
        guard arguments.positional.count <= 1 else { throw JinjaError(.value, "dict expected at most 1 argument") }
        if let source = arguments.positional.first { try update(box, from: source) }
        for (name, value) in arguments.named { box.set(name, value) }
        return box
    }

    func update(_ box: DictBox, from source: Value) throws(JinjaError) {
        if case .dict(let other) = source {
            try budget.box(other.count)
            for (shown, value) in zip(other.keys, other.values) { box.set(try key(of: shown), shownAs: shown, value) }
            return
        }
        for pair in try elements(of: source) {
            let parts = try elements(of: pair)
            guard parts.count == 2 else {
                throw JinjaError(.value, "dictionary update sequence element has length \(parts.count); 2 is required")
            }
            try budget.box(1)
            box.set(try key(of: parts[0]), shownAs: parts[0], parts[1])
        }
    }
}

extension Moment {
    /// Python's `strftime` in the C locale.
    func formatted(_ format: Text) throws(JinjaError) -> Text {
        var letters: [Text.Letter] = []
        var rest = format.letters[...]
        while let letter = rest.popFirst() {
            guard letter.scalar == "%", var code = rest.popFirst() else {
                letters.append(letter)
                continue
            }
            var pads = true
            if code.scalar == "-", let next = rest.popFirst() { (pads, code) = (false, next) }
            guard let part = part(code.scalar, pads: pads) else {
                throw JinjaError(.unsupported, "strftime_now does not know %\(code.scalar)")
            }
            letters += Text(part).letters
        }
        return Text(letters: letters)
    }

    private static let days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]
    private static let months = [
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ]

    private func part(_ code: Unicode.Scalar, pads: Bool) -> String? {
        func number(_ value: Int, _ width: Int = 2, with pad: String = "0") -> String {
            let text = "\(value)"
            return pads ? String(repeating: pad, count: max(0, width - text.count)) + text : text
        }
        let monthName = Self.months[min(max(month, 1), 12) - 1]
        let hour12 = (hour + 11) % 12 + 1
        return switch code {
        case "Y": number(year, 4)
        case "y": number(year % 100)
        case "m": number(month)
        case "d": number(day)
        case "e": number(day, with: " ")
        case "B": monthName
        case "b", "h": String(monthName.prefix(3))
        case "A": Self.days[weekday]
        case "a": String(Self.days[weekday].prefix(3))
        case "H": number(hour)
        case "I": number(hour12)
        case "M": number(minute)
        case "S": number(second)
        case "p": hour < 12 ? "AM" : "PM"
        case "j": number(dayOfYear, 3)
        case "u": "\(weekday == 0 ? 7 : weekday)"
        case "w": "\(weekday)"
        case "F": "\(number(year, 4))-\(number(month))-\(number(day))"
        case "D", "x": "\(number(month))/\(number(day))/\(number(year % 100))"
        case "T", "X": "\(number(hour)):\(number(minute)):\(number(second))"
        case "R": "\(number(hour)):\(number(minute))"
        case "f": number(0, 6)
        case "z", "Z": ""
        case "n": "\n"
        case "t": "\t"
        case "%": "%"
        default: nil
        }
    }

    /// Days from 1 March of year 0 of the Gregorian calendar, which puts leap days at the end of a year.
    private var dayNumber: Int {
        let (year, month) = month < 3 ? (year - 1, month + 9) : (year, month - 3)
        return 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1
    }

    /// 0 is Sunday.
    private var weekday: Int { ((dayNumber + 3) % 7 + 7) % 7 }

    private var dayOfYear: Int { dayNumber - Moment(year: year, month: 1, day: 1).dayNumber + 1 }
}
