// An answer cut into what the model thinks and what it says, at the marks that models were trained to put between them.

import EngineInterface
import Tokenizers

/// Tells thoughts from the answer while it is written.
///
/// A thought stands at an answer's beginning, between two marks (`<think>` and `</think>`), the first of which the chat
/// template may have written already; or in a channel of its own, as gpt-oss has it (OpenAI's harmony format):
///
///     <|channel|>analysis<|message|>a thought<|end|><|start|>assistant<|channel|>final<|message|>the answer
///
/// White space around a thought belongs to nobody.
package struct AnswerParts: Sendable {
    /// A piece of one or the other.
    package enum Piece: Equatable, Sendable {
        case thought(String)
        case answer(String)
    }

    private enum Kind { case thought, answer }

    private enum Stage {
        /// Nothing but white space or a part of a mark has come.
        case opening
        /// Between two messages of channels, where the next one's channel is named.
        case heading
        /// In one part; `end` ends it.
        case inside(Kind, end: [UInt8]?, isFirst: Bool)
    }

    private static let thoughts: [(begin: [UInt8], end: [UInt8])] = [
        ("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"),
    ].map { (Array($0.0.utf8), Array($0.1.utf8)) }
    private static let channel = Array("<|channel|>".utf8)
    private static let message = Array("<|message|>".utf8)
    private static let messageEnd = Array("<|end|>".utf8)
    private static let thoughtChannel = Array("analysis".utf8)
    /// Bytes of a message's head, of which a few are a channel's name; a longer one is no head.
    private static let maximumHeadBytes = 256

    /// The marks that may be control tokens, which have no text otherwise.
    package static let marks =
        (thoughts.flatMap { [$0.begin, $0.end] } + [channel, message, messageEnd, Array("<|start|>".utf8)])
        .map { String(decoding: $0, as: UTF8.self) }

    private var stage = Stage.opening
    private var held: [UInt8] = []

    /// - Parameter prompt: what the answer follows.
    package init(after prompt: String) {
        let end = Self.trimmed(Array(prompt.utf8)[...])
        if let open = Self.thoughts.first(where: { end.suffix($0.begin.count).elementsEqual($0.begin) }) {
            stage = .inside(.thought, end: open.end, isFirst: true)
        }
    }

    /// Whether what came last is no part of the answer, or white space before it.
    package var isBeforeAnswer: Bool {
        switch stage {
        case .heading, .inside(.thought, _, _), .inside(.answer, _, isFirst: true): true
        case .opening, .inside(.answer, _, isFirst: false): false
        }
    }

    /// Takes more text; returns what is certainly of one part or the other.
    package mutating func append(_ text: String) -> [Piece] {
        held += text.utf8
        var pieces: [Piece] = []
        while step(&pieces) {}
        return pieces
    }

    /// What was held back, once the answer has ended.
    package mutating func finish() -> [Piece] {
        defer { held = [] }
        switch stage {
        case .heading: return []
        case .opening: return Self.piece(.answer, held[...])
        case .inside(let kind, _, _): return Self.piece(kind, held[...])
        }
    }

    /// Goes one stage on; false when more text is needed.
    private mutating func step(_ pieces: inout [Piece]) -> Bool {
        switch stage {
        case .opening: return open()
        case .heading: return head()
        case .inside(let kind, let end, isFirst: true):
            held = Array(held.drop(while: Self.isSpace))
            guard !held.isEmpty else { return false }
            stage = .inside(kind, end: end, isFirst: false)
            return true
        case .inside(let kind, let end?, isFirst: false):
            guard let range = held.firstRange(of: end) else {
                let whole = Self.trimmed(held[..<(held.count - Self.openEnd(of: held, end))])
                pieces += Self.piece(kind, whole)
                held.removeFirst(whole.count)
                return false
            }
            pieces += Self.piece(kind, Self.trimmed(held[..<range.lowerBound]))
            held.removeFirst(range.upperBound)
            stage = end == Self.messageEnd ? .heading : .inside(.answer, end: nil, isFirst: true)
            return true
        case .inside(let kind, nil, isFirst: false):
            pieces += Self.piece(kind, held[...])
            held = []
            return false
        }
    }

    private mutating func open() -> Bool {
        let text = held.drop(while: Self.isSpace)
        guard !text.isEmpty else { return false }
        if let open = Self.thoughts.first(where: { text.starts(with: $0.begin) }) {
            held = Array(text.dropFirst(open.begin.count))
            stage = .inside(.thought, end: open.end, isFirst: true)
        } else if text.starts(with: Self.channel) {
            held = Array(text)
            stage = .heading
        } else if (Self.thoughts.map(\.begin) + [Self.channel]).contains(where: { $0.starts(with: text) }) {
            return false
        } else {
            stage = .inside(.answer, end: nil, isFirst: false)
        }
        return true
    }

    private mutating func head() -> Bool {
        guard let end = held.firstRange(of: Self.message) else {
            guard held.count > Self.maximumHeadBytes else { return false }
            stage = .inside(.answer, end: nil, isFirst: false)
            return true
        }
        let head = held[..<end.lowerBound]
        let name = head.ranges(of: Self.channel).last.map { head[$0.upperBound...] } ?? []
        let isThought = name.prefix { !Self.isSpace($0) && $0 != UInt8(ascii: "<") }.elementsEqual(Self.thoughtChannel)
        held.removeFirst(end.upperBound)
        stage = .inside(isThought ? .thought : .answer, end: Self.messageEnd, isFirst: true)
        return true
    }

    private static func piece(_ kind: Kind, _ text: ArraySlice<UInt8>) -> [Piece] {
        guard !text.isEmpty else { return [] }
        let text = String(decoding: text, as: UTF8.self)
        return [kind == .thought ? .thought(text) : .answer(text)]
    }

    private static func isSpace(_ byte: UInt8) -> Bool { [0x20, 0x0a, 0x0d, 0x09].contains(byte) }

    /// Without the white space at its end.
    private static func trimmed(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        text.prefix((text.lastIndex { !isSpace($0) } ?? text.startIndex - 1) + 1 - text.startIndex)
    }

    /// Bytes at the end of a text that begin a mark.
    private static func openEnd(of text: [UInt8], _ mark: [UInt8]) -> Int {
        stride(from: min(text.count, mark.count - 1), to: 0, by: -1).first { mark.starts(with: text.suffix($0)) } ?? 0
    }
}
