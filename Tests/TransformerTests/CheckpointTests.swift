// A prefill that stops between two layers and goes on in another object: the same cache, bit for bit.

import CAKE
import Testing
import Transformer

@Suite("Checkpoints")
struct CheckpointTests {
    static let shape = TinyShape(name: "deep", layers: 5, width: 64, headWidth: 32)
    static let methods = ["cake-global", "cake-reconstruct", "cake-reconstruct-max", "cake", "full"]

    let model: Model
    let pool: WorkerPool
    let ids: [Int32]

    init() throws {
        model = try TinyModel(Self.shape).load()
        pool = try WorkerPool(threads: 2)
        var random = TestRandom(state: 5)
        ids = random.ids(300, below: Self.shape.vocabulary)
    }

    private func prefill(_ method: String, _ rows: KVRows, _ ids: [Int32]? = nil) throws -> DocumentPrefill {
        let method = try Method.preset(method)
        return try DocumentPrefill(
            model: model, pool: pool, tokens: ids ?? self.ids, templatePrefixTokens: 3, method: method,
            budget: 60, rows: rows, instruction: [1, 2])
    }

    private func written(_ prefill: DocumentPrefill) -> [UInt8] {
        var bytes: [UInt8] = []
        unsafe prefill.writeCheckpoint { unsafe bytes.append(contentsOf: $0) }
        return bytes
    }

    private func resume(_ prefill: DocumentPrefill, _ bytes: [UInt8]) throws(ModelError) {
        var rest = bytes[...]
        try unsafe prefill.resume { target throws(ModelError) in
            guard target.count <= rest.count else { throw .unusableCheckpoint("too short") }
            unsafe target.copyBytes(from: rest.prefix(target.count))
            rest = rest.dropFirst(target.count)
        }
        #expect(rest.isEmpty)
    }

    // Everything a store would be given.
    private func contents(_ cache: CompactCache) -> (Retention, [[UInt8]]) {
        var rows: [[UInt8]] = []
        for layer in 0..<cache.layers {
            for head in 0..<cache.kvHeads {
                let entries = cache.rows(layer: layer, head: head)
                rows.append(unsafe Array(entries.keys) + Array(entries.values))
            }
        }
        return (cache.retention, rows)
    }

    @Test("interrupted at the end of every layer, a document is read as if it had not been", arguments: methods)
    func everyLayer(_ method: String) throws {
        for rows in [KVRows.f16, .q8_0, .q4] {
            let whole = try prefill(method, rows)
            while !(try whole.step().isDone) {}
            let expected = contents(try whole.finish())

            var current = try prefill(method, rows)
            var interruptions = 0
            while true {
                let progress = try current.step()
                if progress.isDone { break }
                guard let layer = current.checkpointLayer else { continue }
                #expect(layer == interruptions + 1)
                let bytes = written(current)
                #expect(bytes.count >= current.checkpointBytes / 2)
                current = try prefill(method, rows)
                try resume(current, bytes)
                #expect(current.checkpointLayer == layer)
                #expect(written(current) == bytes)
                interruptions += 1
            }
            #expect(interruptions == Self.shape.layers - 1)
            let found = contents(try current.finish())
            #expect(found.0 == expected.0)
            #expect(found.1 == expected.1)
        }
    }

    @Test("a checkpoint of another document, or a part of one, is refused and never goes on")
    func refused() throws {
        let first = try prefill("cake", .f16)
        while first.checkpointLayer == nil { _ = try first.step() }
        let bytes = written(first)
        let shorter = try prefill("cake", .f16, Array(ids.dropLast()))
        #expect(throws: ModelError.self) { try resume(shorter, bytes) }
        for rows in [KVRows.q8_0, .q4] {
            let otherRows = try prefill("cake", rows)
            #expect(throws: ModelError.self) { try resume(otherRows, bytes) }
        }
        for count in stride(from: 0, to: bytes.count, by: 997) {
            let fresh = try prefill("cake", .f16)
            #expect(throws: ModelError.self) { try resume(fresh, Array(bytes.prefix(count))) }
        }
    }
}
