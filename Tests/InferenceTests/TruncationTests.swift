// A stored document under a smaller budget keeps exactly what reading it with that budget keeps, whatever the method.

import CAKE
import CacheStore
import Foundation
import Inference
import Testing
import Transformer

@Suite struct TruncationTests {
    static let presets = Method.presetNames.filter { $0 != "full" } + ["cake-reconstruct:fast"]

    private func place() -> String {
        FileManager.default.temporaryDirectory.appending(path: "caked-truncation-\(UUID().uuidString)").path
    }

    /// Reads the text by a preset and stores it; what was kept, and the store.
    private struct Reading {
        let loaded: LoadedModel
        let pool: WorkerPool
        let text = (0..<24).map { "The locker number for room \($0) is \(5000 + 37 * $0)." }.joined(separator: " ")

        init() throws {
            loaded = try LoadedModel(path: StoreIdentityTests.root.appending(path: Self.model).path, templateName: nil)
            pool = try WorkerPool(threads: 2)
        }

        static let model = "models/needle-4m/needle-4m-q8_0.gguf"

        func cache(_ preset: String, budget: Int) throws -> CompactCache {
            let (ids, prefixTokens, _) = try loaded.documentTokens(text)
            let method = try Method.preset(preset)
            let prefill = try DocumentPrefill(
                model: loaded.model, pool: pool, tokens: ids, templatePrefixTokens: prefixTokens, method: method,
                budget: budget, rows: .f16, instruction: loaded.reconstructionTokens,
                probes: method.observation == .probe ? loaded.generalProbes : [])
            while try !prefill.step().isDone {}
            return try prefill.finish()
        }

        func store(_ cache: CompactCache, _ preset: String, budget: Int, in directory: String) throws -> DocumentStore {
            let store = try DocumentStore(
                directory: directory, mapBytes: 1 << 30, truncate: { Truncation(of: $0, budget: $1) })
            let shape = CacheShape(
                layers: cache.layers, kvHeads: cache.kvHeads, headWidth: cache.headWidth, rows: .f16,
                tokens: cache.tokens)
            let staged = try store.begin(DocumentKey(owner: 1, name: "a"), shape: shape)
            for layer in 0..<cache.layers { try staged.stage(layer: layer, of: cache) }
            var manifest = Manifest(
                shape: shape, budget: budget, method: preset, fingerprint: ["weights": "a"], counts: cache.counts,
                layerBudgets: cache.retention.layers.map(\.budget),
                preferences: cache.retention.layers.map(\.preference),
                preferenceFellBack: cache.retention.preferenceFellBack, prefixTokens: try loaded.documentTokens(text).1)
            if let method = try? Method.preset(preset) { manifest.note(method) }
            _ = try staged.commit(manifest)
            return store
        }
    }

    /// What an open document keeps, in rank order.
    private func positions(_ document: OpenDocument) throws -> [[[UInt32]]] {
        let shape = document.manifest.shape
        return try (0..<shape.layers).map { layer in
            try (0..<shape.kvHeads).map { try document.positions(layer: layer, head: $0) }
        }
    }

    @Test(
        "shrunk once, shrunk twice and asked for, it is the document written with the smaller budget",
        arguments: presets)
    func everyPreset(_ preset: String) throws {
        let reading = try Reading()
        let (tokens, prefix) = (
            try reading.loaded.documentTokens(reading.text).0.count, try reading.loaded.documentTokens(reading.text).1
        )
        let method = try Method.preset(preset)
        let smallest = method.smallestBudget(tokens: tokens, templatePrefixTokens: prefix)
        let first = max(smallest + 40, tokens / 2)
        let directory = place()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try reading.store(
            reading.cache(preset, budget: first), preset, budget: first, in: directory)
        let key = try DocumentKey(owner: 1, name: "a")
        for budget in [first - 1, first - 7, (smallest + first) / 2, smallest + 3, smallest] {
            let fresh = try reading.cache(preset, budget: budget)
            let expected = fresh.retention.layers.map { $0.heads.map(\.positions) }
            let asked = try store.open(key, fingerprint: ["weights": "a"], budget: budget)
            #expect(try positions(asked) == expected, "asked for \(budget)")
            _ = try store.shrink(key, toBudget: budget)
            let shrunk = try store.open(key, fingerprint: ["weights": "a"])
            #expect(try positions(shrunk) == expected, "shrunk to \(budget)")
            #expect(shrunk.manifest.counts == fresh.counts && shrunk.manifest.budget == budget)
            #expect(shrunk.manifest.layerBudgets == fresh.retention.layers.map(\.budget))
            #expect(shrunk.manifest.preferenceFellBack == fresh.retention.preferenceFellBack)
        }
        // What is always kept is read whatever is asked for.
        let least = try store.open(key, fingerprint: ["weights": "a"], budget: 1)
        #expect(least.manifest.budget == smallest)
    }

