// A reading position in untrusted bytes: nothing is read, skipped or counted before the file is known to hold it.

/// Reads forward through a file's bytes; every length and count is checked against what remains.
struct ByteCursor {
    let bytes: FileBytes
    private(set) var offset: Int

    init(_ bytes: FileBytes, at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    var remaining: Int { bytes.count - offset }

    /// Reads a little-endian integer; `what` names it in the error.
    mutating func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ type: Integer.Type, _ what: @autoclosure () -> String
    ) throws(GGUFError) -> Integer {
        let range = try take(UInt64(MemoryLayout<Integer>.size), what())
        return bytes.integer(at: range.lowerBound, as: type)
    }

    /// Steps over `byteCount` bytes and returns where they lie.
    mutating func take(_ byteCount: UInt64, _ what: @autoclosure () -> String) throws(GGUFError) -> Range<Int> {
        guard byteCount <= UInt64(remaining) else {
            throw .truncated(offset: offset, neededBytes: byteCount, fileBytes: bytes.count, reading: what())
        }
        let start = offset
        offset += Int(byteCount)
        return start..<offset
    }

    /// Reads a string's 64-bit length and steps over its bytes, which are not looked at.
    mutating func string(_ what: @autoclosure () -> String) throws(GGUFError) -> Range<Int> {
        try take(try integer(UInt64.self, "the length of " + what()), what())
    }

    /// Reads a 64-bit count of items that take at least `itemBytes` each, no more of them than the rest of the file
    /// holds.
    mutating func count(
        itemBytes: Int, limit: Int = .max, _ what: @autoclosure () -> String
    ) throws(GGUFError) -> Int {
        let start = offset
        let count = try integer(UInt64.self, what())
        let limit = min(limit, remaining / itemBytes)
        guard count <= UInt64(limit) else {
            throw .tooMany(what(), count: count, limit: UInt64(limit), offset: start)
        }
        return Int(count)
    }
}
