// Layer-major prefill of one document, compressed as it is read (DESIGN §2): peak KV memory is the budget and one layer.
//
//     for each layer: dequantise its weights ▸ every tile of rows through the whole block ▸ observe ▸ cascade ▸ keep

import CAKE

/// Reads a document step by step; other work may run between steps, and not stepping any more cancels it.
public final class DocumentPrefill {
    /// How far the document is read.
    public struct Progress: Sendable, Equatable {
        /// The layer being read, from 0.
        public let layer: Int
        /// All layers.
        public let layers: Int
        /// The share of the arithmetic that is done, 0...1.
        public let fraction: Double
        /// Whether `finish` can be called.
        public let isDone: Bool
    }

    /// What the next step does.
    ///
    /// Rows are counted from the document's first.
    enum Stage {
        case prepare
        case tile(firstRow: Int)
        case observeWindow
        case branchQueries(chunk: Int, firstRow: Int)
        case branchHead(chunk: Int, head: Int)
        case branchTile(chunk: Int, firstRow: Int)
        case compress
        case done
    }

    /// The most rows a method may observe at once: a chunk or a window.
    public static let maximumObservedRows = 4_096
    /// The most probes: each is a branch with a step of its own in every layer.
    public static let maximumProbes = 64
    /// The most places to check: likewise.
    public static let maximumChecks = 64

    let reader: LayerReader
    let layers: Int
    /// How kept rows are stored.
    let rows: KVRows
    /// The places to check, the last of the branches.
    private let checks: [CheckPlace]
    let meter = KVMeter()
    var cascade: Cascade
    var kept: [KeptLayer] = []
    var layer = 0
    var stage = Stage.prepare
    var work: PrefillWork

    /// Prepares to read a document; nothing is computed yet.
    ///
    /// - Parameters:
    ///   - ids: S tokens, template prefix included.
    ///   - templatePrefixTokens: how many of them stand before the document's text.
    ///   - budget: average entries kept per (layer, KV head).
    ///   - rows: how kept rows are stored; those of the layer being read as they grow.
    ///   - instruction: tokens before each chunk, when the method reconstructs the document.
    ///   - probes: questions that observe as branches, when the method has branches; their tokens.
    ///   - checks: places at which `checkedRows` says what the full cache expects; they change nothing that is kept.
    /// - Throws: `ModelError` when there are no tokens or too many, an id is unknown, or the budget does not fit.
    public init(
        model: Model, pool: WorkerPool, tokens ids: [Int32], templatePrefixTokens: Int, method: Method, budget: Int,
        rows: KVRows = .f16, instruction: [Int32] = [], probes: [[Int32]] = [], checks: [CheckPlace] = []
    ) throws(ModelError) {
        let shape = model.configuration
        guard !ids.isEmpty else { throw .emptyPrompt }
        guard ids.count <= shape.contextLength else {
            throw .contextExceeded(tokens: ids.count, contextLength: shape.contextLength)
        }
        try model.check(ids)
        try model.check(instruction)
        for probe in probes { try model.check(probe) }
        try rows.check(headWidth: shape.headWidth)
        try Self.check(method, instruction: instruction.count, probes: probes)
        try Self.check(checks, model)
        guard (0...ids.count).contains(templatePrefixTokens) else {
            throw .invalidOption(
                name: "the template prefix", value: "\(templatePrefixTokens) tokens", needed: "part of the document")
        }
        do throws(CAKEError) {
            cascade = try Cascade(
                method: method, layers: shape.layers, kvHeads: shape.kvHeads, tokens: ids.count,
                templatePrefixTokens: templatePrefixTokens, budget: budget)
        } catch {
            throw .eviction(error)
        }
        self.rows = rows
        layers = shape.layers
        let alwaysKept = AlwaysKept(method, tokens: ids.count, templatePrefixTokens: templatePrefixTokens)
        reader = try LayerReader(
            model: model, pool: pool, document: ids, method: method, sinks: alwaysKept.start.count, rows: rows.growing,
            instruction: instruction, probes: probes, checks: checks.map(\.ids), meter: meter)
        self.checks = checks
        work = PrefillWork(
            shape, tokens: ids.count, chunks: reader.reconstruction?.chunks ?? [],
            everyRowObserves: method.observation == .everyRow)
    }

    private static func check(_ method: Method, instruction: Int, probes: [[Int32]]) throws(ModelError) {
        var rows = 1
        switch method.observation {
        case .none, .everyRow: break
        case .window(let window): rows = window
        case .probe: break
        case .reconstruction(let chunk, _, _): rows = chunk
        }
        guard (1...maximumObservedRows).contains(rows), instruction <= maximumObservedRows else {
            throw .invalidOption(
                name: "the number of observed rows of method \(method.name)", value: "\(rows)",
                needed: "from 1 to \(maximumObservedRows)")
        }
        guard probes.isEmpty || method.takesProbes else {
            throw .invalidOption(
                name: "probes", value: "\(probes.count)",
                needed: "a method that observes by branches, not \(method.name)")
        }
        guard !probes.isEmpty || method.observation != .probe else {
            throw .invalidOption(name: "probes", value: "none", needed: "at least one for method \(method.name)")
        }
        guard probes.count <= maximumProbes,
            probes.allSatisfy({ (1...maximumObservedRows).contains($0.count) })
        else {
            throw .invalidOption(
                name: "probes", value: "\(probes.count)",
                needed: "at most \(maximumProbes) of 1 to \(maximumObservedRows) tokens")
        }
    }

