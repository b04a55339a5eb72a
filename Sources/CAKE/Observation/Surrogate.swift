// What a second reading would say, predicted from the first: ridge regression from what an entry is to its score.

import Glibc

/// Predicts the logarithm of an entry's largest attention from its features, by a linear map for each layer and head.
///
/// KVzap (arXiv 2601.07891) predicts such scores with a linear map, too, from hidden states and trained beforehand;
/// here a model's own documents teach it, from keys and values.
public struct Surrogate: Sendable, Codable, Equatable {
    /// Raised when a feature or a target changes its meaning.
    public static let version = 1
    /// What a score is at least: below it lies nothing that a budget keeps.
    public static let leastScore: Float = 1e-6

    /// The version that made it.
    public let version: Int
    /// Of each layer and KV head, as many as an entry has features: `[layer][kvHead][features]`.
    public let weights: [[[Float]]]
    /// P of each layer: the geometric mean of those that were observed.
    public let preferences: [Double]
    /// Documents that it was made from.
    public let documents: Int

    /// Whether it is of this version and of these dimensions, and every number is one; it may come from any file.
    public func fits(layers: Int, kvHeads: Int, features: Int) -> Bool {
        version == Self.version && weights.count == layers && preferences.count == layers
            && preferences.allSatisfy { $0.isFinite && $0 >= 0 }
            && weights.allSatisfy { heads in
                heads.count == kvHeads
                    && heads.allSatisfy { $0.count == features && $0.allSatisfy { $0.isFinite } }
            }
    }
}

/// What a surrogate is made from: sums over entries, whose size does not depend on how many there were.
public struct SurrogateTraining: Sendable {
    /// The share of a standardised feature's variance that is added to it: far less than the noise of a score.
    private static let penalty = 1e-3

    /// Documents that were added.
    public private(set) var documents = 0
    /// Their entries in each layer and head.
    public private(set) var entries = 0
    private let features: Int
    private var width: Int { features + 1 }
    /// XᵀX with the target as the last column of X, `[layer][kvHead][width, width]`.
    private var grams: [[[Double]]]
    private var logPreferences: [Double]

    /// Knows nothing yet.
    public init(layers: Int, kvHeads: Int, features: Int) {
        self.features = features
        let nothing = [Double](repeating: 0, count: (features + 1) * (features + 1))
        grams = Array(repeating: Array(repeating: nothing, count: kvHeads), count: layers)
        logPreferences = Array(repeating: 0, count: layers)
    }

    /// Adds what one document of so many tokens says: of every layer the grams of its KV heads, and P.
    public mutating func add(_ document: [(grams: [[Float]], preference: Double)], tokens: Int) {
        precondition(document.count == grams.count, "a layer was not observed")
        for (layer, observed) in document.enumerated() {
            for (head, gram) in observed.grams.enumerated() {
                for index in gram.indices { grams[layer][head][index] += Double(gram[index]) }
            }
            logPreferences[layer] += log(max(observed.preference, .leastNormalMagnitude))
        }
        documents += 1
        entries += tokens
    }

    /// The ridge regression of the target on the features; nil before the first document.
    public func solved() -> Surrogate? {
        guard documents > 0 else { return nil }
        return Surrogate(
            version: Surrogate.version, weights: grams.map { $0.map(weights) },
            preferences: logPreferences.map { exp($0 / Double(documents)) }, documents: documents)
    }

    /// The last feature is 1: it takes no penalty, and its diagonal is the sum of the entries' weights.
    private func weights(_ gram: [Double]) -> [Float] {
        let constant = features - 1
        let total = max(gram[constant * width + constant], .leastNormalMagnitude)
        var a = [Double](repeating: 0, count: features * features)
        var b = [Double](repeating: 0, count: features)
        for row in 0..<features {
            for column in 0..<features { a[row * features + column] = gram[row * width + column] }
            b[row] = gram[row * width + features]
            guard row != constant else { continue }
            let mean = gram[row * width + constant] / total
            let variance = max(0, gram[row * width + row] / total - mean * mean)
            a[row * features + row] += Self.penalty * total * (variance + 1e-9)
        }
        return Self.solve(&a, b).map { Float($0) }
    }

    /// Solves A x = b for a symmetric positive definite A, by Cholesky's decomposition in place.
    private static func solve(_ a: inout [Double], _ b: [Double]) -> [Double] {
        let n = b.count
        for j in 0..<n {
            for i in j..<n {
                var sum = a[i * n + j]
                for k in 0..<j { sum -= a[i * n + k] * a[j * n + k] }
                a[i * n + j] = i == j ? max(sum, .leastNormalMagnitude).squareRoot() : sum / a[j * n + j]
            }
        }
        var x = b
        for i in 0..<n {
            for k in 0..<i { x[i] -= a[i * n + k] * x[k] }
            x[i] /= a[i * n + i]
        }
        for i in (0..<n).reversed() {
            for k in (i + 1)..<max(n, i + 1) { x[i] -= a[k * n + i] * x[k] }
            x[i] /= a[i * n + i]
        }
        return x
    }
}
