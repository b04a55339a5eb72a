// JSON of the fixtures as data for templates, the order of keys kept.

import Foundation
import Jinja

/// A reader of well-formed JSON: Foundation's loses the order of keys, which templates show.
struct JSONDatum {
    private var rest: Substring.UnicodeScalarView

    static func read(_ text: String) -> Datum {
        var reader = JSONDatum(rest: text.unicodeScalars[...])
        return reader.value()
    }

    private mutating func skip() { rest = rest.drop { " \n\t\r".unicodeScalars.contains($0) } }

    private mutating func value() -> Datum {
        skip()
        switch rest.first {
        case "{":
            var entries: [Datum.Entry] = []
            elements(until: "}") { reader in
                reader.skip()
                let key = reader.string()
                reader.skip()
                reader.rest.removeFirst()
                entries.append(Datum.Entry(key, reader.value()))
            }
            return .dict(entries)
        case "[":
            var list: [Datum] = []
            elements(until: "]") { reader in list.append(reader.value()) }
            return .list(list)
        case "\"": return .text(string())
        default:
            let word = String(rest.prefix { !",]} \n".unicodeScalars.contains($0) })
            rest = rest.dropFirst(word.unicodeScalars.count)
            return switch word {
            case "true": .bool(true)
            case "false": .bool(false)
            case "null": .none
            default: Int(word).map { .integer($0) } ?? .float(Double(word) ?? .nan)
            }
        }
    }

    private mutating func elements(until end: Unicode.Scalar, _ read: (inout JSONDatum) -> Void) {
        rest.removeFirst()
        skip()
        while let next = rest.first, next != end {
            if next == "," { rest.removeFirst() }
            read(&self)
            skip()
        }
        rest.removeFirst()
    }

    private mutating func string() -> String {
        var literal = "\""
        rest.removeFirst()
        while let next = rest.popFirst(), next != "\"" {
            literal.unicodeScalars.append(next)
            if next == "\\", let escaped = rest.popFirst() { literal.unicodeScalars.append(escaped) }
        }
        let decoded = try? JSONDecoder().decode(String.self, from: Data((literal + "\"").utf8))
        return decoded ?? ""
    }
}

extension Datum {
    subscript(key: String) -> Datum? {
        guard case .dict(let entries) = self else { return nil }
        return entries.first { $0.key == key }?.value
    }

    var entries: [Entry] { if case .dict(let entries) = self { entries } else { [] } }
    var elements: [Datum] { if case .list(let elements) = self { elements } else { [] } }
    var string: String? { if case .text(let text) = self { text.string } else { nil } }
}
