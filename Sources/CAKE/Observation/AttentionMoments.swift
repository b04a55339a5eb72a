// What observed attention is reduced to: per token its mean, variance and maximum over the rows, and the entropy of
// all.

/// Column statistics of the softmax attention of one query head over one chunk of observation rows.
///
/// The kernels compute these tile by tile; the initialiser here says what they mean.
public struct AttentionMoments: Sendable, Equatable {
    /// Mean over the rows, `[tokens]`.
    public var mean: [Float]
    /// Unbiased variance over the rows, `[tokens]`; 0 for a single row.
    public var variance: [Float]
    /// Largest value over the rows, `[tokens]`.
    public var maximum: [Float]
    /// −Σ A·ln(A + 1e−10) over rows and tokens; rows are not renormalised after the window's columns are cut (§4.1).
    public var entropy: Double

    /// Reduces attention weights, in pure Swift: the reference for the kernels.
    ///
    /// - Parameter attention: A, `[rows, columns]`, softmax over all keys a row sees, cut to the observed columns.
    public init(attention: [Float], rows: Int, columns: Int) {
        precondition(rows > 0 && columns >= 0 && attention.count == rows * columns, "attention is not [rows, columns]")
        mean = []
        variance = []
        maximum = []
        entropy = 0
        for column in 0..<columns {
            let weights = (0..<rows).map { Double(attention[$0 * columns + column]) }
            let average = weights.reduce(0, +) / Double(rows)
            let squares = weights.reduce(0) { $0 + ($1 - average) * ($1 - average) }
            mean.append(Float(average))
            variance.append(rows > 1 ? Float(squares / Double(rows - 1)) : 0)
            maximum.append(Float(weights.reduce(0, max)))
            entropy += weights.reduce(0) { $0 + Preference.dispersion($1) }
        }
    }
}
