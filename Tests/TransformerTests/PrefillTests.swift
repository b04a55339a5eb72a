// A document read, compressed and asked: against the reference, in memory and out of a byte copy.

import CAKE
import Foundation
import Testing
import Transformer

/// Reads a document to its end.
func read(
    _ ids: [Int32], _ model: Model, _ pool: WorkerPool, method: Method? = nil, budget: Int, rows: KVRows = .f16,
    instruction: [Int32] = [1, 2], probes: [[Int32]] = []
) throws -> CompactCache {
    let prefill = try DocumentPrefill(
        model: model, pool: pool, tokens: ids, templatePrefixTokens: 0,
        method: method ?? Method.preset("cake-reconstruct"), budget: budget, rows: rows, instruction: instruction,
        probes: probes)
    var fraction = 0.0
    while true {
        let progress = try prefill.step()
        #expect(progress.fraction >= fraction && progress.fraction <= 1)
        fraction = progress.fraction
        if progress.isDone { return try prefill.finish() }
    }
}

/// The rows of a cache in memory of their own, as a store would hold them, split into segments.
@safe final class CopiedRows {
    private var buffers: [UnsafeMutableRawPointer] = unsafe []

    deinit {
        for index in unsafe buffers.indices { unsafe buffers[index].deallocate() }
    }

    func base(of cache: CompactCache, segmentEntries: Int = .max) -> BaseRows {
        var base = BaseRows(
            rows: cache.rows, layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth,
            tokens: cache.tokens, owner: self)
        for layer in 0..<cache.layers {
            for head in 0..<cache.kvHeads {
                let rows = cache.rows(layer: layer, head: head)
                var first = 0
                while first < rows.positions.count {
                    let count = min(segmentEntries, rows.positions.count - first)
                    let (width, end) = (cache.headWidth, first + count)
                    let keys =
                        cache.rows.keyBytes(
                            entries: first, headWidth: width)..<cache.rows.keyBytes(entries: end, headWidth: width)
                    let values =
                        cache.rows.valueBytes(
                            entries: first, headWidth: width)..<cache.rows.valueBytes(entries: end, headWidth: width)
                    unsafe base.append(
                        keys: copy(rows.keys, keys), values: copy(rows.values, values),
                        positions: copy(rows.positions[first..<end]), count: count, layer: layer, head: head)
                    first += count
                }
            }
        }
        return base
    }

    private func copy(_ positions: ArraySlice<UInt32>) -> UnsafePointer<UInt32> {
        let bytes = unsafe Array(positions).withUnsafeBytes { unsafe copy($0, 0..<$0.count) }
        return unsafe bytes.assumingMemoryBound(to: UInt32.self)
    }

    private func copy(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) -> UnsafeRawPointer {
        let buffer = UnsafeMutableRawPointer.allocate(byteCount: range.count, alignment: 64)
        unsafe UnsafeMutableRawBufferPointer(start: buffer, count: range.count)
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
        unsafe buffers.append(buffer)
        return UnsafeRawPointer(buffer)
    }
}

@Suite("Prefill")
struct PrefillTests {
    let pool: WorkerPool
    let full: Method

    init() throws {
        pool = try WorkerPool(threads: 2)
        full = try Method.preset("full")
    }

    static let question: [Int32] = [5, 6, 7]

    /// An eviction that keeps a part of every head, ragged across heads.
    static let evicting = Method(
        name: "test", observation: .reconstruction(chunkRows: 30), indicator: .maximum,
        allocation: .cake(tau1: 1, tau2: 1, floorShare: 0.2), heads: .compete(safeguard: 0), protectedTokens: 2)

    func ids(_ count: Int, _ shape: TinyShape) -> [Int32] {
        var random = TestRandom(state: 11)
        return random.ids(count, below: shape.vocabulary)
    }

    @Test("a question about a document answers as one prompt would", arguments: TinyShape.all)
    func wholeDocument(_ shape: TinyShape) throws {
        let tiny = TinyModel(shape)
        let model = try tiny.load()
        // More than a tile of rows, and more than a tile of keys.
        let document = ids(300, shape)
        let expected = tiny.forward(document + Self.question).logits
        let cache = try read(document, model, pool, method: full, budget: 300, rows: .f32)
        let sequence = try Sequence(model: model, base: cache.base)
        let logits = try Decoder(model: model, pool: pool).feed(Self.question, to: sequence)
        #expect(distance(logits, expected[302]) < 5e-4)
        #expect(sequence.position == 303)
    }

