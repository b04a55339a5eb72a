// Layer-major prefill of one document, compressed as it is read: peak KV memory is the budget and one layer.
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
        case projectBranch(Int, firstRow: Int)
        case attendBranch(Int, head: Int)
        case finishBranch(Int, firstRow: Int)
        case compress
        case done
    }

    /// The most rows a method may observe at once: a chunk or a window.
    public static let maximumObservedRows = 4_096
    /// The most probes: each is a branch with a step of its own in every layer.
    public static let maximumProbes = 64
    /// The most places to check: likewise.
    public static let maximumChecks = 64

    let room: LayerRoom
    private let reader: LayerReader
    /// Nil without branches.
    private let branchReader: BranchReader?
    let layers: Int
    /// How kept rows are stored.
    let rows: KVRows
    /// The places to check, the last of the branches.
    private let checks: [CheckPlace]
    private let surrogate: Surrogate?
    private let lesson: SurrogateLesson?
    /// Where something is predicted or learned.
    private let features: EntryFeatures?
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
    ///   - surrogate: what a method that predicts predicts with.
    ///   - lesson: takes up what the document teaches a surrogate; of a method that feeds it again.
    /// - Throws: `ModelError` when there are no tokens or too many, an id is unknown, or the budget does not fit.
    public init(
        model: Model, pool: WorkerPool, tokens ids: [Int32], templatePrefixTokens: Int, method: Method, budget: Int,
        rows: KVRows = .f16, instruction: [Int32] = [], probes: [[Int32]] = [], checks: [CheckPlace] = [],
        surrogate: Surrogate? = nil, lesson: SurrogateLesson? = nil
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
                templatePrefixTokens: templatePrefixTokens, capacities: shape.capacities(tokens: ids.count),
                budget: budget)
        } catch {
            throw .eviction(error)
        }
        if method.observation == .predicted {
            let fits = surrogate?.fits(
                layers: shape.layers, kvHeads: shape.kvHeads, features: shape.entryFeatures)
            guard fits == true else {
                throw .invalidOption(
                    name: "the surrogate of method \(method.name)", value: surrogate == nil ? "missing" : "another's",
                    needed: "one that was learned with this model")
            }
        }
        (self.surrogate, self.lesson) = (surrogate, lesson)
        self.rows = rows
        layers = shape.layers
        self.checks = checks
        let branches = Branches(
            document: ids, method: method, instruction: instruction, probes: probes, checks: checks.map(\.ids))
        room = try LayerRoom(
            model: model, pool: pool, document: ids, branches: branches.ids, method: method, rows: rows.growing,
            meter: meter)
        reader = try LayerReader(room, method: method)
        features =
            method.observation == .predicted || lesson != nil
            ? try EntryFeatures(shape, pool: pool, rows: room.layerRows, document: ids) : nil
        let alwaysKept = AlwaysKept(method, tokens: ids.count, templatePrefixTokens: templatePrefixTokens)
        branchReader =
            branches.all.isEmpty
            ? nil
            : try BranchReader(room, branches, method: method, sinks: alwaysKept.start.count, meter: meter)
        work = PrefillWork(
            shape, tokens: ids.count, branches: branches.all, everyRowObserves: method.observation == .everyRow)
    }

    private static func check(_ method: Method, instruction: Int, probes: [[Int32]]) throws(ModelError) {
        var rows = 1
        switch method.observation {
        case .none, .everyRow, .predicted: break
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

    /// Does the next piece of work, a fraction of a second at most.
    ///
    /// Does nothing once done.
    public func step() throws(ModelError) -> Progress {
        switch stage {
        case .prepare:
            room.begin(layer: layer)
            reader.begin()
            branchReader?.begin()
            stage = .tile(firstRow: 0)
        case .tile(let firstRow):
            let rows = try reader.readTile(firstRow: firstRow)
            work.read(rows: rows, keysBefore: firstRow)
            stage = afterTile(firstRow + rows)
        case .observeWindow:
            reader.observeWindow()
            stage = beginBranch(0)
        case .projectBranch(let index, let firstRow):
            let next = firstRow + (branchReader?.project(index, firstRow: firstRow) ?? 0)
            stage = next < rows(of: index) ? .projectBranch(index, firstRow: next) : .attendBranch(index, head: 0)
        case .attendBranch(let index, let head):
            try branchReader?.attend(index, head: head)
            work.attended(branch: index)
            stage = afterBranchHead(index, head: head)
        case .finishBranch(let index, let firstRow):
            let next = firstRow + (branchReader?.finish(index, firstRow: firstRow) ?? 0)
            stage = next < rows(of: index) ? .finishBranch(index, firstRow: next) : beginBranch(index + 1)
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
        if next < room.tokens { return .tile(firstRow: next) }
        return reader.window != nil ? .observeWindow : beginBranch(0)
    }

    /// Goes on with a branch, or to the layer's end if it was the last.
    private func beginBranch(_ index: Int) -> Stage {
        index < (branchReader?.branches.count ?? 0) ? .projectBranch(index, firstRow: 0) : .compress
    }

    private func afterBranchHead(_ index: Int, head: Int) -> Stage {
        if head + 1 < room.layerRows.heads { return .attendBranch(index, head: head + 1) }
        return branchReader?.isFinished(index) == true ? .finishBranch(index, firstRow: 0) : beginBranch(index + 1)
    }

    private func rows(of branch: Int) -> Int { branchReader?.branches[branch].rows ?? 0 }

    /// Decides what stays of the layer just read, evicts from the earlier ones, then keeps the new layer's share.
    private func compress() throws(ModelError) {
        let decision = cascade.add(try observation())
        for (index, layer) in kept.enumerated() { layer.truncate(to: decision.counts[index]) }
        kept.append(
            try KeptLayer(gathering: decision.heads.map(\.positions), from: room.layerRows, as: rows, meter: meter))
        layer += 1
        work.finished(layers: layer)
        stage = layer < layers ? .prepare : .done
    }

    /// What was observed of the layer, or is predicted of it.
    private func observation() throws(ModelError) -> LayerObservation {
        guard let features else { return room.observation() }
        guard let lesson else {
            guard let surrogate else { preconditionFailure("nothing is predicted without a surrogate") }
            return room.observation(
                predicted: try features.scores(room.weights, weights: surrogate.weights[layer]),
                preference: surrogate.preferences[layer])
        }
        let observation = room.observation()
        lesson.add(
            layer: layer, grams: try features.grams(room.weights, scores: room.accumulator.rawIndicator),
            preference: observation.preference, tokens: room.tokens)
        return observation
    }

    /// What the full cache made of every place's tokens from the last one of its request on, `[places · truth]` rows.
    public func checkedRows() throws(ModelError) -> OutputRows {
        guard case .done = stage else { throw .invalidBatch("the document is not read to its end") }
        var parts: [Floats] = []
        if let branchReader {
            let first = branchReader.branches.count - checks.count
            parts = checks.indices.map { branchReader.lastRows(checks[$0].truth.count, of: first + $0) }
        }
        return try OutputRows(parts, width: room.model.configuration.width)
    }

    /// The compact cache, when `step` has said that all is done.
    public func finish() throws(ModelError) -> CompactCache {
        guard case .done = stage else { throw .invalidBatch("the document is not read to its end") }
        let retention = cascade.finish()
        for (index, layer) in kept.enumerated() { layer.truncate(to: retention.counts[index]) }
        return CompactCache(
            kept: kept, retention: retention, rows: rows, kvHeads: room.layerRows.heads,
            headWidth: room.layerRows.headWidth, peakKVBytes: meter.peakBytes)
    }
}
