// Rotary position embedding (Su et al., arXiv 2104.09864): angles per position, with YaRN and factors of frequencies.

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

    /// `factors`, `[half]`, divide the frequencies.
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

    /// That of layers that see a window, where it is another: with a base of its own, and never scaled.
    init(local configuration: ModelConfiguration, base: Float) {
        half = configuration.ropeDimensions / 2
        style = configuration.ropeStyle
        magnitude = 1
        frequencies = (0..<half).map { pair in
            pow(Double(base), -2 * Double(pair) / Double(configuration.ropeDimensions))
        }
    }

    /// YaRN's constants for Llama: pairs that turn more often than the first in the original context are not scaled,
    /// those that turn less often than the second in full, those between in part.
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

/// The tensors that hold factors of frequencies.
enum RopeFactors {
    static let all = "rope_freqs.weight"
    static let long = "rope_factors_long.weight"
    static let short = "rope_factors_short.weight"

    /// Those that a model's context asks for, `[half]`; nil: it has none.
    static func read(
        _ shape: ModelConfiguration, _ tensors: inout TensorReader
    ) throws(ModelError) -> [Float]? {
        let half = shape.ropeDimensions / 2
        guard shape.hasRopeFactors else { return try factors(all, half, &tensors) }
        let (short, long) = (try factors(short, half, &tensors), try factors(long, half, &tensors))
        guard let short else { throw .missingTensor(Self.short) }
        guard let long else { throw .missingTensor(Self.long) }
        return shape.contextLength > shape.originalContextLength ? long : short
    }

    private static func factors(
        _ name: String, _ half: Int, _ tensors: inout TensorReader
    ) throws(ModelError) -> [Float]? {
        let factors = try tensors.optionalVector(name, count: half)?.array
        if let wrong = factors?.first(where: { !($0.isFinite && $0 > 0) }) {
            throw .invalidValue(key: name, value: "\(wrong)", needed: "a positive number")
        }
        return factors
    }
}
