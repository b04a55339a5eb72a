// The named methods: one row each.

extension Method {
    /// The preset that is used when none is named.
    public static let defaultPreset = "cake-global"

    /// The names `preset(_:)` knows.
    public static let presetNames = presets.map(\.name)

    /// Returns the method of that name, which may say with how much effort: "cake-reconstruct:fast".
    ///
    /// - Throws: `CAKEError.unknownPreset` with the names there are.
    public static func preset(_ name: String) throws(CAKEError) -> Method {
        if let method = presets.first(where: { $0.name == name }) { return method }
        let parts = name.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, let method = presets.first(where: { $0.name == parts[0] }),
            let effort = Effort(rawValue: parts[1]), effort == .best || method.with(effort: effort) != method
        else { throw .unknownPreset(name: name, known: presetNames) }
        return method.with(effort: effort)
    }

    private static let presets = [
        Method(name: "full", observation: .none, indicator: .position, allocation: .everything),
        // The paper: the window is all that is protected.
        Method(
            name: "cake", observation: .window(rows: 32),
            indicator: .meanPlusVariance(gamma: 200, poolWidth: 5),
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0)),
        // For questions nobody knew at write time: one ranking over everything, above the part of CAKE's budgets that
        // is a layer's in any case. Which layers matter differs from model to model; preferences alone tell only for
        // some.
        Method(
            name: "cake-global", observation: .reconstruction(chunkRows: 512), indicator: .pooledMaximum,
            allocation: .guardedGlobal(tau1: 1, tau2: 1, share: 0.3, floorShare: 0.2),
            protectedTokens: sinkTokens, protectsTemplatePrefix: true),
        // CAKE's budgets alone, and what forgetting would change. The floor keeps a layer of tiny preference from
        // starving.
        Method(
            name: "cake-reconstruct", observation: .reconstruction(chunkRows: 512),
            indicator: .largestChange(poolWidth: 3),
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0.2),
            heads: .compete(safeguard: 0), protectedTokens: sinkTokens, protectsTemplatePrefix: true),
        // The same by attention alone, as KVzip judges entries.
        Method(
            name: "cake-reconstruct-max", observation: .reconstruction(chunkRows: 512), indicator: .maximum,
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0.2),
            heads: .compete(safeguard: 0), protectedTokens: sinkTokens, protectsTemplatePrefix: true),
        // The one before with questions for rows, when the user can say what will be asked.
        Method(
            name: "cake-probe", observation: .probe, indicator: .largestChange(poolWidth: 3),
            allocation: .cake(tau1: 1, tau2: 1, floorShare: 0.2),
            heads: .compete(safeguard: 0), protectedTokens: sinkTokens, protectsTemplatePrefix: true),
        Method(
            name: "snapkv", observation: .window(rows: 32), indicator: .meanPlusVariance(gamma: 0, poolWidth: 5),
            allocation: .uniform),
        Method(
            name: "pyramidkv", observation: .window(rows: 32), indicator: .meanPlusVariance(gamma: 0, poolWidth: 5),
            allocation: .pyramid(beta: 20)),
        // SnapKV's scores, as in the paper's Ada-SnapKV.
        Method(
            name: "adakv", observation: .window(rows: 32), indicator: .meanPlusVariance(gamma: 0, poolWidth: 5),
            allocation: .uniform, heads: .compete(safeguard: 0.2)),
        Method(
            name: "streamingllm", observation: .none, indicator: .recency, allocation: .uniform,
            protectedTokens: sinkTokens),
        // Recent tokens as PyramidKV's authors measure it; the paper keeps as many as heavy hitters.
        Method(
            name: "h2o", observation: .everyRow, indicator: .accumulated, allocation: .uniform, recentTokens: 32),
        Method(name: "tova", observation: .window(rows: 1), indicator: .meanOverHeads, allocation: .uniform),
        Method(
            name: "kvzip", observation: .reconstruction(chunkRows: 2048, judges: .chunk), indicator: .maximum,
            allocation: .global(floorShare: 0), protectedTokens: sinkTokens, protectsTemplatePrefix: true),
    ]

    /// Attention sinks: the first tokens, which every row looks at (StreamingLLM, arXiv 2309.17453).
    public static let sinkTokens = 4

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
