// How much cache a layer wants: spread of its attention times its change over the rows (CAKE §4.1).

import Glibc  // log and pow, nothing else

/// The layer preference P = H^(1/τ1) · V^(1/τ2).
package enum Preference {
    /// One weight's part of the entropy H, −a·ln(a + 1e−10), as the released code has it.
    package static func dispersion(_ weight: Double) -> Double {
        -weight * log(weight + 1e-10)
    }

    /// A layer's preference; the exponents are inverses, as the released code has them (the paper's text is ambiguous).
    package static func of(entropy: Double, variance: Double, tau1: Double, tau2: Double) -> Double {
        pow(entropy, 1 / tau1) * pow(variance, 1 / tau2)
    }

    /// Preferences whose sums and ratios stay finite, however many layers there are; others say nothing.
    private static let usable = 1e-280...1e280

    /// The preference as allocation may use it: nil when it is not a number, 0 when it is too small to count.
    package static func checked(_ preference: Double) -> Double? {
        guard preference >= 0, preference <= usable.upperBound else { return nil }
        return preference < usable.lowerBound ? 0 : preference
    }
}
