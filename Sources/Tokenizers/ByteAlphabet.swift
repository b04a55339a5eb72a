// GPT-2's spelling of bytes as printable characters, in which byte-level vocabularies are written.

/// The bijection of GPT-2's `bytes_to_unicode` (openai/gpt-2, `src/encoder.py`): a printable Latin-1 byte is spelt as
/// itself, the other 68 as U+0100 and up, in order.
struct ByteAlphabet: Sendable {
    static let shared = ByteAlphabet()

    /// Byte for each scalar below U+0144; -1 for those outside the alphabet.
    private let byteOfScalar: [Int16]

    private init() {
        var table = [Int16](repeating: -1, count: 0x100 + 68)
        var next = 0x100
        for byte in 0..<256 {
            switch byte {
            case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: table[byte] = Int16(byte)
            default:
                table[next] = Int16(byte)
                next += 1
            }
        }
        byteOfScalar = table
    }

    /// Appends the bytes that `text` spells; false, with nothing appended, when a scalar is outside the alphabet.
    func append(_ text: Substring.UnicodeScalarView, to bytes: inout [UInt8]) -> Bool {
        let count = bytes.count
        for scalar in text {
            let value = Int(scalar.value)
            guard value < byteOfScalar.count, byteOfScalar[value] >= 0 else {
                bytes.removeLast(bytes.count - count)
                return false
            }
            bytes.append(UInt8(truncatingIfNeeded: byteOfScalar[value]))
        }
        return true
    }
}
