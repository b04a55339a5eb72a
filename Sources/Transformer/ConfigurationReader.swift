// Metadata of an untrusted file, looked up with bounds under its architecture's name.

import GGUF
import Glibc

/// Looks metadata up under the architecture's name, with bounds.
struct ConfigurationReader {
    let architecture: Architecture
    private let metadata: GGUFMetadata
    private let prefix: String

    init(metadata: GGUFMetadata) throws(ModelError) {
        let key = "general.architecture"
        guard let name = try Self.wrapped({ () throws(GGUFError) in try metadata.string(key) }) else {
            throw .missingKey(key)
        }
        self.metadata = metadata
        architecture = try Architecture.named(name)
        prefix = name + "."
    }

    func name() throws(ModelError) -> String {
        try Self.wrapped { () throws(GGUFError) in try metadata.string("general.name") } ?? ""
    }

    /// A size from 1 to `limit`.
    func size(_ key: String, upTo limit: Int, default fallback: Int? = nil) throws(ModelError) -> Int {
        guard let value = try integer(key) ?? fallback else { throw .missingKey(prefix + key) }
        guard (1...limit).contains(value) else { throw invalid(key, value, "from 1 to \(limit)") }
        return value
    }

    func positive(_ key: String, default fallback: Float?) throws(ModelError) -> Float {
        guard let value = try float(key) ?? fallback else { throw .missingKey(prefix + key) }
        guard value.isFinite, value > 0 else {
            throw .invalidValue(key: prefix + key, value: "\(value)", needed: "a positive number")
        }
        return value
    }

    /// How positions beyond those that a model was first made for are scaled.
    enum RopeScaling: String { case none, linear, yarn, longrope }

    /// Without a type it is linear, as llama.cpp has it.
    func ropeScaling() throws(ModelError) -> RopeScaling {
        let kind = try string("rope.scaling.type") ?? RopeScaling.linear.rawValue
        guard let scaling = RopeScaling(rawValue: kind) else {
            throw .unsupportedFeature(
                key: prefix + "rope.scaling.type", value: kind, feature: "RoPE scaling of this type")
        }
        return scaling
    }

    /// The factor; `scale_linear` is the key's old name, and 0 is as good as none.
    func ropeScale(_ scaling: RopeScaling) throws(ModelError) -> Float {
        guard scaling != .none else { return 1 }
        let key = try float("rope.scaling.factor") == nil ? "rope.scale_linear" : "rope.scaling.factor"
        return try float(key) == 0 ? 1 : positive(key, default: 1)
    }

    /// RoPE's base, which `rope.scaling.alpha` raises as its authors say (NTK-aware scaling).
    func ropeBase(dimensions: Int) throws(ModelError) -> Float {
        let base = try positive("rope.freq_base", default: 10_000)
        let alpha = try scale(.ropeBaseFactor)
        guard alpha != 1, dimensions > 2 else { return base }
        return base * pow(alpha, Float(dimensions) / Float(dimensions - 2))
    }

    /// The context a model was first made for; the whole one where nobody says.
    func originalContextLength(_ contextLength: Int) throws(ModelError) -> Int {
        let key = "rope.scaling.original_context_length"
        return try integer(key) == 0 ? contextLength : size(key, upTo: 1 << 24, default: contextLength)
    }

    /// What cosines and sines are multiplied with, besides YaRN's own factor.
    func ropeMagnitude(_ scaling: RopeScaling, scale factor: Float) throws(ModelError) -> Float {
        let magnitude = try positive("rope.scaling.attn_factor", default: 1)
        guard scaling == .yarn else { return magnitude }
        return magnitude / (1 + 0.1 * (try scale(.yarnLogarithm, default: 0)) * log(factor))
    }

    /// nil: the layers that see a window turn as all do.
    func localRopeBase(_ base: Float) throws(ModelError) -> Float? {
        guard let windows = architecture.windows else { return nil }
        let local = try positive("rope.freq_base_swa", default: windows.ropeBase ?? base)
        return local == base && !windows.isUnscaled ? nil : local
    }

    /// nil: all layers are alike, or the metadata list them.
    func globalEvery() throws(ModelError) -> Int? {
        guard let period = architecture.windows?.period, try localLayers() == nil else { return nil }
        return try size(Self.patternKey, upTo: 1_024, default: period)
    }

