// How sure a share is, and a share of a share, when questions are few.

/// The bounds of a 95 % interval.
public struct Interval: Sendable, Equatable {
    /// The lower bound.
    public let low: Double
    /// The upper bound; infinite when a ratio's denominator may be zero.
    public let high: Double

    /// States both bounds.
    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }

    /// The normal distribution's quantile that leaves 2.5 % on either side.
    static let z95 = 1.959_963_984_540_054

    /// Wilson's score interval (1927) of a share of independent yes-or-no outcomes; 0...1 when there are none.
    public static func wilson(successes: Int, of trials: Int) -> Interval {
        guard trials > 0 else { return Interval(low: 0, high: 1) }
        return wilson(Double(successes), Double(trials), z: z95)
    }

    private static func wilson(_ successes: Double, _ trials: Double, z: Double) -> Interval {
        let centre = 2 * successes + z * z
        let spread = z * (z * z + 4 * successes * (1 - successes / trials)).squareRoot()
        let scale = 2 * (trials + z * z)
        return Interval(low: max(0, (centre - spread) / scale), high: min(1, (centre + spread) / scale))
    }

    /// The interval of (both + onlyFirst) / (both + onlySecond): how often the first of two was right, as a share of
    /// how often the second was, on the same questions.
    ///
    /// Bonett and Price's for paired proportions (Statistics in Medicine 25, 2006), which holds its level for few
    /// questions and for ratios near one. nil when neither was ever right.
    public static func pairedRatio(both: Int, onlyFirst: Int, onlySecond: Int) -> Interval? {
        let (both, first, second) = (Double(both), Double(onlyFirst), Double(onlySecond))
        let all = both + first + second
        guard all > 0 else { return nil }
        let (sum1, sum2) = (both + first, both + second)
        func deviation(_ sum: Double) -> Double { ((1 - (sum + 1) / (all + 2)) / (sum + 1)).squareRoot() }
        let joint = ((first + second + 2) / ((sum1 + 1) * (sum2 + 1))).squareRoot()
        let z = z95 * joint / (deviation(sum1) + deviation(sum2))
        let (share1, share2) = (wilson(sum1, all, z: z), wilson(sum2, all, z: z))
        return Interval(
            low: share1.low / share2.high, high: share2.low > 0 ? share1.high / share2.low : .infinity)
    }

    /// The percentile interval of a statistic of resampled questions: `statistic` gets the drawn indices of
    /// `0..<count`.
    ///
    /// For scores that are neither right nor wrong. The draws come from a fixed seed.
    public static func bootstrap(
        count: Int, draws: Int = 1_000, statistic: (_ indices: [Int]) -> Double
    ) -> Interval? {
        guard count > 0, draws > 1 else { return nil }
        var random = Draw(seed: 95)
        var values: [Double] = []
        for _ in 0..<draws { values.append(statistic((0..<count).map { _ in random.below(count) })) }
        values.sort()
        let tail = Int(Double(draws) * 0.025)
        return Interval(low: values[tail], high: values[draws - 1 - tail])
    }
}

/// SplitMix64: reproducible draws, the same on every machine.
public struct Draw: Sendable, RandomNumberGenerator {
    private var state: UInt64

    /// Begins a sequence of draws.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// A number in `0..<count`; `count` is positive.
    public mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &self) }

    /// One of the elements; there must be one.
    mutating func one<Element>(of elements: [Element]) -> Element { elements[below(elements.count)] }

    /// `count` digits, the first not zero.
    mutating func digits(_ count: Int) -> String {
        (0..<count).map { String($0 == 0 ? 1 + below(9) : below(10)) }.joined()
    }
}
