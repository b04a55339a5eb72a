// What every measurement needs: the loaded model, the threads, a document of a given length, a clock.

import ArgumentParser
import CAKE
import CLinux
import Foundation
import Inference
import Transformer

/// A loaded model and the threads that run it.
struct Bench {
    let loaded: LoadedModel
    let pool: WorkerPool
    var model: Model { loaded.model }
    /// For methods that predict.
    let surrogate: Surrogate?
    /// What the daemon stores where nobody says otherwise.
    static let defaultRows = KVRows.q4

    init(_ options: ModelOptions) throws {
        pool = try WorkerPool(announcing: options.threads)
        loaded = try LoadedModel(path: options.model, templateName: nil, repacking: options.repack, pool: pool)
        surrogate = try options.surrogate.map { path in
            try JSONDecoder().decode(Surrogate.self, from: Data(contentsOf: URL(filePath: path)))
        }
    }

    /// Token ids of a document: drawn from a fixed seed, since arithmetic does not care what they say.
    func document(tokens: Int) -> [Int32] {
        var state: UInt64 = 2026
        return (0..<tokens).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int32((state >> 33) % UInt64(model.configuration.vocabulary))
        }
    }

    /// The budget that keeps a share of the bytes of a document's full cache in `q8_0`.
    func budget(_ method: Method, percent: Double, tokens: Int, prefixTokens: Int = 0, rows: KVRows) -> Int {
        method.budget(
            keepingPercent: percent,
            of: CacheExtent(
                tokens: tokens, prefixTokens: prefixTokens, capacities: model.configuration.capacities(tokens: tokens),
                rows: rows))
    }

    /// Reads a document to its end.
    func read(
        _ ids: [Int32], prefixTokens: Int = 0, method: Method, budget: Int, rows: KVRows = Bench.defaultRows,
        lesson: SurrogateLesson? = nil
    ) throws -> CompactCache {
        let prefill = try DocumentPrefill(
            model: model, pool: pool, tokens: ids, templatePrefixTokens: prefixTokens, method: method, budget: budget,
            rows: rows, instruction: loaded.reconstructionTokens,
            probes: method.observation == .probe ? loaded.generalProbes : [], surrogate: surrogate, lesson: lesson)
        while try !prefill.step().isDone {}
        return try prefill.finish()
    }
}

extension WorkerPool {
    /// Starts a bench's threads, one for each processor unless said, and says on standard error what they compute with.
    convenience init(announcing threads: Int?) throws(ModelError) {
        let threads = threads ?? Int(caked_available_processors())
        try self.init(threads: threads)
        printError("kernels \(KernelSet.current), threads \(threads)")
    }
}

/// Seconds that `body` takes, and what it returns.
func timed<Result>(_ body: () throws -> Result) rethrows -> (result: Result, seconds: Double) {
    let clock = ContinuousClock()
    let begun = clock.now
    let result = try body()
    return (result, (clock.now - begun).seconds)
}
