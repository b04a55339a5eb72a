// How long a document is kept, as people write it: 90s, 30m, 12h, 7d.

/// A time to live in whole seconds.
public struct TimeToLive: Equatable, Sendable {
    /// Ten years; longer is better said by leaving the time out.
    public static let maximumSeconds = 10 * 365 * 86400

    /// 1...``maximumSeconds``.
    public let seconds: Int

    /// A whole number followed by `s`, `m`, `h` or `d`; nil for anything else, zero, or more than ten years.
    public init?(_ text: String) {
        let secondsPerUnit: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let unit = text.last, let scale = secondsPerUnit[unit],
            text.dropLast().utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let count = Int(text.dropLast()), count > 0, count <= Self.maximumSeconds / scale
        else { return nil }
        seconds = count * scale
    }
}
