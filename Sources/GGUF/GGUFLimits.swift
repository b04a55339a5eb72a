// The bounds on what a file may ask for, beyond what its own size bounds.

/// Bounds that keep an untrusted file from costing more than its size justifies.
enum GGUFLimits {
    /// The longest key the format allows.
    static let keyBytes = 65_535
    /// The longest tensor name the format allows.
    static let tensorNameBytes = 64
    /// Metadata pairs; models have about fifty, and each costs a dictionary entry.
    static let keys = 65_536
    /// Tensors; the largest mixture-of-experts models have some thousands.
    static let tensors = 65_536
    /// Arrays inside arrays; no known key nests at all, and the walk recurses.
    static let arrayDepth = 4
    /// The largest page Linux uses; a larger alignment serves nothing.
    static let alignmentBytes = 65_536
    /// ggml's GGML_MAX_DIMS.
    static let dimensions = 4
}
