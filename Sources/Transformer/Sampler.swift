// The choice of the next token from its logits.

import Glibc

/// How tokens are chosen.
public struct SamplingOptions: Sendable, Equatable {
    /// 0, or less than a millionth, is greedy: the largest logit.
    ///
    /// Else logits are divided by it.
    public var temperature: Float
    /// Only the `topK` largest take part; 0: all.
    public var topK: Int
    /// Only the fewest that reach this share of the probability take part; 1: all.
    public var topP: Float
    /// Only those at least this share as likely as the likeliest take part; 0: all.
    public var minP: Float
    /// Logits of recent tokens are divided by it when positive, multiplied when negative; 1: nothing.
    public var repetitionPenalty: Float
    /// Taken from the logits of tokens that were chosen before, once; 0: nothing.
    public var presencePenalty: Float
    /// Taken from them for each time that they were chosen; 0: nothing.
    public var frequencyPenalty: Float
    /// Added to the logits of some tokens.
    public var biases: [Int32: Float]
    /// The same seed, the same answer.
    public var seed: UInt64

    /// Greedy unless said otherwise.
    public init(
        temperature: Float = 0, topK: Int = 0, topP: Float = 1, minP: Float = 0, repetitionPenalty: Float = 1,
        presencePenalty: Float = 0, frequencyPenalty: Float = 0, biases: [Int32: Float] = [:], seed: UInt64 = 0
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.biases = biases
        self.seed = seed
    }

    /// Whether logits are changed before one is chosen.
    fileprivate var adjusts: Bool {
        repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0 || !biases.isEmpty
    }

    func check() throws(ModelError) {
        func require(_ holds: Bool, _ name: String, _ value: Float, _ needed: String) throws(ModelError) {
            guard holds else { throw .invalidOption(name: name, value: "\(value)", needed: needed) }
        }
        try require((0...100).contains(temperature), "temperature", temperature, "from 0 to 100")
        try require(topK >= 0, "top_k", Float(topK), "0 (all) or more")
        try require(topP > 0 && topP <= 1, "top_p", topP, "more than 0 and at most 1")
        try require((0...1).contains(minP), "min_p", minP, "from 0 to 1")
        try require(
            (0.01...100).contains(repetitionPenalty), "repetition_penalty", repetitionPenalty, "from 0.01 to 100")
        let penalties = [("presence_penalty", presencePenalty), ("frequency_penalty", frequencyPenalty)]
        for (name, penalty) in penalties {
            try require((-100...100).contains(penalty), name, penalty, "from -100 to 100")
        }
        for bias in biases.values { try require((-1000...1000).contains(bias), "bias", bias, "from -1000 to 1000") }
    }
}

/// Chooses tokens; the state is the random numbers still to come, the recent tokens, and how often which was chosen.
public struct Sampler: Sendable {
    /// What it was made with.
    public let options: SamplingOptions
    private var random: SplitMix64
    /// A ring of the last tokens, for the repetition penalty.
    private var recent: [Int32] = []
    private var next = 0
    /// How often each token was chosen here, for the penalties of presence and frequency.
    private var chosen: [Int32: Int] = [:]
    /// The logits as penalties and biases leave them, kept between draws likewise.
    private var adjusted: [Float] = []
    /// Candidates of a draw, kept between draws so that they are not allocated again.
    private var candidates: [Candidate] = []

    /// Below this a temperature is greedy: logits divided by it are no finite numbers any more.
    static let leastTemperature: Float = 1e-6
    /// How far back the repetition penalty looks.
    public static let recentTokens = 64

    private struct Candidate {
        let id: Int32
        var logit: Float
        var weight = 0.0

        /// Likelier first; of equals the lower id.
        static func before(_ one: Candidate, _ other: Candidate) -> Bool {
            one.logit != other.logit ? one.logit > other.logit : one.id < other.id
        }
    }

    /// - Throws: `ModelError.invalidOption`.
    public init(_ options: SamplingOptions = SamplingOptions()) throws(ModelError) {
        try options.check()
        self.options = options
        random = SplitMix64(state: options.seed)
    }

