// The map for a terminal, in colours or in characters alone.

extension RetentionMap {
    /// The map, a line for each layer, with axis and legend.
    ///
    /// - Parameter width: columns of the terminal.
    public func mapLines(width: Int, inColour: Bool) -> [String] {
        let label = String(layers - 1).count
        let columns = binCount(fitting: max(8, width - label - 13))
        var lines = (0..<layers).map { layer -> String in
            let number = Self.right(String(layer), label)
            let cells = bins(layer: layer, count: columns).map { (Character(" "), Shade($0)) }
            return "\(number) |\(Self.painted(cells, inColour: inColour))| "
                + Self.right(Markup.percent(share(layer: layer)), 7)
        }
        let indent = String(repeating: " ", count: label + 2)
        let last = "\(tokens - 1)"
        let gap = String(repeating: " ", count: max(1, columns - 1 - last.count))
        lines.append(indent + "0" + gap + last + "  position")
        let legend = Shade.all.map { shade in
            Self.painted([(" ", shade), (" ", shade)], inColour: inColour) + " " + shade.meaning
        }
        lines.append("kept: [" + legend.joined(separator: "  ") + "]")
        return lines
    }

    /// The text's first `limit` lines, shaded; nil when it is not known which token stands where.
    ///
    /// Without colours each line is followed by one that shades it.
    public func textLines(width: Int, inColour: Bool, limit: Int) -> (lines: [String], total: Int)? {
        guard let runs = runs() else { return nil }
        let all = Self.lines(runs, width: max(8, width))
        let lines = all.prefix(limit).flatMap { line -> [String] in
            if inColour { return [Self.painted(line.map { (Self.visible($0.character), $0.shade) }, inColour: true)] }
            let text = String(line.map { Self.visible($0.character) })
            let marks = String(line.map(\.shade.character)).trimmingTrailingSpaces()
            return marks.isEmpty ? [text] : [text, marks]
        }
        return (lines, all.count)
    }

    /// A document's character, which may not drive the terminal.
    private static func visible(_ character: Character) -> Character {
        let isControl = character.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) }
        return isControl ? "\u{FFFD}" : character
    }

    /// Characters on their shades' colours, or the shades' own characters.
    private static func painted(_ cells: [(Character, Shade)], inColour: Bool) -> String {
        guard inColour else { return String(cells.map(\.1.character)) }
        var text = ""
        var current: Shade?
        for (character, shade) in cells {
            if shade != current {
                text += "\u{1B}[0m"
                if let (background, ink) = shade.terminalColours { text += "\u{1B}[48;5;\(background);38;5;\(ink)m" }
                current = shade
            }
            text.append(character)
        }
        return text + "\u{1B}[0m"
    }

    private static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

extension String {
    fileprivate func trimmingTrailingSpaces() -> String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
