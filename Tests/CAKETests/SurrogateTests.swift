// What a second reading would say, learned: the regression finds what is there, and nothing foreign is taken for it.

import CAKE
import Foundation
import Testing

@Suite("Surrogate")
struct SurrogateTests {
    /// Grams of random entries whose target is a linear map of their features and a little noise.
    private func document(
        _ random: inout Seeded, _ weights: [[Double]], entries: Int, noise: Double
    ) -> [[Float]] {
        let features = weights[0].count
        return weights.map { weights in
            var gram = [Double](repeating: 0, count: (features + 1) * (features + 1))
            for _ in 0..<entries {
                var x = (0..<features - 1).map { Double($0 + 1) * random.normal() + 3 } + [1]
                x.append(zip(x, weights).reduce(noise * random.normal()) { $0 + $1.0 * $1.1 })
                for row in x.indices { for column in x.indices { gram[row * x.count + column] += x[row] * x[column] } }
            }
            return gram.map { Float($0) }
        }
    }

    @Test("is the linear map by which targets were made, whatever documents their entries came in")
    func recovers() throws {
        var random = Seeded(state: 5)
        let weights: [[[Double]]] = [[[1, -2, 0.5, 4], [0, 0.25, -1, -3]], [[0, 0, 0, 7], [-3, 2, 1, 0]]]
        var training = SurrogateTraining(layers: 2, kvHeads: 2, features: 4)
        #expect(training.solved() == nil)
        for (entries, preference) in [(400, 2.0), (700, 8.0), (100, 4.0)] {
            training.add(
                weights.map { (document(&random, $0, entries: entries, noise: 0.1), preference) }, tokens: entries)
        }
        #expect(training.documents == 3 && training.entries == 1_200)
        let surrogate = try #require(training.solved())
        for (found, wanted) in zip(surrogate.weights.joined().joined(), weights.joined().joined()) {
            #expect(abs(Double(found) - wanted) < 0.05, "\(surrogate.weights)")
        }
        // The geometric mean of 2, 8 and 4.
        #expect(surrogate.preferences.allSatisfy { abs($0 - 4) < 1e-9 } && surrogate.documents == 3)
        #expect(surrogate.fits(layers: 2, kvHeads: 2, features: 4))
        let copy = try JSONDecoder().decode(Surrogate.self, from: JSONEncoder().encode(surrogate))
        #expect(copy == surrogate)
    }

    @Test("is a number where features say nothing, or nothing was attended to")
    func degenerate() throws {
        var training = SurrogateTraining(layers: 1, kvHeads: 1, features: 3)
        training.add([([[Float](repeating: 0, count: 16)], 0)], tokens: 10)
        #expect(try #require(training.solved()).fits(layers: 1, kvHeads: 1, features: 3))
        // Two features that are the same.
        var gram = [Float](repeating: 0, count: 16)
        for x in [[2, 2, 1, 5], [3, 3, 1, 7], [4, 4, 1, 9]] as [[Float]] {
            for row in 0..<4 { for column in 0..<4 { gram[row * 4 + column] += x[row] * x[column] } }
        }
        var twins = SurrogateTraining(layers: 1, kvHeads: 1, features: 3)
        twins.add([([gram], 1)], tokens: 3)
        let weights = try #require(twins.solved()).weights[0][0]
        #expect(abs(weights[0] * 3 + weights[1] * 3 + weights[2] - 7) < 0.05)
    }

    @Test(
        "of another version, shape or with what is no number is refused",
        arguments: [
            #"{"version":2,"weights":[[[1,2]]],"preferences":[1],"documents":1}"#,
            #"{"version":1,"weights":[[[1,2]],[[1,2]]],"preferences":[1],"documents":1}"#,
            #"{"version":1,"weights":[[[1,2]]],"preferences":[],"documents":1}"#,
            #"{"version":1,"weights":[[[1,2],[1,2]]],"preferences":[1],"documents":1}"#,
            #"{"version":1,"weights":[[[1,2,3]]],"preferences":[1],"documents":1}"#,
            #"{"version":1,"weights":[[[1,2]]],"preferences":[-1],"documents":1}"#,
        ])
    func foreign(_ text: String) throws {
        let surrogate = try JSONDecoder().decode(Surrogate.self, from: Data(text.utf8))
        #expect(!surrogate.fits(layers: 1, kvHeads: 1, features: 2))
        let sound = #"{"version":1,"weights":[[[1,2]]],"preferences":[1],"documents":1}"#
        #expect(
            try JSONDecoder().decode(Surrogate.self, from: Data(sound.utf8)).fits(layers: 1, kvHeads: 1, features: 2))
    }

    @Test("predicts for methods that judge by the largest attention alone, and these teach")
    func methods() throws {
        let learned = try Method.preset("cake-global:learned")
        #expect(learned.observation == .predicted && learned.indicator == .pooledMaximum && !learned.takesProbes)
        #expect(try Method.preset("cake-global").teaches && Method.preset("cake-reconstruct-max").teaches)
        for name in ["cake-global:learned", "cake-global:fast", "cake-reconstruct", "kvzip", "cake", "full"] {
            #expect(try !Method.preset(name).teaches, "\(name)")
        }
        for name in ["cake-reconstruct:learned", "kvzip:learned", "cake:learned"] {
            #expect(throws: CAKEError.self) { try Method.preset(name) }
        }
        #expect(StoredMethod(learned).usable == learned)
    }
}