    /// Whether each layer sees a window, where the metadata list them.
    func localLayers() throws(ModelError) -> [Bool]? {
        guard architecture.windows != nil else { return nil }
        return try Self.wrapped { () throws(GGUFError) in try metadata.truths(prefix + Self.patternKey) }
    }

    private static let patternKey = "attention.sliding_window_pattern"

    func unrotatedEvery(window: Int?) throws(ModelError) -> Int? {
        switch architecture.rotation {
        case .all: return nil
        case .allBut(let every): return every
        case .unless(let key): return try flag(key) == false ? 1 : nil
        case .windows: return window == nil ? nil : try globalEvery()
        }
    }

    /// nil: there is none.
    func cap(_ option: ModelOption) throws(ModelError) -> Float? {
        let caps = architecture.caps
        let fallback = option == .attentionCap ? caps?.attention : caps?.logits
        let cap = try scale(option, default: fallback ?? 0)
        return cap == 0 ? nil : cap
    }

    /// A factor that only some architectures have; 0 is as good as none.
    func scale(_ option: ModelOption, default fallback: Float = 1) throws(ModelError) -> Float {
        guard reads(option), let value = try float(option.rawValue), value != 0 else {
            guard !architecture.needs.contains(option) else { throw .missingKey(prefix + option.rawValue) }
            return fallback
        }
        return try positive(option.rawValue, default: nil)
    }

    /// nil: there are none; 0 of them is as good as none where a model may be without.
    func experts() throws(ModelError) -> ExpertShape? {
        guard let routing = architecture.experts else { return nil }
        let key = ModelOption.experts.rawValue
        let isPlain = try integer(key) ?? 0 == 0
        guard architecture.needs.contains(.experts) || !isPlain else { return nil }
        let count = try size(key, upTo: 1_024)
        return ExpertShape(
            count: count, used: try size("expert_used_count", upTo: count),
            width: try size(routing.widthKey, upTo: 1 << 20), isRenormalised: routing.isRenormalised)
    }

    /// A window as long as the context bounds nothing.
    func window(contextLength: Int) throws(ModelError) -> Int? {
        guard !architecture.ignores.contains(.slidingWindow) else { return nil }
        let window = try integer(ModelOption.slidingWindow.rawValue) ?? architecture.windows?.tokens
        return window.flatMap { (1..<contextLength).contains($0) ? $0 : nil }
    }

    private func reads(_ option: ModelOption) -> Bool {
        architecture.needs.contains(option) || architecture.takes.contains(option)
    }

    /// Refuses what would change the forward pass and is not built.
    func refuseUnsupportedOptions() throws(ModelError) {
        for option in ModelOption.allCases {
            guard option != .slidingWindow, !reads(option), !architecture.ignores.contains(option) else { continue }
            var value: String?
            if let plain = option.plainFlag {
                value = try flag(option.rawValue).flatMap { $0 == plain ? nil : "\($0)" }
            } else {
                value = try float(option.rawValue).flatMap { number in
                    number == option.plainNumber ? nil : Int(exactly: number).map { "\($0)" } ?? "\(number)"
                }
            }
            guard let value else { continue }
            throw .unsupportedFeature(key: prefix + option.rawValue, value: value, feature: option.feature)
        }
    }

    func invalid(_ key: String, _ value: Int, _ needed: String) -> ModelError {
        .invalidValue(key: prefix + key, value: "\(value)", needed: needed)
    }

    private func integer(_ key: String) throws(ModelError) -> Int? {
        try Self.wrapped { () throws(GGUFError) in try metadata.integer(prefix + key) }
    }

    private func float(_ key: String) throws(ModelError) -> Float? {
        try Self.wrapped { () throws(GGUFError) in try metadata.float(prefix + key) }
    }

    private func flag(_ key: String) throws(ModelError) -> Bool? {
        try Self.wrapped { () throws(GGUFError) in try metadata.bool(prefix + key) }
    }

    private func string(_ key: String) throws(ModelError) -> String? {
        try Self.wrapped { () throws(GGUFError) in try metadata.string(prefix + key) }
    }

    private static func wrapped<Value>(_ body: () throws(GGUFError) -> Value) throws(ModelError) -> Value {
        do throws(GGUFError) { return try body() } catch { throw .file(error) }
    }
}
