// Turns ids into text one at a time, without ever splitting a character.

/// Decodes a stream of ids; what it returns, put together, is what `Tokenizer.decode` returns for all of them, but for
/// a character at the end whose rest never came: that is left out.
public struct StreamingDetokenizer: Sendable {
    private var state: Tokenizer.DecodingState
    /// The beginning of a character whose rest has not come yet: at most 3 bytes between calls.
    private var pending: [UInt8] = []

    /// Starts a stream.
    ///
    /// - Parameter continuing: the ids follow a text, so a space at their start is part of what they say.
    public init(_ tokenizer: Tokenizer, continuing: Bool = false) {
        state = Tokenizer.DecodingState(tokenizer, continuing: continuing)
    }

    /// Takes the next id and returns the text that is now complete; invalid bytes become U+FFFD.
    public mutating func append(_ id: Int32) -> String {
        state.append(id, to: &pending)
        let held = Self.incompleteSuffix(pending)
        let text = String(decoding: pending.dropLast(held), as: UTF8.self)
        pending.removeFirst(pending.count - held)
        return text
    }

    /// How many bytes at the end begin a valid sequence that lacks its rest (Unicode 16, table 3-7).
    private static func incompleteSuffix(_ bytes: [UInt8]) -> Int {
        for length in 1...3 where length <= bytes.count {
            let lead = bytes[bytes.count - length]
            if lead & 0xC0 == 0x80 { continue }
            let expected =
                switch lead {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            guard length < expected else { return 0 }
            return length == 1 || isSecond(bytes[bytes.count - length + 1], after: lead) ? length : 0
        }
        return 0
    }

    private static func isSecond(_ byte: UInt8, after lead: UInt8) -> Bool {
        switch lead {
        case 0xE0: byte >= 0xA0
        case 0xED: byte <= 0x9F
        case 0xF0: byte >= 0x90
        case 0xF4: byte <= 0x8F
        default: true
        }
    }
}
