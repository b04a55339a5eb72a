// Rotary position embedding (Su et al., arXiv 2104.09864): angles per position, with Llama 3.1's frequency factors.

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
        magnitude = Double(configuration.ropeMagnitude)
        frequencies = (0..<half).map { pair in
            pow(Double(configuration.ropeBase), -2 * Double(pair) / Double(configuration.ropeDimensions))
                / Double(factors?[pair] ?? 1) / Double(configuration.ropeScale)
        }
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