    private static func check(_ places: [CheckPlace], _ model: Model) throws(ModelError) {
        for place in places { try model.check(place.ids) }
        guard places.count <= maximumChecks,
            places.allSatisfy({
                !$0.lead.isEmpty && !$0.truth.isEmpty && $0.ids.count <= maximumObservedRows
            })
        else {
            throw .invalidOption(
                name: "places to check", value: "\(places.count)",
                needed: "at most \(maximumChecks) of a request, a continuation and \(maximumObservedRows) tokens")
        }
    }

    /// Bytes of KV rows allocated now, and the most so far.
    public var kvBytes: (current: Int, peak: Int) { (meter.currentBytes, meter.peakBytes) }

    /// Does the next piece of work, a fraction of a second at most.
    ///
    /// Does nothing once done.
    public func step() throws(ModelError) -> Progress {
        switch stage {
        case .prepare:
            reader.begin(layer: layer)
            stage = .tile(firstRow: 0)
        case .tile(let firstRow):
            let rows = reader.readTile(firstRow: firstRow)
            work.read(rows: rows, keysBefore: firstRow)
            stage = afterTile(firstRow + rows)
        case .observeWindow:
            reader.observeWindow()
            stage = afterDocument()
        case .branchQueries(let chunk, let firstRow):
            let next = firstRow + reader.projectBranch(chunk, firstRow: firstRow)
            stage =
                next < reader.rows(of: chunk)
                ? .branchQueries(chunk: chunk, firstRow: next) : .branchHead(chunk: chunk, head: 0)
        case .branchHead(let chunk, let head):
            try reader.attendBranch(chunk, head: head)
            work.branched(chunk: chunk)
            stage = afterBranchHead(chunk, head: head)
        case .branchTile(let chunk, let firstRow):
            let next = firstRow + reader.finishBranch(chunk, firstRow: firstRow)
            stage =
                next < reader.rows(of: chunk) ? .branchTile(chunk: chunk, firstRow: next) : afterBranch(chunk)
        case .compress:
            try compress()
        case .done:
            break
        }
        let isDone = if case .done = stage { true } else { false }
        return Progress(
            layer: min(layer, layers - 1), layers: layers, fraction: isDone ? 1 : work.fraction, isDone: isDone)
    }

    private func afterTile(_ next: Int) -> Stage {
        if next < reader.tokens { return .tile(firstRow: next) }
        return reader.window != nil ? .observeWindow : afterDocument()
    }

    private func afterDocument() -> Stage {
        reader.reconstruction == nil ? .compress : .branchQueries(chunk: 0, firstRow: 0)
    }

    private func afterBranchHead(_ chunk: Int, head: Int) -> Stage {
        if head + 1 < reader.kvHeads { return .branchHead(chunk: chunk, head: head + 1) }
        return reader.isFinished(chunk) ? .branchTile(chunk: chunk, firstRow: 0) : afterBranch(chunk)
    }

    private func afterBranch(_ chunk: Int) -> Stage {
        chunk + 1 < (reader.reconstruction?.chunks.count ?? 0)
            ? .branchQueries(chunk: chunk + 1, firstRow: 0) : .compress
    }

    /// Decides what stays of the layer just read, evicts from the earlier ones, then keeps the new layer's share.
    private func compress() throws(ModelError) {
        let decision = cascade.add(reader.observation())
        for (index, layer) in kept.enumerated() { layer.truncate(to: decision.counts[index]) }
        kept.append(
            try KeptLayer(gathering: decision.heads.map(\.positions), from: reader.layerRows, as: rows, meter: meter))
        layer += 1
        work.finished(layers: layer)
        stage = layer < layers ? .prepare : .done
    }

    /// What the full cache made of every place's tokens from the last one of its request on, `[places · truth]` rows.
    public func checkedRows() throws(ModelError) -> OutputRows {
        guard case .done = stage else { throw .invalidBatch("the document is not read to its end") }
        let first = (reader.reconstruction?.chunks.count ?? 0) - checks.count
        return try OutputRows(
            checks.indices.map { reader.lastRows(checks[$0].truth.count, of: first + $0) },
            width: reader.width)
    }

    /// The compact cache, when `step` has said that all is done.
    public func finish() throws(ModelError) -> CompactCache {
        guard case .done = stage else { throw .invalidBatch("the document is not read to its end") }
        let retention = cascade.finish()
        for (index, layer) in kept.enumerated() { layer.truncate(to: retention.counts[index]) }
        return CompactCache(
            kept: kept, retention: retention, rows: rows, kvHeads: reader.kvHeads,
            headWidth: reader.layerRows.headWidth, peakKVBytes: meter.peakBytes)
    }
}
