// How a document goes through one layer, a tile of rows at a time.
//
//     x ─▶ queries, keys, values ─▶ the layer's buffer ─▶ attention over all rows up to each ─▶ observe
//       ─▶ rest of the block ─▶ x

import CAKE

/// Reads tiles of a document's rows through a layer, some of which observe: a window at the end, or every one.
final class LayerReader {
    /// The last rows of the document that observe, or nil.
    let window: Range<Int>?
    private let room: LayerRoom
    private let everyRowObserves: Bool
    /// Nil when no row of the document observes.
    private let observer: Observer?

    init(_ room: LayerRoom, method: Method) throws(ModelError) {
        self.room = room
        let observed = method.observedTokens(documentTokens: room.tokens)
        everyRowObserves = method.observation == .everyRow
        if case .window = method.observation { window = observed..<room.tokens } else { window = nil }
        let observingRows = everyRowObserves ? room.tileRows : window?.count ?? 0
        observer =
            observingRows == 0
            ? nil
            : try Observer(room.model, pool: room.pool, rows: observingRows, observedTokens: observed, method: method)
    }

    /// Turns to the room's layer.
    func begin() { observer?.change?.begin(outputProjection: room.weights[.attentionOutput]) }

    /// Reads a tile of rows from `first` on; returns how many.
    func readTile(firstRow first: Int) throws(ModelError) -> Int {
        let count = min(room.tileRows, room.tokens - first)
        let dense = [RowRange(first: 0, count: count, isDense: true)]
        let (block, layer, panel) = (room.block, room.weights, room.panel)
        let observer = observes(first..<first + count) ? observer : nil
        // Behind the last layer nobody reads the rows: only what observes has queries there.
        let attends = !room.isLast || observer != nil
        let x = room.input(first, count)
        try check(x, rows: count, first)

        block.setPositions(first: 0, count: count, position: first)
        block.project(attends ? .all : [.keys, .values], layer, panel, x: x, rows: count, ranges: dense)
        var store = StoreRows(
            rows: count, keys: block.key.floats, values: block.value.floats, heads: room.layerRows.heads,
            cache: room.layerRows, firstRow: first)
        store.run(on: room.pool)
        guard attends else { return count }
        attend(first, count, x, observer)
        if !room.isLast {
            block.finish(layer, panel, attended: block.attended.floats, x: x, rows: count, ranges: dense)
        }
        return count
    }

    /// A row of which one element is not a number has none behind the next norm: the first tells for all.
    private func check(_ x: Floats, rows count: Int, _ first: Int) throws(ModelError) {
        let width = x.count / count
        for row in 0..<count where !x[row * width].isFinite {
            throw .layerNotFinite(layer: room.layer, row: first + row)
        }
    }

    private func observes(_ rows: Range<Int>) -> Bool {
        everyRowObserves || window.map { rows.upperBound > $0.lowerBound } ?? false
    }

    /// Every row of the tile attends to all rows up to itself; what observes is kept, or observed at once.
    private func attend(_ first: Int, _ count: Int, _ x: Floats, _ observer: Observer?) {
        let block = room.block
        // The tile's first row among the observing ones, which stay for this tile alone where every row observes.
        let observerRow = everyRowObserves ? 0 : first - (window?.lowerBound ?? 0)
        let gathers = !room.isLast || observer?.change != nil
        let heads = 0..<room.layerRows.heads
        let oldest = room.weights.bounds.oldest(seenFrom: first)
        let seen = heads.map { head in
            room.layerRows.entries(
                head: head, first: oldest, count: first + count - oldest, seenByFirst: first + 1 - oldest)
        }
        room.attend(
            count, position: first, query: block.query.floats, runs: seen, runsPerHead: 1,
            attended: gathers ? block.attended.floats : nil, observer: observer, observerRow: observerRow)
        guard let observer else { return }
        observer.keep(block, x: x, rows: count, firstRow: observerRow)
        guard everyRowObserves else { return }
        for head in heads { room.observe(observer, head: head, rows: count, position: first, keys: seen[head]) }
    }

    /// Observes the attention of the document's last rows to what lies before them.
    func observeWindow() {
        guard let observer, let window else { return }
        let seen = room.weights.bounds.oldest(seenFrom: window.lowerBound)..<window.lowerBound
        guard !seen.isEmpty else { return }
        for head in 0..<room.layerRows.heads {
            let keys = room.layerRows.entries(
                head: head, first: seen.lowerBound, count: seen.count, seenByFirst: seen.count)
            room.observe(observer, head: head, rows: window.count, position: window.lowerBound, keys: keys)
        }
    }
}
