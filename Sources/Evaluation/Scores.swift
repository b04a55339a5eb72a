// What the answers of one setting were worth, question by question, so that settings can be compared in pairs.

/// Scores from 0 to 1 in the order the questions were asked.
public struct Scores: Sendable {
    /// One score for each question.
    public private(set) var values: [Double] = []
    /// The kind of each question.
    private var kinds: [String] = []

    /// No questions yet.
    public init() {}

    /// Adds a question's score.
    public mutating func add(_ score: Double, kind: String) {
        values.append(score)
        kinds.append(kind)
    }

    /// Their mean; not a number when there are none.
    public var mean: Double { values.reduce(0, +) / Double(values.count) }

    /// The mean of every kind.
    public var meanByKind: [String: Double] {
        var sums: [String: (sum: Double, count: Int)] = [:]
        for (kind, value) in zip(kinds, values) {
            sums[kind, default: (0, 0)].sum += value
            sums[kind, default: (0, 0)].count += 1
        }
        return sums.mapValues { $0.sum / Double($0.count) }
    }

    /// The 95 % interval of the mean: Wilson's when answers are right or wrong, else a bootstrap's.
    public var interval: Interval? {
        guard !values.isEmpty else { return nil }
        if isBinary { return .wilson(successes: values.count { $0 == 1 }, of: values.count) }
        return .bootstrap(count: values.count) { drawn in drawn.reduce(0) { $0 + values[$1] } / Double(drawn.count) }
    }

    /// The mean as a share of another setting's on the same questions; nil when that is zero or another number of
    /// questions.
    public func share(of other: Scores) -> Double? {
        guard values.count == other.values.count, other.mean > 0 else { return nil }
        return mean / other.mean
    }

    /// The 95 % interval of that share: Bonett and Price's when answers are right or wrong, else a paired bootstrap's.
    public func shareInterval(of other: Scores) -> Interval? {
        guard share(of: other) != nil else { return nil }
        guard isBinary, other.isBinary else {
            return .bootstrap(count: values.count) { drawn in
                let (own, others) = drawn.reduce((0.0, 0.0)) { ($0.0 + values[$1], $0.1 + other.values[$1]) }
                return others > 0 ? own / others : (own > 0 ? .infinity : 1)
            }
        }
        let pairs = zip(values, other.values)
        return .pairedRatio(
            both: pairs.count { $0 == 1 && $1 == 1 }, onlyFirst: pairs.count { $0 == 1 && $1 == 0 },
            onlySecond: pairs.count { $0 == 0 && $1 == 1 })
    }

    private var isBinary: Bool { values.allSatisfy { $0 == 0 || $0 == 1 } }
}
