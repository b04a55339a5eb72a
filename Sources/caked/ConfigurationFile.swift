// The configuration file: a YAML mapping of scalars; everything else of YAML is refused with its line.

import Yams

/// A key of the file with its value.
struct FileSetting: Equatable {
    var key: String
    var value: String
    var line: Int
}

/// What a configuration file says, and what in it says nothing.
struct ConfigurationFile {
    var settings: [FileSetting] = []
    /// What is wrong with the file itself; whether the settings make sense is looked at elsewhere.
    var problems: [ConfigurationProblem] = []
    /// Whether it is YAML at all: where it is not, no setting could be read.
    var isReadable = true

    /// A message quotes no more of a line than a screen shows.
    private static let maxQuotedCharacters = 120

    private let path: String
    private var lines: [Substring]

    /// Reads the text of the file at `path`, which is used for messages only.
    init(_ text: String, path: String) {
        self.path = path
        lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        do {
            try compose()
        } catch .duplicatedKeysInMapping(let keys, _) where removeRepetitions(of: keys) {
            do {
                try compose()
            } catch {
                refuse(error)
            }
        } catch {
            refuse(error)
        }
    }

    private mutating func compose() throws(YamlError) {
        // The parser compares the keys of a mapping, and a key made of aliases of aliases has no end.
        if let line = lines.firstIndex(where: { $0.firstMatch(of: /^[^#]*(^|[\s,:?\[{-])\*[A-Za-z0-9_-]/) != nil }) {
            isReadable = false
            return refuse(line: line + 1, "values written out, not an alias")
        }
        do {
            let parser = try Parser(yaml: lines.joined(separator: "\n"), resolver: .basic, encoding: .utf8)
            // The nodes' anchors live as long as the parser.
            try withExtendedLifetime(parser) { take(try parser.singleRoot()) }
        } catch let error as YamlError {
            throw error
        } catch {
            throw .reader(problem: "\(error)", offset: nil, value: -1, yaml: "")
        }
    }

    private mutating func take(_ root: Node?) {
        guard let root, !Self.isNull(root) else { return }
        guard case .mapping(let mapping) = root, root.anchor == nil, root.tag == Tag(.map) else {
            isReadable = false
            return refuse(line: root.mark?.line ?? 1, "a mapping, `key: value` line by line")
        }
        for (key, value) in mapping {
            let line = key.mark?.line ?? 1
            guard let name = Self.text(key), let text = Self.text(value) else {
                refuse(line: line, "one plain or quoted value; lists, mappings, anchors and tags have no meaning here")
                continue
            }
            // An empty value is YAML's null: the setting keeps its default.
            if !Self.isNull(value) { settings.append(FileSetting(key: name, value: text, line: line)) }
        }
    }

    /// A scalar's text; nil for anything else.
    ///
    /// The basic resolver calls every scalar without a tag a string.
    private static func text(_ node: Node) -> String? {
        node.anchor == nil && node.tag == Tag(.str) ? node.scalar?.string : nil
    }

    private static func isNull(_ node: Node) -> Bool {
        guard let scalar = node.scalar, scalar.style == .plain else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    /// Reports and empties every line that says one of `keys` again, so that the rest can be judged.
    ///
    /// False if there is no such line.
    private mutating func removeRepetitions(of keys: [String]) -> Bool {
        let before = problems.count
        for key in keys {
            let places = lines.indices.filter { lines[$0].hasPrefix(key + ":") }
            for index in places.dropFirst() {
                refuse(line: index + 1, "each key once (`\(key)` stands in line \(places[0] + 1) already)")
                lines[index] = ""
            }
        }
        return problems.count > before
    }

    private mutating func refuse(_ error: YamlError) {
        isReadable = false
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            refuse(line: mark.line, "YAML, one `key: value` a line, each at the margin (\(problem))")
        case .duplicatedKeysInMapping(let keys, let context):
            refuse(line: context.mark.line, "each key once (\(keys.joined(separator: ", ")) more often)")
        case .reader(let problem, _, _, _):
            problems.append(.init(source: path, key: nil, value: "a file", wanted: "YAML (\(problem))"))
        default:
            problems.append(.init(source: path, key: nil, value: "a file", wanted: "YAML (\(error))"))
        }
    }

    private mutating func refuse(line: Int, _ wanted: String) {
        // A mark may stand behind the last line.
        let text = lines.indices.contains(line - 1) ? String(lines[line - 1].prefix(Self.maxQuotedCharacters)) : ""
        problems.append(.init(source: "\(path):\(line)", key: nil, value: text, wanted: wanted))
    }
}
