// Whether two measurements put things into the same order.

/// Spearman's rank correlation, ties at their mean rank.
public enum RankCorrelation {
    /// −1 for the opposite order, 1 for the same; nil where all of either are equal, or there are fewer than two.
    public static func spearman(_ x: [Double], _ y: [Double]) -> Double? {
        precondition(x.count == y.count, "measurements come in pairs")
        guard x.count > 1 else { return nil }
        let (a, b) = (ranks(x), ranks(y))
        let mean = Double(x.count - 1) / 2
        var (products, squaresA, squaresB) = (0.0, 0.0, 0.0)
        for (a, b) in zip(a, b) {
            products += (a - mean) * (b - mean)
            squaresA += (a - mean) * (a - mean)
            squaresB += (b - mean) * (b - mean)
        }
        let scale = (squaresA * squaresB).squareRoot()
        return scale > 0 ? products / scale : nil
    }

    /// From 0; equal values share the mean of their places.
    private static func ranks(_ values: [Double]) -> [Double] {
        let order = values.indices.sorted { values[$0] < values[$1] }
        var ranks = [Double](repeating: 0, count: values.count)
        var first = 0
        while first < order.count {
            var last = first
            while last + 1 < order.count, values[order[last + 1]] == values[order[first]] { last += 1 }
            for place in first...last { ranks[order[place]] = Double(first + last) / 2 }
            first = last + 1
        }
        return ranks
    }
}
