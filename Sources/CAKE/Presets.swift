// The named methods: one row each.

extension Method {
    /// The preset that is used when none is named.
    public static let defaultPreset = "cake-reconstruct"

    /// The names `preset(_:)` knows.
    public static let presetNames = presets.map(\.name)

    /// Returns the method of that name.
    ///
    /// - Throws: `CAKEError.unknownPreset` with the names there are.
    public static func preset(_ name: String) throws(CAKEError) -> Method {
        guard let method = presets.first(where: { $0.name == name }) else {
            throw .unknownPreset(name: name, known: presetNames)
        }
        return method
    }

    // A rival is a row here. SnapKV is `cake` with gamma 0 and `.uniform`; Ada-KV lets its heads compete; PyramidKV and
    // KVzip want a case of `Allocation` each, StreamingLLM one of `Indicator`, H2O and TOVA other `window` rows.
    private static let presets = [
        Method(name: "full", observation: .none, indicator: .position, allocation: .everything),
        // The paper: the window is all that is protected.
        Method(
            name: "cake", observation: .window(rows: 32),
            indicator: .meanPlusVariance(gamma: 200, poolWidth: 5),
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0)),
        // For questions nobody knew at write time. The floor keeps a layer of tiny preference from starving.
        Method(
            name: "cake-reconstruct", observation: .reconstruction(chunkRows: 512),
            indicator: .largestChange(poolWidth: 5),
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0.2),
            competeAcrossHeads: true, protectedTokens: 4, protectsTemplatePrefix: true),
        // The same by attention alone, as KVzip judges entries: what the default is measured against.
        Method(
            name: "cake-reconstruct-max", observation: .reconstruction(chunkRows: 512), indicator: .maximum,
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0.2),
            competeAcrossHeads: true, protectedTokens: 4, protectsTemplatePrefix: true),
    ]

    /// The exponents the authors tuned for a model at a budget (their `model2tau` table).
    private static let tunedExponents: [(model: String, budget: Int, tau1: Double, tau2: Double)] = [
        ("llama3.1-8b", 128, 1.6, 0.6), ("llama3.1-8b", 1024, 1.6, 0.4),
        ("mistral-7b-v0.3", 128, 1.0, 0.8), ("mistral-7b-v0.3", 1024, 0.8, 0.5),
        ("qwen2.5-7b", 128, 0.4, 0.6), ("qwen2.5-7b", 1024, 1.5, 0.6),
        ("llama2-7b", 128, 0.9, 2.3), ("llama2-7b", 1024, 1.9, 1.8),
        ("llama2-13b", 128, 1.8, 2.0), ("llama2-13b", 1024, 0.5, 0.4),
    ]

    /// The method with the exponents tuned for a model at a budget; nil when there are none, or nothing to tune.
    public func tuned(model: String, budget: Int) -> Method? {
        guard case .cake(_, _, let floorShare) = allocation,
            let row = Self.tunedExponents.first(where: { $0.model == model && $0.budget == budget })
        else { return nil }
        var method = self
        method.allocation = .cake(tau1: row.tau1, tau2: row.tau2, floorShare: floorShare)
        return method
    }
}
