// The configuration file: YAML with one level, read without a YAML library because that would bring all of Foundation
// into the daemon for what is a list of settings.

/// A line `key: value` of the file.
struct FileSetting: Equatable {
    var key: String
    var value: String
    var line: Int
}

/// A mapping of scalars: `key: value` lines, comments, quotes; everything else of YAML is refused with its line.
struct FlatYAML {
    var settings: [FileSetting] = []
    /// What is wrong with the file, line by line.
    var problems: [ConfigurationProblem] = []

    init(_ text: String, file: String) {
        var lines: [String: Int] = [:]
        for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let number = index + 1
            let line = raw.hasSuffix("\r") ? raw.dropLast() : raw
            guard let first = line.first(where: { !$0.isWhitespace }), first != "#" else { continue }
            if line == "---", settings.isEmpty { continue }
            func refuse(_ wanted: String) {
                problems.append(.init(source: "\(file):\(number)", key: nil, value: String(line), wanted: wanted))
            }
            guard let colon = line.firstIndex(of: ":"), line.first?.isWhitespace == false else {
                refuse("a line `key: value` that begins at the margin")
                continue
            }
            let key = String(line[..<colon])
            let rest = line[line.index(after: colon)...]
            guard rest.isEmpty || rest.first?.isWhitespace == true else {
                refuse("a space after the colon")
                continue
            }
            guard let value = Self.scalar(rest) else {
                refuse("one plain or quoted value; lists, mappings and blocks have no meaning here")
                continue
            }
            if let earlier = lines[key] {
                refuse("each key once (`\(key)` stands in line \(earlier) already)")
                continue
            }
            lines[key] = number
            // An empty value is YAML's null: the setting keeps its default.
            if let value = value.text { settings.append(FileSetting(key: key, value: value, line: number)) }
        }
    }

    /// A scalar's text, nil where there is none; the whole is nil when it is no scalar.
    private static func scalar(_ text: Substring) -> (text: String?, Void)? {
        let trimmed = text.drop(while: \.isWhitespace)
        guard let first = trimmed.first, first != "#" else { return (nil, ()) }
        if first == "\"" || first == "'" {
            let inside = trimmed.dropFirst()
            guard let end = inside.firstIndex(of: first) else { return nil }
            let after = inside[inside.index(after: end)...].drop(while: \.isWhitespace)
            // Escapes would need a library; no setting needs one.
            guard after.isEmpty || after.first == "#", !(first == "\"" && inside[..<end].contains("\\")) else {
                return nil
            }
            return (String(inside[..<end]), ())
        }
        guard !"[]{}&*!|>@`,%?".contains(first), !trimmed.hasPrefix("- ") else { return nil }
        var end = trimmed.endIndex
        var previous: Character = "x"
        for index in trimmed.indices {
            if trimmed[index] == "#", previous.isWhitespace {
                end = index
                break
            }
            previous = trimmed[index]
        }
        var plain = trimmed[..<end]
        while plain.last?.isWhitespace == true { plain.removeLast() }
        if plain.contains(": ") || plain.hasSuffix(":") { return nil }
        return (plain == "~" || plain == "null" ? nil : String(plain), ())
    }
}
