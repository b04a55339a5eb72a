// A byte for every Unicode scalar, in two levels.

/// Blocks of 256 scalars, equal blocks stored once.
///
/// Made on first use from the standard library's Unicode data instead of a generated file: nothing to regenerate or to
/// get out of step, and it takes milliseconds. A newer Unicode version only tells more of scalars that no model was
/// trained on.
struct ScalarTable: Sendable {
    private let blockStarts: [UInt16]
    private let values: [UInt8]

    /// Planes 4 to 13 are unassigned and 15 and 16 private use: all scalars of one are alike.
    private static func isUniform(_ plane: Int) -> Bool { (4...13).contains(plane) || plane > 14 }

    /// Asks for the byte of each scalar; surrogates, which are none, have 0.
    init(_ value: (Unicode.Scalar) -> UInt8) {
        var starts: [UInt16] = []
        var values: [UInt8] = []
        var startOfBlock: [[UInt8]: UInt16] = [:]
        for block in 0..<0x1100 {
            var content = [UInt8](repeating: 0, count: 256)
            if Self.isUniform(block >> 8) {
                if let first = Unicode.Scalar(UInt32(block << 8)) {
                    content = Array(repeating: value(first), count: 256)
                }
            } else {
                for low in 0..<256 {
                    if let scalar = Unicode.Scalar(UInt32(block << 8 | low)) { content[low] = value(scalar) }
                }
            }
            let start = startOfBlock[content] ?? UInt16(values.count >> 8)
            if Int(start) << 8 == values.count {
                values += content
                startOfBlock[content] = start
            }
            starts.append(start)
        }
        (blockStarts, self.values) = (starts, values)
    }

    /// The byte of a scalar given by its value.
    subscript(value: Int) -> UInt8 { values[Int(blockStarts[value >> 8]) << 8 | value & 0xFF] }

    /// The same for one below 128: block 0 stands first, so that it needs one look-up.
    @inline(__always)
    subscript(ascii value: Int) -> UInt8 { values[value] }
}
