// Python's values, as far as templates see them.

/// A value while a template runs.
///
/// Lists, dicts, namespaces and scopes are references, as in Python. All of them are registered with the interpreter,
/// which empties them at the end: values that contain themselves, or nest without end, are given back without
/// recursion.
enum Value {
    case undefined(Undefined)
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case text(Text)
    case list(ListBox)
    case tuple(ListBox)
    case dict(DictBox)
    case namespace(DictBox)
    case range(Range)
    /// `dict.keys()`, `.values()` and `.items()`.
    case view(kind: String, ListBox)
    /// What filters like `map` return: gives its elements once.
    case generator(ListBox)
    case loop(LoopBox)
    case macro(MacroBox)
    case function(Function)
    indirect case method(of: Value, String)
    /// `cycler(…)` and `joiner(…)`.
    case cycler(CyclerBox)
    case joiner(CyclerBox)

    /// Why something has no value.
    struct Undefined {
        let reason: String
    }

    /// Python's `range`.
    struct Range: Equatable {
        let start, stop, step: Int

        var count: Int {
            if step > 0 { return start < stop ? (stop - start - 1) / step + 1 : 0 }
            return start > stop ? (start - stop - 1) / -step + 1 : 0
        }
    }

    /// What is there without being defined.
    enum Function: String, CaseIterable {
        case range, dict, namespace, cycler, joiner
        case raise = "raise_exception"
        case now = "strftime_now"
    }

    static func text(_ string: String) -> Value { .text(Text(string)) }

    /// Python's name of the type.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .bool: "bool"
        case .integer: "int"
        case .float: "float"
        case .text: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .dict: "dict"
        case .namespace: "Namespace"
        case .range: "range"
        case .view(let kind, _): kind
        case .generator: "generator"
        case .loop: "LoopContext"
        case .macro: "Macro"
        case .function: "function"
        case .method: "builtin_function_or_method"
        case .cycler: "Cycler"
        case .joiner: "Joiner"
        }
    }

    var isUndefined: Bool { if case .undefined = self { true } else { false } }

    /// Python's `bool(value)`.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .bool(let value): value
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .text(let text): !text.isEmpty
        case .list(let box), .tuple(let box), .view(_, let box): !box.elements.isEmpty
        case .dict(let box): !box.isEmpty
        case .range(let range): range.count > 0
        default: true
        }
    }

    /// The value as a number, `bool` included, nil for anything else.
    var number: Number? {
        switch self {
        case .bool(let value): .integer(value ? 1 : 0)
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        default: nil
        }
    }

    /// The value as Python's `int`, `bool` included.
    var index: Int? { if case .integer(let value) = number { value } else { nil } }
}

/// An `int` or a `float`.
enum Number {
    case integer(Int)
    case float(Double)

    var double: Double {
        switch self {
        case .integer(let value): Double(value)
        case .float(let value): value
        }
    }

    var value: Value {
        switch self {
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        }
    }
}

/// What values refer to.
class Box {
    /// Lets go of everything.
    func empty() {}
}

final class ListBox: Box {
    var elements: [Value]

    init(_ elements: [Value]) { self.elements = elements }

    override func empty() { elements = [] }
}

/// A dict in the order in which its keys came.
final class DictBox: Box {
    /// A key as far as it decides where a value is found: 1, 1.0 and true are one.
    enum Key: Hashable {
        case undefined
        case none
        case text(Text)
        case integer(Int)
        case float(Double)
        indirect case tuple([Key])
    }

    private(set) var keys: [Value] = []
    private(set) var values: [Value] = []
    private var places: [Key: Int] = [:]

    var isEmpty: Bool { keys.isEmpty }
    var count: Int { keys.count }

    subscript(key: Key) -> Value? { places[key].map { values[$0] } }

    subscript(name: String) -> Value? { self[.text(Text(name))] }

    func set(_ name: String, _ value: Value) { set(.text(Text(name)), shownAs: .text(name), value) }

    func set(_ key: Key, shownAs shown: Value, _ value: Value) {
        if let place = places[key] {
            values[place] = value
        } else {
            places[key] = keys.count
            keys.append(shown)
            values.append(value)
        }
    }

    func remove(_ key: Key) -> Value? {
        guard let place = places.removeValue(forKey: key) else { return nil }
        keys.remove(at: place)
        for (key, other) in places where other > place { places[key] = other - 1 }
        return values.remove(at: place)
    }

    override func empty() { (keys, values, places) = ([], [], [:]) }
}

/// A name's values within a loop, a macro or a block; what isn't here is looked for around it.
final class Scope: Box {
    private(set) var outer: Scope?
    var names: [String: Value] = [:]

    init(in outer: Scope?) { self.outer = outer }

    func find(_ name: String) -> Value? {
        var scope: Scope? = self
        while let here = scope {
            if let value = here.names[name] { return value }
            scope = here.outer
        }
        return nil
    }

    override func empty() { (outer, names) = (nil, [:]) }
}

/// A macro, and where it was written.
final class MacroBox: Box {
    let macro: Statement.Macro
    private(set) var scope: Scope?

    init(_ macro: Statement.Macro, in scope: Scope) { (self.macro, self.scope) = (macro, scope) }

    override func empty() { scope = nil }
}

/// `loop` within a loop.
final class LoopBox: Box {
    var elements: [Value]
    var index = 0
    var changed: [Value]?

    init(_ elements: [Value]) { self.elements = elements }

    override func empty() { (elements, changed) = ([], nil) }
}

final class CyclerBox: Box {
    var elements: [Value]
    var position = 0

    init(_ elements: [Value]) { self.elements = elements }

    override func empty() { elements = [] }
}
