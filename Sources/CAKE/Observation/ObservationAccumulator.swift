// Gathers one layer's attention moments, tile by tile, into its observation.

/// Sums moments over query heads, chunks of rows and tiles of keys.
///
/// Several chunks: entropy and variance add up, maxima combine to the largest, and means take the sum of the chunks'
/// indicators, every chunk counting once (the papers have one chunk, the window).
public struct ObservationAccumulator: Sendable {
    private let method: Method
    private let kvHeads: Int
    private let groupWidth: Int
    private let tokens: Int
    private var entropy = 0.0
    private var variance = 0.0
    private var indicator: [Float]

    /// Prepares for one layer.
    ///
    /// - Parameters:
    ///   - groupWidth: query heads per KV head; query head h belongs to KV head h / groupWidth.
    ///   - evictableTokens: observed columns, `Method.observedTokens(documentTokens:)`.
    public init(method: Method, kvHeads: Int, groupWidth: Int, evictableTokens: Int) {
        precondition(kvHeads > 0 && groupWidth > 0 && evictableTokens >= 0)
        self.method = method
        self.kvHeads = kvHeads
        self.groupWidth = groupWidth
        tokens = evictableTokens
        let observes = method.observation != .none
        indicator = observes ? [Float](repeating: 0, count: kvHeads * evictableTokens) : []
    }

    /// Adds a tile of keys, as seen by one chunk of rows of one query head.
    ///
    /// - Parameters:
    ///   - firstToken: the document position of the tile's first column.
    ///   - rows: of the chunk; those that do not see a column count with 0.
    ///   - mean: over the chunk's rows, `[columns]`; the variance (unbiased) likewise.
    ///   - maximum: over the chunk's rows, `[columns]`: of the attention, or of the change for `largestChange`.
    ///   - entropy: −Σ A·ln A over the tile's rows and columns.
    ///   - valueNorms: ‖W_o v‖ of each column, for a method that weighs values.
    public mutating func add(
        queryHead: Int, firstToken: Int, rows: Int = 1, mean: Span<Float>, variance: Span<Float>,
        maximum: Span<Float>, entropy: Double, valueNorms: Span<Float>? = nil
    ) {
        let columns = mean.count
        precondition(variance.count == columns && maximum.count == columns, "moments of different widths")
        precondition(firstToken >= 0 && firstToken + columns <= tokens, "a tile outside the observed tokens")
        self.entropy += entropy
        self.variance += Self.sum(variance)
        let start = queryHead / groupWidth * tokens + firstToken
        let share = 1 / Float(groupWidth)
        switch method.indicator {
        case .position, .recency:
            break
        case .meanPlusVariance(let gamma, _):
            for n in 0..<columns {
                indicator[start + n] += (mean[n] + gamma * variance[n]) * share * Self.weight(valueNorms, n)
            }
        case .meanOverHeads:
            for n in 0..<columns { indicator[start + n] += mean[n] * share * Self.weight(valueNorms, n) }
        case .accumulated:
            for n in 0..<columns { indicator[start + n] += mean[n] * Float(rows) * share * Self.weight(valueNorms, n) }
        case .maximum, .pooledMaximum, .largestChange:
            for n in 0..<columns {
                indicator[start + n] = max(indicator[start + n], maximum[n] * Self.weight(valueNorms, n))
            }
        }
    }

    @inline(__always)
    private static func weight(_ valueNorms: Span<Float>?, _ column: Int) -> Float {
        guard let valueNorms else { return 1 }
        return valueNorms[column]
    }

    /// Adds all observed tokens at once.
    public mutating func add(queryHead: Int, rows: Int = 1, _ moments: AttentionMoments) {
        add(
            queryHead: queryHead, firstToken: 0, rows: rows, mean: moments.mean.span, variance: moments.variance.span,
            maximum: moments.maximum.span, entropy: moments.entropy)
    }

    /// The indicator before it is finished, `[kvHeads, evictableTokens]`.
    public var rawIndicator: [Float] { indicator }

    /// Takes up an indicator and a preference that were predicted, in place of observing.
    public consuming func finish(predicted scores: [Float], preference: Double) -> LayerObservation {
        precondition(scores.count == indicator.count, "scores of another shape")
        indicator = scores
        var result = finish()
        result.preference = preference
        return result
    }

    /// Closes the layer: finishes the indicator as the method says, and computes the preference.
    public consuming func finish() -> LayerObservation {
        var result = LayerObservation(entropy: entropy, variance: variance, preference: 0, indicator: indicator)
        switch method.indicator {
        case .meanPlusVariance(_, let poolWidth) where poolWidth > 1:
            result.indicator = Pooling.average(indicator, rowLength: tokens, width: poolWidth)
        case .largestChange(let poolWidth) where poolWidth > 1:
            let once = Pooling.average(indicator, rowLength: tokens, width: poolWidth)
            result.indicator = Pooling.average(once, rowLength: tokens, width: poolWidth)
        case .pooledMaximum:
            result.indicator = Pooling.halving(indicator, rowLength: tokens)
        case .meanOverHeads:
            for token in 0..<tokens {
                let sum = (0..<kvHeads).reduce(Float(0)) { $0 + indicator[$1 * tokens + token] }
                for head in 0..<kvHeads { result.indicator[head * tokens + token] = sum / Float(kvHeads) }
            }
        case .accumulated:
            // The last token is seen by one row, its own; each earlier one by one row more.
            for index in indicator.indices { result.indicator[index] /= Float(tokens - index % tokens) }
        default: break
        }
        if let (tau1, tau2) = method.allocation.exponents {
            result.preference = Preference.of(entropy: entropy, variance: variance, tau1: tau1, tau2: tau2)
        }
        return result
    }

    /// A sum in four parts, so that additions need not wait for each other.
    private static func sum(_ values: Span<Float>) -> Double {
        var parts = SIMD4<Double>.zero
        let whole = values.count & ~3
        for n in stride(from: 0, to: whole, by: 4) {
            parts += SIMD4(SIMD4(values[n], values[n + 1], values[n + 2], values[n + 3]))
        }
        for n in whole..<values.count { parts[0] += Double(values[n]) }
        return parts.sum()
    }
}
