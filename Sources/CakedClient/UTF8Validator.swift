// Well-formed UTF-8 checked chunk by chunk, so that a large file is never held in memory to be checked.

/// A validator that accepts text split anywhere (Unicode 16, table 3-7).
public struct UTF8Validator: Sendable {
    /// Bytes seen before the sequence that is open now.
    private var sequenceStart = 0
    private var length = 0
    private var pending = 0
    /// What the next continuation byte may be; narrower than 0x80...0xBF right after E0, ED, F0 and F4.
    private var next: ClosedRange<UInt8> = 0x80...0xBF

    /// A validator at the start of a text.
    public init() {}

    /// Takes more of the text: nil, or the offset in the whole text of the first ill-formed sequence.
    public mutating func append(_ bytes: Span<UInt8>) -> Int? {
        for index in bytes.indices {
            let byte = bytes[index]
            if pending == 0 {
                guard byte >= 0x80 else { continue }
                sequenceStart = length + index
                guard open(byte) else { return sequenceStart }
            } else {
                guard next.contains(byte) else { return sequenceStart }
                next = 0x80...0xBF
                pending -= 1
            }
        }
        length += bytes.count
        return nil
    }

    /// Ends the text: nil, or the offset of a sequence that the end cuts off.
    public func finish() -> Int? {
        pending == 0 ? nil : sequenceStart
    }

    /// Reads a lead byte; false when no sequence starts with it.
    private mutating func open(_ lead: UInt8) -> Bool {
        switch lead {
        case 0xC2...0xDF: (pending, next) = (1, 0x80...0xBF)
        case 0xE0: (pending, next) = (2, 0xA0...0xBF)
        case 0xED: (pending, next) = (2, 0x80...0x9F)
        case 0xE1...0xEF: (pending, next) = (2, 0x80...0xBF)
        case 0xF0: (pending, next) = (3, 0x90...0xBF)
        case 0xF1...0xF3: (pending, next) = (3, 0x80...0xBF)
        case 0xF4: (pending, next) = (3, 0x80...0x8F)
        default: return false
        }
        return true
    }
}
