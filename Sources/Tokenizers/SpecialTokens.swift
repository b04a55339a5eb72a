// Finds special tokens in the text of a chat template.

/// The special tokens of a vocabulary by their first byte, longest first.
struct SpecialTokens: Sendable {
    private struct Entry: Sendable {
        let text: [UInt8]
        let id: Int32
    }

    /// A stretch of template: ordinary text, or one special token.
    enum Part: Equatable {
        case text(Range<Int>)
        case token(Int32)
    }

    private var entries: [UInt8: [Entry]] = [:]

    /// Collects the control and user-defined tokens; of two spelt alike the first counts.
    init(tokens: [String], kinds: [Vocabulary.Kind]) {
        for (index, kind) in kinds.enumerated() where kind == .control || kind == .userDefined {
            let text = Array(tokens[index].utf8)
            guard let first = text.first else { continue }
            entries[first, default: []].append(Entry(text: text, id: Int32(truncatingIfNeeded: index)))
        }
        for first in entries.keys {
            entries[first]?.sort { ($1.text.count, $0.id) < ($0.text.count, $1.id) }
        }
    }

    /// Cuts a template's text at its special tokens, from the left, the longest match first.
    func parts(of text: [UInt8]) -> [Part] {
        var parts: [Part] = []
        var start = 0
        var index = 0
        while index < text.count {
            guard let entry = entries[text[index]]?.first(where: { text[index...].starts(with: $0.text) }) else {
                index += 1
                continue
            }
            if start < index { parts.append(.text(start..<index)) }
            parts.append(.token(entry.id))
            index += entry.text.count
            start = index
        }
        if start < text.count { parts.append(.text(start..<text.count)) }
        return parts
    }
}
