// The choice of tokens: every option by what it allows, and what is refused.

import Testing
import Transformer

@Suite("Sampler")
struct SamplerTests {
    /// The tokens a sampler ever draws from fixed logits.
    private func drawn(_ options: SamplingOptions, _ logits: [Float], draws: Int = 400) throws -> Set<Int32> {
        var sampler = try Sampler(options)
        var seen: Set<Int32> = []
        for _ in 0..<draws { seen.insert(try sampler.next(logits: logits.span)) }
        return seen
    }

    @Test(
        "options narrow what can be drawn",
        arguments: [
            (SamplingOptions(), [0, 3, 1, 3], [1]),
            (SamplingOptions(temperature: 1), [0, 0, 0, 0], [0, 1, 2, 3]),
            (SamplingOptions(temperature: 1), [0, -.infinity, 0, 0], [0, 2, 3]),
            (SamplingOptions(temperature: 1, topK: 1), [2, 5, 5, 1], [1]),
            (SamplingOptions(temperature: 1, topK: 2), [2, 2, 2, 1], [0, 1]),
            (SamplingOptions(temperature: 1, topP: 0.5), [0, 0, 0, 0], [0, 1]),
            (SamplingOptions(temperature: 1, topP: 0.01), [0, 1, 0, 0], [1]),
            (SamplingOptions(temperature: 1, minP: 0.5), [0, 0.5, -1, 0], [0, 1, 3]),
            (SamplingOptions(temperature: 1, minP: 1), [0, 0.5, 0.5, 0], [1, 2]),
            (SamplingOptions(temperature: 0.01), [0, 1, 0, 0], [1]),
            (SamplingOptions(temperature: 1e-38), [-20, 30, 29, 0], [1]),
            (SamplingOptions(temperature: 1e-6), [-20, 30, 29, 0], [1]),
        ] as [(SamplingOptions, [Float], Set<Int32>)])
    func narrowed(_ options: SamplingOptions, _ logits: [Float], _ expected: Set<Int32>) throws {
        #expect(try drawn(options, logits) == expected)
    }

    @Test("the same seed draws the same tokens, another seed others")
    func seed() throws {
        func run(_ seed: UInt64) throws -> [Int32] {
            var sampler = try Sampler(SamplingOptions(temperature: 1, seed: seed))
            let logits = [Float](repeating: 0, count: 50)
            return try (0..<40).map { _ in try sampler.next(logits: logits.span) }
        }
        #expect(try run(1) == run(1))
        #expect(try run(1) != run(2))
    }

    @Test("draws follow the probabilities")
    func probabilities() throws {
        var sampler = try Sampler(SamplingOptions(temperature: 2, seed: 9))
        // At temperature 2: weights 1 and e^(2 ln 3 / 2) = 3.
        let logits: [Float] = [0, 2.197_224_6]
        let ones = try (0..<4_000).reduce(0) { count, _ in count + Int(try sampler.next(logits: logits.span)) }
        #expect((2_900...3_100).contains(ones))
    }

    @Test("the repetition penalty lowers recent tokens and forgets old ones")
    func repetition() throws {
        var sampler = try Sampler(SamplingOptions(repetitionPenalty: 2))
        let logits: [Float] = [3, 2, -1]
        #expect(try sampler.next(logits: logits.span) == 0)
        #expect(try sampler.next(logits: logits.span) == 1)
        #expect(try sampler.next(logits: logits.span) == 0)
        for _ in 0..<Sampler.recentTokens { sampler.observe(2) }
        #expect(try sampler.next(logits: logits.span) == 0)
        // Negative logits fall, too.
        var negative = try Sampler(SamplingOptions(repetitionPenalty: 2))
        negative.observe(0)
        let low: [Float] = [-1, -1.5]
        #expect(try negative.next(logits: low.span) == 1)
    }

    @Test("presence counts a token once, frequency each time, and neither counts what was only observed")
    func presenceAndFrequency() throws {
        let logits: [Float] = [3, 2.5, -1]
        func chosen(_ options: SamplingOptions, _ count: Int) throws -> [Int32] {
            var sampler = try Sampler(options)
            for _ in 0..<100 { sampler.observe(0) }
            return try (0..<count).map { _ in try sampler.next(logits: logits.span) }
        }
        // 3, 2.5 − then 2, 2.5 − then 2, 1.5: the first again, for good.
        #expect(try chosen(SamplingOptions(presencePenalty: 1), 5) == [0, 1, 0, 0, 0])
        #expect(try chosen(SamplingOptions(frequencyPenalty: 1), 5) == [0, 1, 0, 1, 0])
        // Below zero they make a token likelier.
        let flat: [Float] = [1, 1.2]
        var sampler = try Sampler(SamplingOptions(frequencyPenalty: -0.5, biases: [0: 0.3]))
        #expect(try sampler.next(logits: flat.span) == 0)
        #expect(try sampler.next(logits: flat.span) == 0)
    }

    @Test("biases are added, forbid at -100, force at 100, and one of no token changes nothing")
    func biases() throws {
        let logits: [Float] = [3, 2, 20]
        for (biases, expected) in [
            ([:], 2), ([2: -18.5], 0), ([2: -100], 0), ([2: -100, 0: -100], 1), ([1: 100], 1), ([7: 100, -1: 100], 2),
        ] as [([Int32: Float], Int32)] {
            for temperature: Float in [0, 0.001] {
                var sampler = try Sampler(SamplingOptions(temperature: temperature, biases: biases))
                #expect(try sampler.next(logits: logits.span) == expected)
            }
        }
    }

    @Test(
        "options out of range are refused by name",
        arguments: [
            (SamplingOptions(temperature: -1), "temperature"), (SamplingOptions(temperature: .nan), "temperature"),
            (SamplingOptions(topK: -1), "top_k"), (SamplingOptions(topP: 0), "top_p"),
            (SamplingOptions(topP: 1.1), "top_p"), (SamplingOptions(minP: -0.1), "min_p"),
            (SamplingOptions(minP: .nan), "min_p"), (SamplingOptions(repetitionPenalty: 0), "repetition_penalty"),
            (SamplingOptions(repetitionPenalty: .infinity), "repetition_penalty"),
            (SamplingOptions(presencePenalty: .nan), "presence_penalty"),
            (SamplingOptions(frequencyPenalty: 101), "frequency_penalty"),
            (SamplingOptions(biases: [1: .infinity]), "bias"),
        ])
    func refused(_ options: SamplingOptions, _ name: String) {
        let error = #expect(throws: ModelError.self) { try Sampler(options) }
        #expect(error?.description.contains(name) == true)
    }

    @Test(
        "logits that are not numbers are an error",
        arguments: [[0, .nan], [.infinity, 0], [-.infinity, -.infinity], []] as [[Float]], [Float(0), 1])
    func notFinite(_ logits: [Float], _ temperature: Float) throws {
        var sampler = try Sampler(SamplingOptions(temperature: temperature))
        #expect(throws: ModelError.self) { try sampler.next(logits: logits.span) }
    }
}