    /// A document of 60 tokens in three layers, two of which see its last 23; what it keeps of random observations.
    private func windowed(_ preset: String, budget: Int) throws -> Retention {
        let method = try Method.preset(preset)
        var cascade = try Cascade(
            method: method, layers: 3, kvHeads: 1, tokens: 60, templatePrefixTokens: 3, capacities: Self.capacities,
            budget: budget)
        let columns = method.observedTokens(documentTokens: 60)
        for layer in 0..<3 {
            let indicator = (0..<columns).map { Float(($0 * 7919 + layer * 31) % 997) / 997 }
            _ = cascade.add(
                LayerObservation(
                    entropy: 1, variance: 1, preference: [2, 1, 5][layer],
                    indicator: method.observation == .none ? [] : indicator))
        }
        return cascade.finish()
    }

    private static let capacities = [23, 60, 23]

    @Test("and so it is where layers see a window", arguments: presets)
    func windows(_ preset: String) throws {
        let directory = place()
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try DocumentStore(
            directory: directory, mapBytes: 1 << 30, truncate: { Truncation(of: $0, budget: $1) })
        let shape = CacheShape(
            layers: 3, kvHeads: 1, headWidth: 2, rows: .f16, tokens: 60, capacities: Self.capacities)
        let method = try Method.preset(preset)
        let smallest = method.smallestBudget(tokens: 60, templatePrefixTokens: 3)
        let written = try windowed(preset, budget: 57)
        let key = try DocumentKey(owner: 1, name: "a")
        let staged = try store.begin(key, shape: shape)
        let row = [UInt8](repeating: 0, count: 60 * 4)
        for (layer, retained) in written.layers.enumerated() {
            let entries = retained.heads[0]
            try unsafe row[..<(entries.count * 4)].withUnsafeBytes { rows in
                try unsafe entries.positions.withUnsafeBufferPointer { positions in
                    try unsafe entries.indicators.withUnsafeBufferPointer { indicators in
                        let head = unsafe StagedHead(
                            head: 0, positions: positions, indicators: indicators, keys: rows, values: rows)
                        try unsafe staged.stage(layer: layer, heads: [head])
                    }
                }
            }
        }
        var manifest = Manifest(
            shape: shape, budget: 57, method: preset, fingerprint: ["weights": "a"], counts: written.counts,
            layerBudgets: written.layers.map(\.budget), preferences: written.layers.map(\.preference),
            preferenceFellBack: written.preferenceFellBack, prefixTokens: 3)
        manifest.note(method)
        _ = try staged.commit(manifest)
        for budget in [50, (50 + smallest) / 2, smallest] where budget >= smallest {
            _ = try store.shrink(key, toBudget: budget)
            let shrunk = try store.open(key, fingerprint: ["weights": "a"])
            let expected = try windowed(preset, budget: budget).layers.map { $0.heads.map(\.positions) }
            #expect(try positions(shrunk) == expected, "shrunk to \(budget)")
            #expect(try positions(shrunk)[0].allSatisfy { $0.allSatisfy { $0 >= 37 } })
        }
    }

    @Test("what no method of ours can have left is not truncated, and traps nothing")
    func foreign() throws {
        let reading = try Reading()
        let cache = try reading.cache("snapkv", budget: 60)
        for (preset, layers) in [("full", false), ("unheard-of", false), ("snapkv", true)] {
            let directory = place()
            defer { try? FileManager.default.removeItem(atPath: directory) }
            let store = try reading.store(cache, preset, budget: 60, in: directory)
            let document = try store.open(DocumentKey(owner: 1, name: "a"), fingerprint: ["weights": "a"])
            #expect((Truncation(of: document, budget: 40) != nil) == layers, "\(preset)")
        }
    }
}