    /// Tells the repetition penalty of a token that was not chosen here, for example of the prompt.
    public mutating func observe(_ id: Int32) {
        if recent.count < Self.recentTokens {
            recent.append(id)
        } else {
            recent[next] = id
            next = (next + 1) % Self.recentTokens
        }
    }

    /// Chooses the next token.
    ///
    /// - Parameter logits: `[vocabulary]`.
    /// - Throws: `ModelError.logitsNotFinite` when one is not a number or +∞, or all are −∞.
    public mutating func next(logits: Span<Float>) throws(ModelError) -> Int32 {
        guard !logits.isEmpty else { throw .logitsNotFinite(token: 0) }
        for index in logits.indices where logits[index].isNaN || logits[index] == .infinity {
            throw .logitsNotFinite(token: index)
        }
        guard let id = options.adjusts ? chooseAdjusted(logits) : choose(logits) else {
            throw .logitsNotFinite(token: 0)
        }
        observe(id)
        if options.presencePenalty != 0 || options.frequencyPenalty != 0 { chosen[id, default: 0] += 1 }
        return id
    }

    private mutating func choose(_ logits: Span<Float>) -> Int32? {
        options.temperature < Self.leastTemperature ? greedy(logits) : draw(logits)
    }

    /// Chooses by a copy of the logits, in which only those few are changed that penalties and biases are about.
    private mutating func chooseAdjusted(_ logits: Span<Float>) -> Int32? {
        var copy: [Float] = []
        swap(&copy, &adjusted)
        copy.removeAll(keepingCapacity: true)
        for index in logits.indices { copy.append(logits[index]) }
        func change(_ id: Int32, _ body: (Float) -> Float) {
            if copy.indices.contains(Int(id)) { copy[Int(id)] = body(copy[Int(id)]) }
        }
        let penalty = options.repetitionPenalty
        if penalty != 1 { for id in Set(recent) { change(id) { $0 > 0 ? $0 / penalty : $0 * penalty } } }
        for (id, count) in chosen {
            change(id) { $0 - options.presencePenalty - Float(count) * options.frequencyPenalty }
        }
        for (id, bias) in options.biases { change(id) { $0 + bias } }
        let id = choose(copy.span)
        swap(&copy, &adjusted)
        return id
    }

    private func greedy(_ logits: Span<Float>) -> Int32? {
        var best: Int32?
        var largest = -Float.infinity
        for index in logits.indices where logits[index] > largest {
            largest = logits[index]
            best = Int32(index)
        }
        return best
    }

    private mutating func draw(_ logits: Span<Float>) -> Int32? {
        candidates.removeAll(keepingCapacity: true)
        var largest = -Float.infinity
        for index in logits.indices {
            let logit = logits[index] / options.temperature
            candidates.append(Candidate(id: Int32(index), logit: logit))
            largest = max(largest, logit)
        }
        guard largest > -.infinity else { return nil }
        // Tokens e^−30 as likely as the likeliest are never drawn: leaving them out makes the sort short.
        var threshold = largest - 30
        if options.minP > 0 { threshold = max(threshold, largest + log(options.minP)) }
        candidates.removeAll { $0.logit < threshold }
        candidates.sort(by: Candidate.before)
        if options.topK > 0, candidates.count > options.topK {
            candidates.removeLast(candidates.count - options.topK)
        }
        var total = 0.0
        for index in candidates.indices {
            candidates[index].weight = exp(Double(candidates[index].logit - largest))
            total += candidates[index].weight
        }
        var kept = 0.0
        for (index, candidate) in candidates.enumerated() {
            kept += candidate.weight
            if kept >= Double(options.topP) * total {
                candidates.removeLast(candidates.count - index - 1)
                break
            }
        }
        var left = random.nextUnit() * kept
        for candidate in candidates {
            left -= candidate.weight
            if left < 0 { return candidate.id }
        }
        return candidates.last?.id
    }
}

/// Steele, Lea and Flood's SplitMix64 (OOPSLA 2014): small, and the same on every machine.
struct SplitMix64: Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Evenly in 0..<1, with 53 bits.
    mutating func nextUnit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
