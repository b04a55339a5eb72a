// What was kept of a document: layers against positions, and the text by how much of it survived.

/// The kept positions of every layer and KV head, ready to be drawn.
public struct RetentionMap: Sendable {
    let name: String
    let tokens: Int
    /// How many heads of each layer keep a position, `[layer][position]`.
    private let kept: [[Int]]
    private let heads: Int
    let text: String?
    private let offsets: [Int]?

    /// The shares of characters of the text that look alike.
    struct Run: Equatable {
        var text: String
        var shade: Shade
    }

    /// Counts who keeps what.
    ///
    /// - Parameters:
    ///   - positions: of every layer and KV head; what lies beyond the document is left out.
    ///   - offsets: where each token begins in the text's UTF-8, `tokens + 1` numbers that never fall.
    public init(name: String, tokens: Int, positions: [[[Int]]], text: String?, offsets: [Int]?) {
        self.name = name
        self.tokens = tokens
        self.text = text
        heads = max(1, positions.map(\.count).max() ?? 1)
        kept = positions.map { layer in
            var counts = [Int](repeating: 0, count: tokens)
            for position in layer.joined() where counts.indices.contains(position) { counts[position] += 1 }
            return counts
        }
        self.offsets = offsets?.count == tokens + 1 ? offsets : nil
    }

    /// Layers.
    public var layers: Int { kept.count }

    /// The share of all entries that is kept.
    public var keptShare: Double {
        share(kept.reduce(0) { $0 + $1.reduce(0, +) }, of: layers * heads * tokens)
    }

    /// The share of a layer's entries that is kept.
    func share(layer: Int) -> Double { share(kept[layer].reduce(0, +), of: heads * tokens) }

    /// The share of a layer's entries kept in each of `count` equal stretches of the document.
    func bins(layer: Int, count: Int) -> [Double] {
        (0..<count).map { bin in
            let (first, last) = (bin * tokens / count, max(bin * tokens / count + 1, (bin + 1) * tokens / count))
            let stretch = first..<min(last, tokens)
            return share(stretch.reduce(0) { $0 + kept[layer][$1] }, of: heads * stretch.count)
        }
    }

    /// How many stretches a map of some width can show.
    func binCount(fitting width: Int) -> Int { max(1, min(width, tokens)) }

    /// The share of layers and heads that keep each token.
    public var survival: [Double] {
        (0..<tokens).map { token in share(kept.reduce(0) { $0 + $1[token] }, of: layers * heads) }
    }

    private func share(_ part: Int, of whole: Int) -> Double { whole > 0 ? Double(part) / Double(whole) : 0 }

    /// The text in stretches of one shade; nil when it is not known which token stands where.
    ///
    /// A character that several tokens share has the shade of the one that survived best.
    func runs() -> [Run]? {
        guard let text, let offsets else { return nil }
        let survival = survival
        var runs: [Run] = []
        var (token, place) = (0, 0)
        for character in text {
            let end = place + character.utf8.count
            var share = 0.0
            while token < tokens, offsets[token + 1] <= place { token += 1 }
            var other = token
            while other < tokens, offsets[other] < end {
                if offsets[other + 1] > place { share = max(share, survival[other]) }
                other += 1
            }
            place = end
            let shade = Shade(share)
            if let last = runs.indices.last, runs[last].shade == shade {
                runs[last].text.append(character)
            } else {
                runs.append(Run(text: String(character), shade: shade))
            }
        }
        return runs
    }

    /// The runs of each line of at most `width` characters; lines break at spaces where they can.
    static func lines(_ runs: [Run], width: Int) -> [[(character: Character, shade: Shade)]] {
        var lines: [[(character: Character, shade: Shade)]] = []
        var line: [(character: Character, shade: Shade)] = []
        for run in runs {
            for character in run.text {
                if character.isNewline {
                    lines.append(line)
                    line = []
                    continue
                }
                if line.count == max(1, width) {
                    let cut = line.lastIndex { $0.character == " " }.map { $0 + 1 } ?? line.count
                    // Only a line that is mostly full is broken at its last space.
                    let end = cut > width / 2 ? cut : line.count
                    lines.append(Array(line[..<end]))
                    line = Array(line[end...])
                }
                line.append((character == "\t" ? " " : character, run.shade))
            }
        }
        if !line.isEmpty { lines.append(line) }
        return lines
    }
}
