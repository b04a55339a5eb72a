// What an entry is, as far as one reading tells: the numbers a surrogate predicts its score from.

import CAKE
import CKernels
import Glibc

/// Features of the entries of a layer being read: key before RoPE, value, their lengths, where the token stands and how
/// often it occurs.
final class EntryFeatures {
    /// Besides key and value: logarithms of the distances to begin and end, of the token's occurrences, and of both
    /// lengths; and 1.
    private static let others = 6
    /// Entries that are worked on at once.
    private static let tileRows = 256

    /// Features of an entry.
    static func count(_ shape: ModelConfiguration) -> Int { 2 * shape.headWidth + others }

    private let shape: ModelConfiguration
    private let pool: WorkerPool
    private let rows: HeadRows
    private let tokens: Int
    /// ln of how often each of the document's tokens occurs in it.
    private let occurrences: [Float]
    /// Per worker: a tile of features, each with room for a target, and the angles of a position.
    private let tiles: [FloatBuffer]
    private let angles: [FloatBuffer]
    private var width: Int { Self.count(shape) + 1 }

    init(_ shape: ModelConfiguration, pool: WorkerPool, rows: HeadRows, document: [Int32]) throws(ModelError) {
        (self.shape, self.pool, self.rows, tokens) = (shape, pool, rows, document.count)
        var counts: [Int32: Int] = [:]
        for id in document { counts[id, default: 0] += 1 }
        occurrences = document.map { log(Float(counts[$0] ?? 1)) }
        var (tiles, angles): ([FloatBuffer], [FloatBuffer]) = ([], [])
        for _ in 0..<pool.threads {
            tiles.append(try FloatBuffer(Self.tileRows * (Self.count(shape) + 1)))
            angles.append(try FloatBuffer(2 * shape.headWidth))
        }
        (self.tiles, self.angles) = (tiles, angles)
    }

    /// XᵀX of each KV head with ln score as the last column of X, `[features + 1, features + 1]`, an entry weighed by
    /// the root of its score; `scores` are `[kvHeads, tokens]`.
    ///
    /// Without weights the many entries that nothing attends to outvote the few that are kept; with the scores
    /// themselves, those in the middle, which larger budgets are about, count for nothing.
    func grams(_ layer: ModelLayer, scores: [Float]) throws(ModelError) -> [[Float]] {
        var grams: [FloatBuffer] = []
        for _ in 0..<shape.kvHeads { grams.append(try FloatBuffer(width * width)) }
        var work = Grams(features: self, layer: layer, scores: scores, grams: grams)
        unsafe pool.run(shape.kvHeads, on: &work) { work, head, worker in unsafe work.pointee.run(head, worker) }
        return grams.map(\.array)
    }

    private struct Grams {
        let features: EntryFeatures
        let layer: ModelLayer
        let scores: [Float]
        let grams: [FloatBuffer]

        func run(_ head: Int, _ worker: Int) {
            let width = features.width
            for first in stride(from: 0, to: features.tokens, by: EntryFeatures.tileRows) {
                let tile = features.tile(layer, head: head, first: first, worker)
                let count = tile.count / width
                for row in 0..<count {
                    let score = max(Surrogate.leastScore, scores[head * features.tokens + first + row])
                    let entry = tile.slice(row * width, width)
                    entry[width - 1] = log(score)
                    entry.multiply(by: score.squareRoot().squareRoot())
                }
                MatrixProduct.addGram(tile, stride: width, into: grams[head].floats, n: width, k: count)
            }
        }
    }

    /// Predicted scores, `[kvHeads, tokens]`; `weights` are `[kvHeads][features]`.
    func scores(_ layer: ModelLayer, weights: [[Float]]) throws(ModelError) -> [Float] {
        let scores = try FloatBuffer(shape.kvHeads * tokens)
        let tiles = (tokens + Self.tileRows - 1) / Self.tileRows
        var work = Scores(features: self, layer: layer, weights: weights, scores: scores.floats, tiles: tiles)
        unsafe pool.run(shape.kvHeads * tiles, on: &work) { work, task, worker in
            unsafe work.pointee.run(task, worker)
        }
        return scores.array
    }

