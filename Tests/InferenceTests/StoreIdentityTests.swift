// What went through the store answers exactly as what never did.

import CAKE
import CacheStore
import Foundation
import Inference
import Testing
import Transformer

@Suite struct StoreIdentityTests {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func key() throws -> DocumentKey { try DocumentKey(owner: 1, name: "document") }

    private func write(_ cache: CompactCache, rows: RowType, to directory: String) throws {
        let store = try DocumentStore(directory: directory, mapBytes: 1 << 30)
        let shape = CacheShape(
            layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth, rows: rows, tokens: cache.tokens)
        let staged = try store.begin(key(), shape: shape)
        for layer in 0..<cache.layers { try staged.stage(layer: layer, of: cache) }
        _ = try staged.commit(
            Manifest(
                shape: shape, budget: 0, method: "test", fingerprint: ["weights": "a"], counts: cache.counts,
                layerBudgets: cache.retention.layers.map(\.budget),
                preferences: cache.retention.layers.map(\.preference)))
    }

    @Test(
        "logits over the map equal those over memory bit for bit, also after the store was closed and opened again",
        arguments: [
            ("full", 100, RowType.f16), ("cake-reconstruct", 100, .f16), ("cake-reconstruct", 10, .f16),
            ("cake", 20, .f16), ("cake-reconstruct", 20, .q8_0), ("cake-reconstruct", 100, .q4),
            ("cake-reconstruct", 20, .q4),
        ])
    func bitIdentical(preset: String, keepPercent: Int, rows: RowType) throws {
        let model = Self.root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path
        let loaded = try LoadedModel(path: model, templateName: nil)
        let pool = try WorkerPool(threads: 2)
        let text = (0..<60).map { "The locker number for room \($0) is \(5000 + 37 * $0)." }.joined(separator: " ")
        let (ids, prefixTokens, _) = try loaded.documentTokens(text)
        let prefill = try DocumentPrefill(
            model: loaded.model, pool: pool, tokens: ids, templatePrefixTokens: prefixTokens,
            method: .preset(preset), budget: max(64, ids.count * keepPercent / 100), rows: KVRows(rows),
            instruction: loaded.reconstructionTokens)
        while try !prefill.step().isDone {}
        let cache = try prefill.finish()
        if keepPercent == 100 { #expect(cache.counts.allSatisfy { $0.allSatisfy { $0 == ids.count } }) }

        let question = try loaded.questionTokens("What is the locker number for room 31?")
        let decoder = try Decoder(model: loaded.model, pool: pool)
        func logits(_ base: BaseRows) throws -> [[UInt32]] {
            let sequence = try Sequence(model: loaded.model, base: base)
            #expect(sequence.position == ids.count)
            var rows = [try decoder.feed(question, to: sequence)]
            for _ in 0..<4 {
                let next = rows[rows.count - 1].indices.max { rows[rows.count - 1][$0] < rows[rows.count - 1][$1] }
                rows.append(try decoder.feed([Int32(next ?? 0)], to: sequence))
            }
            return rows.map { $0.map(\.bitPattern) }
        }
        let expected = try logits(cache.base)
        let folder = FileManager.default.temporaryDirectory.appending(path: "caked-identity-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        try write(cache, rows: rows, to: folder.path)
        for _ in 0..<2 {
            let store = try DocumentStore(directory: folder.path, mapBytes: 1 << 30)
            #expect(try logits(BaseRows(store.open(key(), fingerprint: ["weights": "a"]))) == expected)
        }
    }

    @Test("nothing evicted answers like a cache that was never compressed at all")
    func fullBudgetIsTheFullCache() throws {
        let model = Self.root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path
        let loaded = try LoadedModel(path: model, templateName: nil)
        let pool = try WorkerPool(threads: 2)
        let text = (0..<40).map { "The locker number for room \($0) is \(5000 + 37 * $0)." }.joined(separator: " ")
        let (ids, _, _) = try loaded.documentTokens(text)
        let question = try loaded.questionTokens("What is the locker number for room 31?")
        let prefill = try DocumentPrefill(
            model: loaded.model, pool: pool, tokens: ids, templatePrefixTokens: 0, method: .preset("full"),
            budget: ids.count)
        while try !prefill.step().isDone {}
        let decoder = try Decoder(model: loaded.model, pool: pool)
        let throughBase = try decoder.feed(
            question, to: Sequence(model: loaded.model, base: prefill.finish().base))
        // Document and question as one plain prompt: attention adds in another order, and where activations are
        // multiplied as bytes the last bit of a float can move one of them by a whole step.
        let plain = try decoder.feed(ids + question, to: Sequence(model: loaded.model, base: nil, rows: .f16))
        let difference = zip(throughBase, plain).map { abs($0 - $1) }.max() ?? .infinity
        #expect(difference < 0.15, "largest logit difference \(difference)")
    }
}
