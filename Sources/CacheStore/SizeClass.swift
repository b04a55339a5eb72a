// Sizes of values in pages: few enough that space freed by one document fits the next.

/// Size classes against LMDB's fragmentation: a value needs a run of consecutive free pages, and finds one sooner the
/// fewer lengths there are.
enum SizeClass {
    /// Lengths between a power of two and the next; a value is padded by an eighth of its length at most.
    static let stepsPerOctave = 8

    /// The number of pages rounded up to a class.
    static func rounded(pages: Int) -> Int {
        guard pages > stepsPerOctave else { return max(pages, 1) }
        let step = 1 << (Int.bitWidth - 1 - (pages - 1).leadingZeroBitCount - stepsPerOctave.trailingZeroBitCount)
        return (pages + step - 1) / step * step
    }

    /// The size of a value that holds `bytes` and fills the pages of its class, LMDB's page header included.
    static func valueBytes(_ bytes: Int, pageBytes: Int, valueOffset: Int) -> Int {
        rounded(pages: (bytes + valueOffset + pageBytes - 1) / pageBytes) * pageBytes - valueOffset
    }
}
