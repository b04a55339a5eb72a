// How a branch goes through one layer, behind the document: projections by tiles, attention by KV heads, the rest by
// tiles.

import CAKE

/// Reads branches through a layer; `DocumentPrefill` says what comes when.
final class BranchReader {
    let branches: [Branch]
    private let room: LayerRoom
    private let meter: KVMeter
    /// The document's first tokens that every branch sees and that are kept in any case.
    private let sinks: Int
    /// Room for the branches that observe, and for those that check, so that they change nothing in what is observed.
    private let observer: Observer?
    private let checker: Observer?
    /// Keys and values of the branch being read, as its tiles compute them: `[rows, kvHeads, headWidth]`.
    private let keys: FloatBuffer
    private let values: FloatBuffer
    /// The same as they are cached, of one KV head at a time, since they come on top of the budget and the layer.
    private var headRows: HeadRows?

    init(_ room: LayerRoom, _ branches: Branches, method: Method, sinks: Int, meter: KVMeter) throws(ModelError) {
        let shape = room.model.configuration
        self.room = room
        self.branches = branches.all
        self.meter = meter
        self.sinks = sinks
        func makeObserver(_ rows: Int, _ method: Method?) throws(ModelError) -> Observer? {
            guard rows > 0 else { return nil }
            return try Observer(
                room.model, pool: room.pool, rows: rows,
                observedTokens: method?.observedTokens(documentTokens: room.tokens) ?? 0, method: method)
        }
        observer = try makeObserver(branches.longest { $0 != .checks }, method)
        checker = try makeObserver(branches.longest { $0 == .checks }, nil)
        let size = branches.longest { _ in true } * shape.kvHeads * shape.headWidth
        keys = try FloatBuffer(size)
        values = try FloatBuffer(size)
    }

    /// Turns to the room's layer.
    func begin() { observer?.change?.begin(outputProjection: room.weights[.attentionOutput]) }

    private func observer(of branch: Branch) -> Observer {
        guard let observer = branch.role == .checks ? checker : observer else {
            preconditionFailure("a branch has its observer")
        }
        return observer
    }

    /// Whether a branch goes through the rest of the last layer too, behind which others have no readers.
    func isFinished(_ index: Int) -> Bool { !room.isLast || branches[index].role == .checks }

    /// The last `count` rows of a branch as the last layer left them.
    func lastRows(_ count: Int, of index: Int) -> Floats {
        let branch = branches[index]
        return room.residual(branch.firstRow + branch.rows - count, count)
    }

    /// Whether anything reads what a branch's rows gather by attention.
    private func gathers(_ index: Int) -> Bool { isFinished(index) || observer(of: branches[index]).change != nil }

    /// Computes queries, keys and values of a tile of a branch's rows, `firstRow` counted from its first; returns how
    /// many.
    func project(_ index: Int, firstRow: Int) -> Int {
        let branch = branches[index]
        let block = room.block
        let count = min(room.tileRows, branch.rows - firstRow)
        let x = room.input(branch.firstRow + firstRow, count)
        // Every branch starts where the document ends.
        block.setPositions(first: 0, count: count, position: room.tokens + firstRow)
        let gathers = gathers(index)
        block.project(
            gathers ? .all : [.queries, .keys], room.weights, room.panel, x: x, rows: count,
            ranges: [RowRange(first: 0, count: count, isDense: true)])
        observer(of: branch).keep(block, x: x, rows: count, firstRow: firstRow, attended: false)
        let width = room.layerRows.heads * room.layerRows.headWidth
        let tile = (first: firstRow * width, count: count * width)
        keys.floats.slice(tile.first, tile.count).copy(from: block.key.floats.slice(0, tile.count))
        if gathers { values.floats.slice(tile.first, tile.count).copy(from: block.value.floats.slice(0, tile.count)) }
        return count
    }

    /// Lets a branch's query heads of one KV head attend to the document and to the branch itself, and observes them.
    func attend(_ index: Int, head: Int) throws(ModelError) {
        let branch = branches[index]
        let observer = observer(of: branch)
        let gathers = gathers(index)
        // Entries do not keep their memory: it lives until the last head has been read.
        defer { if head + 1 == room.layerRows.heads { headRows = nil } }
        let own = try storeRows(branch, head: head, values: gathers)
        let seen = room.weights.bounds.oldest(seenFrom: room.tokens)..<room.tokens
        // Where rows see a window, they read all of it: it is short, and what a question will see there, too.
        let reads = seen.count < room.tokens ? seen : branch.reads
        let judges = branch.judges.clamped(to: seen)
        attend(branch, head: head, to: runs(head, reads, seen) + [own], attended: gathers)
        if branch.isRenormalised {
            attend(branch, head: head, to: runs(head, judges, seen) + [own], attended: false)
        }
        guard branch.role != .checks, !judges.isEmpty else { return }
        room.observe(
            observer, head: head, rows: branch.rows, position: room.tokens, keys: entries(head, judges))
    }

    /// The branch's own keys and values of one KV head, each row seeing those up to itself.
    private func storeRows(_ branch: Branch, head: Int, values hasValues: Bool) throws(ModelError) -> Entries {
        let layerRows = room.layerRows
        let own: HeadRows
        if let headRows {
            own = headRows
        } else {
            own = try HeadRows(
                rows: layerRows.rows, heads: 1, headWidth: layerRows.headWidth, capacity: branch.rows,
                firstPosition: room.tokens, meter: meter)
            headRows = own
        }
        var store = StoreRows(
            rows: branch.rows, keys: keys.floats, values: hasValues ? values.floats : nil, heads: layerRows.heads,
            firstHead: head, cache: own, firstRow: 0)
        store.run(on: room.pool)
        return own.entries(head: 0, count: branch.rows, seenByFirst: 1)
    }

    private func entries(_ head: Int, _ range: Range<Int>) -> Entries {
        room.layerRows.entries(head: head, first: range.lowerBound, count: range.count, seenByFirst: range.count)
    }

    /// The sinks that a range leaves out, where they are seen, and the range.
    private func runs(_ head: Int, _ range: Range<Int>, _ seen: Range<Int>) -> [Entries] {
        let before = (0..<min(sinks, range.lowerBound)).clamped(to: seen)
        return before.isEmpty ? [entries(head, range)] : [entries(head, before), entries(head, range)]
    }

    /// For the outputs of the branch's rows, or for their normalisers alone.
    private func attend(_ branch: Branch, head: Int, to runs: [Entries], attended: Bool) {
        let observer = observer(of: branch)
        room.attend(
            branch.rows, position: room.tokens, query: observer.query.floats, firstHead: head, runs: runs,
            runsPerHead: runs.count, attended: attended ? observer.attended.floats : nil, observer: observer)
    }

    /// Takes a tile of a branch's rows through the rest of the layer; returns how many.
    func finish(_ index: Int, firstRow: Int) -> Int {
        let branch = branches[index]
        let shape = room.model.configuration
        let count = min(room.tileRows, branch.rows - firstRow)
        let width = shape.heads * shape.headWidth
        room.block.finish(
            room.weights, room.panel,
            attended: observer(of: branch).attended.floats.slice(firstRow * width, count * width),
            x: room.residual(branch.firstRow + firstRow, count), rows: count,
            ranges: [RowRange(first: 0, count: count, isDense: true)])
        return count
    }
}
