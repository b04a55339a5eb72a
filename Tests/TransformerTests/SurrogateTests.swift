// Reading once: what an entry is, as a surrogate sees it, and what it makes of it.

import CAKE
import Foundation
import Testing
import Transformer

@Suite("Reading once")
struct ReadingOnceTests {
    let pool: WorkerPool
    let learned: Method

    init() throws {
        pool = try WorkerPool(threads: 2)
        learned = try Method.preset("cake-global:learned")
    }

    /// A surrogate of a shape in which each feature's weight is what `weight` says of it, counted from the value's
    /// first element's place on: key, value, and the six others.
    private func surrogate(
        _ shape: TinyShape, _ weight: (_ layer: Int, _ head: Int, _ feature: Int) -> Float
    ) throws -> Surrogate {
        let weights = (0..<shape.layers).map { layer in
            (0..<shape.kvHeads).map { head in
                (0..<2 * shape.headWidth + 6).map { weight(layer, head, $0) }
            }
        }
        let text = """
            {"version":1,"weights":\(weights),"preferences":\(weights.map { _ in 2.0 }),"documents":1}
            """
        return try JSONDecoder().decode(Surrogate.self, from: Data(text.utf8))
    }

    private func scores(
        _ document: [Int32], _ model: Model, _ surrogate: Surrogate
    ) throws -> [[[Float]]] {
        // Not pooled: every entry as it is judged.
        var method = learned
        (method.indicator, method.protectedTokens) = (.maximum, 0)
        let prefill = try DocumentPrefill(
            model: model, pool: pool, tokens: document, templatePrefixTokens: 0, method: method,
            budget: document.count, rows: .f32, surrogate: surrogate)
        while try !prefill.step().isDone {}
        return try prefill.finish().retention.layers.map { layer in
            layer.heads.map { head in
                var scores = [Float](repeating: 0, count: document.count)
                for (position, indicator) in zip(head.positions, head.indicators) {
                    scores[Int(position)] = indicator
                }
                return scores
            }
        }
    }

    @Test("a score is e to the sum of features by their weights: values, lengths, places and occurrences")
    func values() throws {
        let shape = TinyShape.all[0]
        let tiny = TinyModel(shape)
        var random = TestRandom(state: 31)
        // More than a tile of entries.
        let document = random.ids(300, below: shape.vocabulary)
        let width = shape.headWidth
        let reference = tiny.forward(document)
        let surrogate = try surrogate(shape) { layer, head, feature in
            if feature >= width && feature < 2 * width { return 0.01 * Float(feature - width - layer + head) }
            let others: [Float] = [-0.1, -0.2, -0.3, 0, 0.25, -2]
            return feature < width ? 0 : others[feature - 2 * width]
        }
        let found = try scores(document, try tiny.load(), surrogate)
        for layer in 0..<shape.layers {
            for head in 0..<shape.kvHeads {
                for token in document.indices {
                    let value = reference.values[layer][token][head * width..<(head + 1) * width]
                    var sum = value.enumerated().reduce(-2.0) { $0 + 0.01 * Double($1.0 - layer + head) * $1.1 }
                    sum += 0.25 * log(value.reduce(0) { $0 + $1 * $1 })
                    sum -= 0.1 * log(Double(token + 1)) + 0.2 * log(Double(300 - token))
                    sum -= 0.3 * log(Double(document.count { $0 == document[token] }))
                    #expect(abs(Double(found[layer][head][token]) - exp(min(0, sum))) < 1e-4)
                }
            }
        }
    }

    @Test("keys say what a token is, not where it stands", arguments: [TinyShape.all[0], TinyShape.sinks])
    func keys(_ shape: TinyShape) throws {
        var random = TestRandom(state: 32)
        let document = random.ids(60, below: 4)
        let surrogate = try surrogate(shape) { _, head, feature in
            feature < shape.headWidth
                ? 0.05 * Float(feature % 3 + head) - 0.05 : feature == 2 * shape.headWidth + 5 ? -3 : 0
        }
        let found = try scores(document, try TinyModel(shape).load(), surrogate)[0]
        let first = shape.capacity(of: document.count)
        for head in 0..<shape.kvHeads {
            for token in first..<60 {
                let same = try #require((first..<60).first { document[$0] == document[token] })
                #expect(abs(found[head][token] - found[head][same]) < 1e-5)
            }
            #expect(Set(found[head][first...].map { ($0 * 1e4).rounded() }).count > 1)
        }
    }

    @Test("what two readings teach, one reading then predicts; half a reading teaches nothing")
    func lesson() throws {
        let shape = TinyShape.all[0]
        let model = try TinyModel(shape).load()
        var random = TestRandom(state: 33)
        let method = try Method.preset("cake-global")
        var training = SurrogateTraining(
            layers: shape.layers, kvHeads: shape.kvHeads, features: model.configuration.entryFeatures)
        func read(_ document: [Int32], _ method: Method, _ surrogate: Surrogate?, _ lesson: SurrogateLesson?) throws
            -> CompactCache
        {
            let prefill = try DocumentPrefill(
                model: model, pool: pool, tokens: document, templatePrefixTokens: 0, method: method,
                budget: document.count, instruction: [1, 2], surrogate: surrogate, lesson: lesson)
            while try !prefill.step().isDone {}
            return try prefill.finish()
        }
        for _ in 0..<6 {
            let lesson = SurrogateLesson()
            _ = try read(random.ids(200, below: shape.vocabulary), method, nil, lesson)
            #expect(lesson.teach(&training, model.configuration))
        }
        #expect(!SurrogateLesson().teach(&training, model.configuration) && training.documents == 6)
        let surrogate = try #require(training.solved())
        let document = random.ids(200, below: shape.vocabulary)
        let (twice, once) = (try read(document, method, nil, nil), try read(document, learned, surrogate, nil))
        // What chance would find is a fifth.
        var (found, all) = (0, 0)
        for (one, other) in zip(twice.retention.layers, once.retention.layers) {
            for (one, other) in zip(one.heads, other.heads) {
                found += Set(one.positions.prefix(40)).intersection(other.positions.prefix(40)).count
                all += 40
            }
        }
        #expect(Double(found) / Double(all) > 0.5, "\(found) of \(all)")
    }

    @Test("a method that predicts is refused without a surrogate, and with another model's") func refused() throws {
        let model = try TinyModel(TinyShape.all[0]).load()
        let others = try surrogate(TinyShape.all[1]) { _, _, _ in 0 }
        for surrogate in [nil, others] {
            #expect(throws: ModelError.self) {
                try DocumentPrefill(
                    model: model, pool: pool, tokens: [1, 2, 3], templatePrefixTokens: 0, method: learned, budget: 3,
                    surrogate: surrogate)
            }
        }
    }
}

extension TinyShape {
    /// The first token that the first layer keeps of a document.
    fileprivate func capacity(of tokens: Int) -> Int { window(layer: 0).map { max(0, tokens - $0 + 1) } ?? 0 }
}