    @Test("stored row types stay close to floats", arguments: [(KVRows.f16, 0.02), (.q8_0, 0.2), (.q4, 1.5)])
    func rowTypes(_ rows: KVRows, _ tolerance: Double) throws {
        let shape = TinyShape(name: "heads of 32", width: 64, headWidth: 32)
        let tiny = TinyModel(shape)
        let model = try tiny.load()
        let document = ids(120, shape)
        let expected = tiny.forward(document + Self.question).logits
        let cache = try read(document, model, pool, method: full, budget: 120, rows: rows)
        let logits = try Decoder(model: model, pool: pool)
            .feed(Self.question, to: Sequence(model: model, base: cache.base))
        let error = distance(logits, expected[122])
        #expect(error < tolerance && error > 0)
    }

    @Test(
        "a question starts at the document's length, not at the number of kept entries",
        arguments: [TinyShape.all[0], TinyShape.windows, TinyShape.sinks])
    func position(_ shape: TinyShape) throws {
        let tiny = TinyModel(shape)
        let model = try tiny.load()
        let document = ids(200, shape)
        let cache = try read(document, model, pool, method: Self.evicting, budget: 40, rows: .f32)
        let kept = cache.retention.layers.map { $0.heads.map { $0.positions.map(Int.init) } }
        #expect(kept[0][0].count < 200)
        /// The reference: the document's rows see all, the question's only what is kept.
        func expected(from position: Int) -> [Double] {
            let rows = document.enumerated().map { ($1, $0) } + Self.question.enumerated().map { ($1, position + $0) }
            return tiny.forward(rows) { layer, head, row in
                row < 200 ? Array(0...row) : kept[layer][head] + Array(200...row)
            }.logits[202]
        }
        let sequence = try Sequence(model: model, base: cache.base)
        #expect(sequence.position == 200)
        let logits = try Decoder(model: model, pool: pool).feed(Self.question, to: sequence)
        #expect(distance(logits, expected(from: 200)) < 5e-4)
        #expect(distance(logits, expected(from: 40)) > 0.05)
    }

    @Test(
        "entries in rank order leave the window one by one as a conversation goes on, in whatever steps",
        arguments: [1, 3, 8, 40], [KVRows.f32, .q4])
    func windows(_ step: Int, _ rows: KVRows) throws {
        var shape = TinyShape.windows
        if rows == .q4 { (shape.width, shape.headWidth) = (64, 32) }
        let tiny = TinyModel(shape)
        let model = try tiny.load()
        let (document, question) = (ids(200, shape), ids(40, shape))
        let cache = try read(document, model, pool, method: Self.evicting, budget: 20, rows: rows)
        let kept = cache.retention.layers.map { $0.heads.map { $0.positions.map(Int.init) } }
        #expect(kept[0].allSatisfy { $0.allSatisfy { $0 >= 200 - 23 } } && kept[1][0].contains { $0 < 100 })
        #expect(kept[0].contains { $0 != $0.sorted() && $0 != $0.sorted(by: >) })
        let rows = document.enumerated().map { ($1, $0) } + question.enumerated().map { ($1, 200 + $0) }
        let expected = tiny.forward(rows) { layer, head, row in
            row < 200 ? Array(0...row) : kept[layer][head] + Array(200...row)
        }
        for base in [cache.base, CopiedRows().base(of: cache)] {
            let sequence = try Sequence(model: model, base: base)
            let decoder = try Decoder(model: model, pool: pool)
            for first in stride(from: 0, to: 40, by: step) {
                let part = Array(question[first..<min(40, first + step)])
                let logits = try decoder.feed(part, to: sequence)
                let wanted = expected.logits[200 + first + part.count - 1]
                #expect(distance(logits, wanted) < (cache.rows == .q4 ? 2 : 1e-3))
            }
        }
    }

