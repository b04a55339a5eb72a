// How far a compact cache can be trusted: what it expects at places of its own document, beside what the full cache
// does.

/// A place of a document, asked for, and what the document goes on with there.
public struct CheckPlace: Sendable, Equatable {
    /// The tokens of the request.
    public let lead: [Int32]
    /// The tokens that follow in the document.
    public let truth: [Int32]

    /// A request and the true continuation, each of at least one token.
    public init(lead: [Int32], truth: [Int32]) {
        (self.lead, self.truth) = (lead, truth)
    }

    /// What is fed: behind each of the last `truth.count` of them stands an expectation of the next.
    var ids: [Int32] { lead + truth.dropLast() }
}

/// Rows of the residual stream behind the last layer, from which the output head makes next-token distributions.
public final class OutputRows: Sendable {
    /// `[count, width]`.
    let floats: Floats
    let width: Int
    /// Rows.
    public let count: Int
    private let memory: FloatBuffer

    /// Copies rows together.
    init(_ parts: [Floats], width: Int) throws(ModelError) {
        memory = try FloatBuffer(parts.reduce(0) { $0 + $1.count })
        floats = memory.floats
        self.width = width
        count = floats.count / width
        var first = 0
        for part in parts {
            floats.slice(first, part.count).copy(from: part)
            first += part.count
        }
    }
}

/// Asks a base for every place of its document, a fraction of a second a step.
public final class CacheCheck {
    /// What two caches expect of one token.
    public struct Token: Sendable, Equatable {
        /// The token of the document.
        public let truth: Int
        /// What the full cache finds likeliest.
        public let fullBest: Int
        /// What the compact cache finds likeliest.
        public let best: Int
        /// Kullback-Leibler divergence of the compact cache's distribution from the full one's, in nats.
        public let divergence: Double
    }

    /// Rows of either cache whose logits a step computes: few, since a vocabulary is long.
    private static let rowsPerStep = 8
    /// Tokens of a request that are fed at once.
    private static let leadTokensPerStep = 64

    private enum Stage {
        case lead(fed: Int)
        case truth
        case compare(OutputRows, from: Int)
    }

    private let decoder: Decoder
    private let places: [CheckPlace]
    private let full: OutputRows
    private let base: BaseRows
    private var place = 0
    private var stage = Stage.lead(fed: 0)
    private var sequence: Sequence?
    /// Every token compared so far.
    public private(set) var tokens: [Token] = []

    /// Prepares to compare `base` with the cache that `full` comes from, `DocumentPrefill.checkedRows`.
    public init(decoder: Decoder, places: [CheckPlace], full: OutputRows, base: BaseRows) {
        precondition(
            full.count == places.reduce(0) { $0 + $1.truth.count }, "the full cache was asked for other places")
        (self.decoder, self.places, self.full, self.base) = (decoder, places, full, base)
    }

    /// Does the next piece of work; true when all is compared.
    public func step() throws(ModelError) -> Bool {
        guard place < places.count else { return true }
        let truth = places[place].truth
        switch stage {
        case .lead(let fed):
            // The request's last token is read with the continuation: the first expectation stands behind it.
            let lead = places[place].lead.dropLast()
            guard fed < lead.count else {
                stage = .truth
                break
            }
            let next = min(lead.count, fed + min(Self.leadTokensPerStep, decoder.maxRowsPerStep))
            _ = try decoder.read(Array(lead[fed..<next]), into: current(), last: 0)
            stage = .lead(fed: next)
        case .truth:
            let ids = places[place].ids.suffix(truth.count)
            stage = .compare(try decoder.read(Array(ids), into: current(), last: truth.count), from: 0)
        case .compare(let rows, let first):
            let next = min(truth.count, first + min(Self.rowsPerStep, decoder.maxRowsPerStep / 2))
            try compare(rows, first..<next)
            stage = .compare(rows, from: next)
            if next == truth.count {
                (place, stage, sequence) = (place + 1, .lead(fed: 0), nil)
            }
        }
        return place == places.count
    }

    private func current() throws(ModelError) -> Sequence {
        if let sequence { return sequence }
        let new = try Sequence(model: decoder.model, base: base)
        sequence = new
        return new
    }

    private func compare(_ rows: OutputRows, _ range: Range<Int>) throws(ModelError) {
        let before = places[..<place].reduce(0) { $0 + $1.truth.count }
        // Both together, so that the head's weights are read once for them.
        let logits = try decoder.logits(range.map { (full, before + $0) } + range.map { (rows, $0) })
        for (index, row) in range.enumerated() {
            let (reference, other) = (logits.array(index), logits.array(range.count + index))
            tokens.append(
                Token(
                    truth: Int(places[place].truth[row]), fullBest: Divergence.best(reference),
                    best: Divergence.best(other), divergence: Divergence.between(reference, other)))
        }
    }
}
