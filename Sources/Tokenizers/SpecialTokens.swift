// Finds the tokens that stand for themselves in a text: a template's special ones, and those a file finds in any text.

/// The control and user-defined tokens of a vocabulary, as a tree of their bytes.
///
/// Control tokens are found in text of a template only; user-defined ones in any text, before it is cut into pieces, as
/// in llama.cpp. Those that look like a mark of a chat are the template's, whatever a file calls them, so that nobody's
/// text can open or close a turn.
struct SpecialTokens: Sendable {
    /// A stretch of ordinary text, or one special token.
    enum Part: Equatable {
        case text(Range<Int>)
        case token(Int32)
    }

    /// A byte of the tokens that begin with those above it; -1 for none.
    private struct Node: Sendable {
        let byte: UInt8
        var child: Int32 = -1
        var sibling: Int32 = -1
        /// The token that ends here, where a template's words are looked for.
        var inTemplate: Int32 = -1
        /// The token that ends here, in any text.
        var anywhere: Int32 = -1
    }

    private var nodes: [Node] = []
    /// The node of each first byte: of all tokens, and of those that are found anywhere.
    private var roots = [Int32](repeating: -1, count: 256)
    private var rootsAnywhere = [Int32](repeating: -1, count: 256)
    private var hasAnywhere = false

    /// Collects the control and user-defined tokens; of two spelt alike the first counts.
    init(tokens: [String], kinds: [Vocabulary.Kind]) throws(TokenizerError) {
        for (index, kind) in kinds.enumerated() where kind == .control || kind == .userDefined {
            let (text, id) = (Array(tokens[index].utf8), Int32(truncatingIfNeeded: index))
            guard text.count <= Lexicon.longestTokenBytes else {
                throw .tokenTooLong(id: id, bytes: text.count, maximum: Lexicon.longestTokenBytes)
            }
            insert(text, id, isAnywhere: kind == .userDefined && !Self.isMark(tokens[index]))
        }
    }

    /// Whether a token looks like one that structures a chat (llama.cpp's converters tell control tokens so).
    static func isMark(_ text: String) -> Bool {
        text.hasPrefix("<|") && text.hasSuffix("|>") || text.hasPrefix("<｜") && text.hasSuffix("｜>")
            || marks.contains(text)
    }

    private static let marks: Set<String> = [
        "<s>", "<bos>", "<eos>", "<pad>", "<start_of_turn>", "<|turn>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
    ]

    private mutating func insert(_ text: [UInt8], _ id: Int32, isAnywhere: Bool) {
        guard let first = text.first else { return }
        var node = Int(roots[Int(first)])
        if node < 0 {
            node = add(first)
            roots[Int(first)] = Int32(truncatingIfNeeded: node)
        }
        if isAnywhere {
            rootsAnywhere[Int(first)] = Int32(truncatingIfNeeded: node)
            hasAnywhere = true
        }
        for byte in text.dropFirst() {
            var child = self.child(of: node, byte)
            if child < 0 {
                child = add(byte)
                nodes[child].sibling = nodes[node].child
                nodes[node].child = Int32(truncatingIfNeeded: child)
            }
            node = child
        }
        if nodes[node].inTemplate < 0 { nodes[node].inTemplate = id }
        if isAnywhere, nodes[node].anywhere < 0 { nodes[node].anywhere = id }
    }

    private mutating func add(_ byte: UInt8) -> Int {
        nodes.append(Node(byte: byte))
        return nodes.count - 1
    }

    @inline(__always)
    private func child(of node: Int, _ byte: UInt8) -> Int {
        var child = Int(nodes[node].child)
        while child >= 0, nodes[child].byte != byte { child = Int(nodes[child].sibling) }
        return child
    }

    /// Cuts a text at its special tokens, from the left, the longest match first.
    ///
    /// - Parameter templates: what a template wrote of it, in order. A token that is found in any text may begin in one
    ///   stretch and end in another.
    func parts(of text: [UInt8], templates: [Range<Int>]) -> [Part] {
        var parts: [Part] = []
        var (start, index) = (0, 0)
        func find(to end: Int, isTemplate: Bool) {
            if !isTemplate, !hasAnywhere { return index = max(index, end) }
            let roots = isTemplate ? roots : rootsAnywhere
            while index < end {
                let root = roots[Int(text[index])]
                guard root >= 0, let match = match(at: index, Int(root), in: text, templateEnd: isTemplate ? end : 0)
                else {
                    index += 1
                    continue
                }
                if start < index { parts.append(.text(start..<index)) }
                parts.append(.token(match.id))
                (start, index) = (match.end, match.end)
            }
        }
        for template in templates {
            find(to: template.lowerBound, isTemplate: false)
            find(to: template.upperBound, isTemplate: true)
        }
        find(to: text.count, isTemplate: false)
        if start < text.count { parts.append(.text(start..<text.count)) }
        return parts
    }

    /// The longest token at `index`; those of a template end with it.
    private func match(at index: Int, _ root: Int, in text: [UInt8], templateEnd: Int) -> (id: Int32, end: Int)? {
        var best: (id: Int32, end: Int)?
        var (node, end) = (root, index + 1)
        while true {
            let id = end <= templateEnd ? nodes[node].inTemplate : nodes[node].anywhere
            if id >= 0 { best = (id, end) }
            guard end < text.count else { return best }
            node = child(of: node, text[end])
            guard node >= 0 else { return best }
            end += 1
        }
    }
}
