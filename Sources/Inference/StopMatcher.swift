// Holds back the part of an answer that may be the beginning of a stop text.

/// Passes text through until one of the stop texts appears; never passes on any part of a stop text.
package struct StopMatcher: Sendable {
    private let stops: [[UInt8]]
    private var held: [UInt8] = []
    /// Whether a stop text has appeared; nothing is passed on after it.
    private(set) package var isStopped = false

    package init(_ stops: [String]) {
        self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }
    }

    /// The text that is certainly part of the answer after `text` came.
    package mutating func append(_ text: String) -> String {
        guard !isStopped else { return "" }
        if stops.isEmpty { return text }
        held.append(contentsOf: text.utf8)
        if let end = earliestStop() {
            isStopped = true
            defer { held = [] }
            return String(decoding: held[..<end], as: UTF8.self)
        }
        let safe = held.count - longestOpenPrefix()
        defer { held.removeFirst(safe) }
        return String(decoding: held[..<safe], as: UTF8.self)
    }

    /// What was held back, once the answer ended for another reason.
    package mutating func finish() -> String {
        defer { held = [] }
        return isStopped ? "" : String(decoding: held, as: UTF8.self)
    }

    private func earliestStop() -> Int? {
        held.indices.first { start in stops.contains { held[start...].starts(with: $0) } }
    }

    // The longest end of `held` that begins a stop text. It begins at a character's border, since stop texts do.
    private func longestOpenPrefix() -> Int {
        let longest = stops.map(\.count).max() ?? 0
        return stride(from: min(held.count, longest - 1), to: 0, by: -1).first { length in
            stops.contains { $0.count > length && $0.starts(with: held.suffix(length)) }
        } ?? 0
    }
}