    private struct Scores {
        let features: EntryFeatures
        let layer: ModelLayer
        let weights: [[Float]]
        let scores: Floats
        let tiles: Int

        func run(_ task: Int, _ worker: Int) {
            let (head, index) = task.quotientAndRemainder(dividingBy: tiles)
            let (first, width) = (index * EntryFeatures.tileRows, features.width)
            let tile = features.tile(layer, head: head, first: first, worker)
            let weights = weights[head]
            for row in 0..<tile.count / width {
                var sum: Float = 0
                for index in weights.indices { sum += weights[index] * tile[row * width + index] }
                // No attention is larger than 1.
                scores[head * features.tokens + first + row] = exp(min(0, sum))
            }
        }
    }

    /// The features of a tile of entries from token `first` on, each followed by room for a target.
    private func tile(_ layer: ModelLayer, head: Int, first: Int, _ worker: Int) -> Floats {
        let (width, headWidth) = (width, shape.headWidth)
        let count = min(Self.tileRows, tokens - first)
        let tile = tiles[worker].floats.slice(0, count * width)
        let entries = rows.entries(head: head, first: first, count: count, seenByFirst: count)
        for row in 0..<count {
            let key = tile.slice(row * width, headWidth), value = tile.slice(row * width + headWidth, headWidth)
            unsafe caked_dequantise(entries.rows.type, entries.keys + row * rows.rowBytes, key.base, headWidth)
            unsafe caked_dequantise(entries.rows.type, entries.values + row * rows.rowBytes, value.base, headWidth)
            turnBack(key, layer, position: first + row, worker)
            let rest = tile.slice(row * width + 2 * headWidth, Self.others)
            rest[0] = log(Float(first + row + 1))
            rest[1] = log(Float(tokens - first - row))
            rest[2] = occurrences[first + row]
            rest[3] = Self.logSquare(key)
            rest[4] = Self.logSquare(value)
            rest[5] = 1
        }
        return tile
    }

    /// Undoes RoPE, so that a key says what its token is, not where.
    private func turnBack(_ key: Floats, _ layer: ModelLayer, position: Int, _ worker: Int) {
        guard let rope = layer.rotation?.rope else { return }
        let cosines = angles[worker].floats.slice(0, rope.half)
        let sines = angles[worker].floats.slice(shape.headWidth, rope.half)
        rope.angles(position: -position, cosines: cosines, sines: sines)
        rope.rotate(key, cosines: cosines, sines: sines)
    }

    private static func logSquare(_ x: Floats) -> Float {
        var sum: Float = 1e-12
        for index in 0..<x.count { sum += x[index] * x[index] }
        return log(sum)
    }
}

/// What one document that is read twice teaches a surrogate.
public final class SurrogateLesson {
    private var layers: [(grams: [[Float]], preference: Double)] = []
    private var tokens = 0

    /// Nothing yet.
    public init() {}

    func add(layer: Int, grams: [[Float]], preference: Double, tokens: Int) {
        // A reading that went on from a checkpoint has not seen its first layers: it teaches nothing.
        guard layer == layers.count else { return }
        layers.append((grams, preference))
        self.tokens = tokens
    }

    /// Adds it to what is known; false when it is not of a whole document.
    public func teach(_ training: inout SurrogateTraining, _ shape: ModelConfiguration) -> Bool {
        guard layers.count == shape.layers else { return false }
        training.add(layers, tokens: tokens)
        return true
    }
}

extension ModelConfiguration {
    /// Features of an entry that a surrogate predicts from.
    public var entryFeatures: Int { EntryFeatures.count(self) }
}
