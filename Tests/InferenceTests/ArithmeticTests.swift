// The engine's results, pinned to the version that documents carry: logits may not change while it stays the same.

import CAKE
import Foundation
import Inference
import Testing
import Transformer

@Suite("Arithmetic")
struct ArithmeticTests {
    /// Logits by instruction set and row type, as some version of the engine computed them.
    private struct Recorded: Codable {
        var version: Int
        var logits: [String: [String: [Float]]]
    }

    private static let file = StoreIdentityTests.root.appending(path: "Tests/Fixtures/arithmetic.json")

    /// Logits behind a document and a question that are read over stored rows of a type, every 64th of them.
    private func logits(_ rows: KVRows) throws -> [Float] {
        let path = StoreIdentityTests.root.appending(path: "models/needle-4m/needle-4m-q8_0.gguf").path
        let loaded = try LoadedModel(path: path, templateName: nil)
        let pool = try WorkerPool(threads: 2)
        let vocabulary = loaded.model.configuration.vocabulary
        let ids = (0..<160).map { Int32(($0 * 7919 + 13) % vocabulary) }
        // Nothing is evicted: what is kept is a matter of methods, which have their own golden values.
        let prefill = try DocumentPrefill(
            model: loaded.model, pool: pool, tokens: Array(ids[..<140]), templatePrefixTokens: 0,
            method: .preset("full"), budget: 140, rows: rows)
        while try !prefill.step().isDone {}
        let decoder = try Decoder(model: loaded.model, pool: pool)
        let sequence = try Sequence(model: loaded.model, base: prefill.finish().base, rows: .f16)
        _ = try decoder.feed(Array(ids[140..<156]), to: sequence)
        var last: [Float] = []
        for id in ids[156...] { last = try decoder.feed([id], to: sequence) }
        return stride(from: 0, to: vocabulary, by: 64).map { last[$0] }
    }

    /// How far logits may be from the recorded ones, which are up to 4.
    ///
    /// Sums of integers are the same everywhere. Products of floats are OpenBLAS's, whose order of adding differs
    /// between processors: sets that add in other orders differ by 2e-4, and by 1.4e-2 where that moves a stored number
    /// by a step. With its kernels for Cooper Lake that happens more than once, and not in every process: 3.3e-2.
    private func bound(_ rows: KVRows) -> Float {
        if KernelSet.current.multipliesBytes { return 1e-4 }
        return rows == .f32 ? 1e-3 : 6e-2
    }

    @Test("logits are those of the recorded version: who changes them raises Fingerprint.arithmetic")
    func recorded() throws {
        let set = KernelSet.current.name
        let types: [KVRows] = [.f32, .f16, .q8_0, .q4]
        var found: [String: [Float]] = [:]
        for rows in types { found[rows.rawValue] = try logits(rows) }
        var recorded = try JSONDecoder().decode(Recorded.self, from: Data(contentsOf: Self.file))
        if ProcessInfo.processInfo.environment["CAKED_RECORD_ARITHMETIC"] != nil {
            if recorded.version != Fingerprint.arithmetic {
                recorded = Recorded(version: Fingerprint.arithmetic, logits: [:])
            }
            recorded.logits[set] = found
            let encoder = JSONEncoder()
            encoder.outputFormatting = .sortedKeys
            try encoder.encode(recorded).write(to: Self.file)
        }
        #expect(
            recorded.version == Fingerprint.arithmetic,
            "run this test with CAKED_RECORD_ARITHMETIC=1 once for each set of kernels, by CAKED_KERNELS")
        let expected = try #require(recorded.logits[set], "no logits are recorded for the kernels \(set)")
        for rows in types {
            let (now, then) = (found[rows.rawValue] ?? [], expected[rows.rawValue] ?? [])
            #expect(now.count == then.count && then.contains { abs($0) > 1 })
            let moved = zip(now, then).map { abs($0 - $1) }.max() ?? .infinity
            #expect(moved < bound(rows), "\(rows.rawValue) rows with \(set): logits moved by \(moved)")
        }
    }
}