    @Test("rows elsewhere in memory give the same logits, bit for bit", arguments: [KVRows.f16, .q8_0, .q4, .f32])
    func byteCopy(_ rows: KVRows) throws {
        let shape = TinyShape(name: "long", headWidth: 32, contextLength: 4_096)
        let model = try TinyModel(shape).load()
        let document = ids(2_500, shape)
        let cache = try read(document, model, pool, method: full, budget: 2_500, rows: rows)
        let decoder = try Decoder(model: model, pool: pool)
        func logits(_ base: BaseRows) throws -> [[Float]] {
            let sequence = try Sequence(model: model, base: base)
            return [
                try decoder.feed(Array(document[..<50]), to: sequence), try decoder.feed([9], to: sequence),
                try decoder.feed(Self.question, to: sequence),
            ]
        }
        let inMemory = try logits(cache.base)
        #expect(try logits(CopiedRows().base(of: cache)) == inMemory)
        #expect(try logits(CopiedRows().base(of: cache, segmentEntries: BaseRows.splitEntries)) == inMemory)
    }

    @Test("what one question adds is not seen by the next")
    func privateTails() throws {
        let shape = TinyShape.all[0]
        let model = try TinyModel(shape).load()
        let cache = try read(ids(100, shape), model, pool, budget: 30)
        let decoder = try Decoder(model: model, pool: pool)
        let first = try decoder.feed(Self.question, to: Sequence(model: model, base: cache.base))
        _ = try decoder.feed([9, 9, 9, 9], to: Sequence(model: model, base: cache.base))
        #expect(try decoder.feed(Self.question, to: Sequence(model: model, base: cache.base)) == first)
    }

    @Test("a long tail grows and stays right")
    func longTail() throws {
        let shape = TinyShape.all[0]
        let tiny = TinyModel(shape)
        let model = try tiny.load()
        let document = ids(50, shape)
        let rest = Array(ids(330, shape)[50...])
        let cache = try read(document, model, pool, method: full, budget: 50, rows: .f32)
        let decoder = try Decoder(model: model, pool: pool, maxRowsPerStep: 33)
        let meter = KVMeter()
        let sequence = try Sequence(model: model, base: cache.base, meter: meter)
        let logits = try decoder.feed(rest, to: sequence)
        #expect(distance(logits, tiny.forward(document + rest).logits[329]) < 5e-4)
        // Doubled as it grew: at most twice what it holds.
        #expect(meter.currentBytes <= 2 * 2 * 280 * 2 * 2 * 8 * 4 + 2 * 4_096)
    }

    @Test("a document is refused with its cause", arguments: [0, 1, 2, 3, 4, 5])
    func refusals(_ row: Int) throws {
        let model = try TinyModel(TinyShape.all[0]).load()
        let method = try Method.preset("cake-reconstruct")
        let (ids, prefix, rows, budget, error): ([Int32], Int, KVRows, Int, ModelError?) =
            [
                ([], 0, .f16, 1, .emptyPrompt),
                ([Int32](repeating: 1, count: 513), 0, .f16, 50, .contextExceeded(tokens: 513, contextLength: 512)),
                ([1, 2, 40], 0, .f16, 3, .tokenOutOfRange(40, vocabulary: 40)),
                ([1, 2, 3], 4, .f16, 3, nil),
                ([1, 2, 3], 0, .q8_0, 3, .unsupportedRows(.q8_0, headWidth: 8)),
                ([1, 2, 3], 0, .f16, 4, .eviction(.budgetAboveDocument(budget: 4, tokens: 3))),
            ][row]
        func start() throws {
            _ = try DocumentPrefill(
                model: model, pool: pool, tokens: ids, templatePrefixTokens: prefix, method: method,
                budget: budget, rows: rows)
        }
        if let error {
            #expect(throws: error) { try start() }
            #expect(!error.description.isEmpty)
        } else {
            #expect(throws: ModelError.self) { try start() }
        }
    }

    @Test("weights that are not numbers end a reading by the layer behind them", arguments: [Float.nan, .infinity])
    func notANumber(_ weight: Float) throws {
        var tiny = TinyModel(TinyShape.all[0])
        let index = try #require(tiny.tensors.firstIndex { $0.name == "blk.0.ffn_up.weight" })
        tiny.tensors[index].values[100] = weight
        let model = try tiny.load()
        #expect(throws: ModelError.layerNotFinite(layer: 1, row: 0)) { try read([1, 2, 3], model, pool, budget: 3) }
    }

    @Test("a base of another shape is refused")
    func foreignBase() throws {
        let cache = try read(
            ids(40, TinyShape.all[0]), try TinyModel(TinyShape.all[0]).load(), pool, budget: 20)
        let other = try TinyModel(TinyShape.all[1]).load()
        #expect(throws: ModelError.self) { try Sequence(model: other, base: cache.base) }
    }
}
