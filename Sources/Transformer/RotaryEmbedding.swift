// Rotary position embedding (Su et al., arXiv 2104.09864): angles per position, with Llama 3.1's frequency factors and YaRN.

import CKernels
import Glibc

/// The angles of RoPE for one model: element pair i turns by position · θ^(−2i/n) / factor_i / scale.
struct RotaryEmbedding: Sendable {
    /// Pairs that are rotated.
    let half: Int
    private let style: ModelConfiguration.RopeStyle
    /// Radians per position, `[half]`.
    private let frequencies: [Double]
    /// Cosines and sines are multiplied with it.
    private let magnitude: Double

    /// `factors`, `[half]`, divide the frequencies (`rope_freqs.weight`).
    init(_ configuration: ModelConfiguration, factors: [Float]?) {
        half = configuration.ropeDimensions / 2
        style = configuration.ropeStyle
        let scale = Double(configuration.ropeScale)
        let isYarn = configuration.yarnContextLength != nil
        magnitude = Double(configuration.ropeMagnitude) * (isYarn ? 1 + 0.1 * log(scale) : 1)
        frequencies = (0..<half).map { pair in
            let frequency =
                pow(Double(configuration.ropeBase), -2 * Double(pair) / Double(configuration.ropeDimensions))
                / Double(factors?[pair] ?? 1)
            let unscaled = Self.unscaledShare(configuration, pair)
            return frequency / scale * (1 - unscaled) + frequency * unscaled
        }
    }

    /// YaRN's constants for Llama: pairs that turn more often than the first in the original context are not scaled, those that
    /// turn less often than the second in full, those between in part.
    static let yarnFastTurns = 32.0
    static let yarnSlowTurns = 1.0

    /// YaRN's ramp.
    private static func unscaledShare(_ configuration: ModelConfiguration, _ pair: Int) -> Double {
        guard let context = configuration.yarnContextLength else { return 0 }
        let dimensions = Double(configuration.ropeDimensions)
        func pairTurning(_ turns: Double) -> Double {
            dimensions * log(Double(context) / (2 * .pi * turns)) / (2 * log(Double(configuration.ropeBase)))
        }
        let low = max(0, pairTurning(yarnFastTurns).rounded(.down))
        let high = min(dimensions - 1, pairTurning(yarnSlowTurns).rounded(.up))
        return 1 - min(1, max(0, (Double(pair) - low) / max(0.001, high - low)))
    }

    /// Writes cos and sin of every pair's angle, `[half]` each.
    ///
    /// In double: at position 100,000 a Float angle is off by 0.01.
    func angles(position: Int, cosines: Floats, sines: Floats) {
        for pair in 0..<half {
            let angle = Double(position) * frequencies[pair]
            cosines[pair] = Float(cos(angle) * magnitude)
            sines[pair] = Float(sin(angle) * magnitude)
        }
    }

    /// Rotates one head, `[headWidth]`, in place.
    func rotate(_ head: Floats, cosines: Floats, sines: Floats) {
        precondition(head.count >= 2 * half && cosines.count >= half && sines.count >= half)
        switch style {
        case .interleaved: unsafe caked_rope_interleaved(head.base, cosines.base, sines.base, half)
        case .neox: unsafe caked_rope_neox(head.base, cosines.base, sines.base, half)
        }
    }
}
