// Caches of four-bit rows: which entries they hold, what of them, and what cannot be stored so.

import CAKE
import CKernels
import Testing
import Transformer

@Suite("Four-bit rows")
struct FourBitTests {
    static let shape = TinyShape(name: "heads of 32", layers: 3, width: 64, headWidth: 32)
    let model: Model
    let pool: WorkerPool
    let document: [Int32]

    init() throws {
        model = try TinyModel(Self.shape).load()
        pool = try WorkerPool(threads: 2)
        var random = TestRandom(state: 23)
        document = random.ids(170, below: Self.shape.vocabulary)
    }

    /// The rows of half floats as four bits, a group of entries at a time.
    private func quantised(_ rows: UnsafeRawBufferPointer, count: Int, values: Bool) -> [UInt8] {
        let width = Self.shape.headWidth
        var floats = [Float](repeating: .nan, count: count * width)
        unsafe caked_dequantise(CAKED_F16, rows.baseAddress, &floats, floats.count)
        let size = values ? caked_value_bytes(CAKED_Q4, count, width) : caked_key_bytes(CAKED_Q4, count, width)
        var bytes = [UInt8](repeating: 0xee, count: size)
        let isKnown =
            unsafe values
            ? caked_quantise_values(CAKED_Q4, floats, count, width, &bytes)
            : caked_quantise_keys(CAKED_Q4, floats, count, width, &bytes)
        #expect(isKnown)
        return bytes
    }

    @Test("the layer is read in half floats, and what is kept of it is quantised from them in rank order")
    func quantisedFromHalves() throws {
        let full = try Method.preset("full")
        let halves = try read(document, model, pool, method: full, budget: 170, rows: .f16)
        let cache = try read(document, model, pool, method: full, budget: 170, rows: .q4)
        #expect(cache.retention == halves.retention)
        for layer in 0..<cache.layers {
            for head in 0..<cache.kvHeads {
                let (found, source) = (cache.rows(layer: layer, head: head), halves.rows(layer: layer, head: head))
                #expect(unsafe Array(found.keys) == quantised(source.keys, count: 170, values: false))
                #expect(unsafe Array(found.values) == quantised(source.values, count: 170, values: true))
            }
        }
    }

    @Test("the same entries are kept as in half floats, whatever the method", arguments: ["cake", "cake-reconstruct"])
    func sameEntries(_ name: String) throws {
        let method = try Method.preset(name)
        let halves = try read(document, model, pool, method: method, budget: 60, rows: .f16)
        let cache = try read(document, model, pool, method: method, budget: 60, rows: .q4)
        #expect(cache.retention == halves.retention)
        #expect(cache.storedBytes < halves.storedBytes / 2)
    }

    @Test("the first entries of a cache are the first bytes of it: budgets can be cut anywhere")
    func prefixes() throws {
        let full = try Method.preset("full")
        let cache = try read(document, model, pool, method: full, budget: 170, rows: .q4)
        let rows = cache.rows(layer: 1, head: 0)
        let width = Self.shape.headWidth
        let all = unsafe dequantised(Array(rows.keys), count: 170)
        for count in [1, 31, 32, 33, 100] {
            let bytes = unsafe Array(rows.keys.prefix(cache.rows.keyBytes(entries: count, headWidth: width)))
            #expect(dequantised(bytes, count: count) == Array(all[..<(count * width)]))
        }
    }

    private func dequantised(_ keys: [UInt8], count: Int) -> [Float] {
        var floats = [Float](repeating: .nan, count: count * Self.shape.headWidth)
        unsafe caked_dequantise_keys(CAKED_Q4, keys, count, Self.shape.headWidth, &floats)
        return floats
    }

    @Test("a conversation on four-bit rows grows in half floats, and cannot be asked for four bits")
    func tails() throws {
        let full = try Method.preset("full")
        let cache = try read(document, model, pool, method: full, budget: 170, rows: .q4)
        #expect(try Sequence(model: model, base: cache.base).rows == .f16)
        #expect(throws: ModelError.self) { try Sequence(model: model, base: cache.base, rows: .q4) }
    }

    @Test("heads that are no whole blocks are refused")
    func headWidth() throws {
        let shape = TinyShape(name: "heads of 16", width: 32, headWidth: 16)
        let model = try TinyModel(shape).load()
        let full = try Method.preset("full")
        #expect(throws: ModelError.unsupportedRows(.q4, headWidth: 16)) {
            try read([1, 2, 3], model, pool, method: full, budget: 3, rows: .q4)
        }
    }
}
