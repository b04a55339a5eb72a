// What stands between the products: norm, residual, SwiGLU, rotary embedding, argmax.

import CKernels
import Foundation
import Testing

@Suite struct ElementwiseTests {
    static let counts = [0, 1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 200]

    @Test("RMS norm divides by the root of the mean square, in place too", arguments: Variant.available, counts)
    func norm(variant: Variant, count: Int) throws {
        var numbers = Numbers(UInt64(count))
        let x = numbers.floats(count, in: -3...3), weight = numbers.floats(count)
        var y = [Float](repeating: .nan, count: count), inPlace = x
        _ = variant.run {
            unsafe caked_rms_norm(x, weight, 1e-5, &y, count)
            unsafe inPlace.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                unsafe caked_rms_norm(base, weight, 1e-5, base, count)
            }
        }
        let mean = x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(max(1, count))
        let expected = zip(x, weight).map { Double($0) / (mean + 1e-5).squareRoot() * Double($1) }
        #expect(distance(y, expected) <= 1e-6)
        #expect(bits(inPlace) == bits(y))
    }

    @Test("the residual is added", arguments: Variant.available, counts)
    func add(variant: Variant, count: Int) {
        var numbers = Numbers(UInt64(count))
        let x = numbers.floats(count), before = numbers.floats(count)
        var y = before
        _ = variant.run { unsafe caked_add(x, &y, count) }
        #expect(y == zip(x, before).map { $0 + $1 })
    }

    @Test("SwiGLU gates by x / (1 + e^-x)", arguments: Variant.available, counts)
    func swiglu(variant: Variant, count: Int) {
        var numbers = Numbers(UInt64(count))
        let gate = numbers.floats(count, in: -20...20), up = numbers.floats(count)
        var result = gate
        _ = variant.run { unsafe caked_swiglu(&result, up, count) }
        let expected = zip(gate, up).map { Double($0) / (1 + exp(-Double($0))) * Double($1) }
        #expect(distance(result, expected) <= 4e-6)
    }

    @Test("GEGLU gates by x / 2 (1 + tanh(√(2/π) (x + 0.044715 x³)))", arguments: Variant.available, counts)
    func geglu(variant: Variant, count: Int) {
        var numbers = Numbers(UInt64(count))
        let gate = numbers.floats(count, in: -20...20), up = numbers.floats(count)
        var result = gate
        _ = variant.run { unsafe caked_geglu(&result, up, count) }
        let expected = zip(gate, up).map { gate, up in
            let x = Double(gate)
            return x / 2 * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) * Double(up)
        }
        #expect(distance(result, expected) <= 4e-6)
    }

    @Test("gpt-oss's gate holds its inputs in seven", arguments: Variant.available, counts)
    func clampedSwiglu(variant: Variant, count: Int) {
        var numbers = Numbers(UInt64(count))
        let gate = numbers.floats(count, in: -20...20), up = numbers.floats(count, in: -12...12)
        var result = gate
        _ = variant.run { unsafe caked_clamped_swiglu(&result, up, count) }
        let expected = zip(gate, up).map { gate, up in
            let x = min(Double(gate), 7)
            return x / (1 + exp(-1.702 * x)) * (min(7, max(-7, Double(up))) + 1)
        }
        #expect(distance(result, expected) <= 1e-5)
        var extremes: [Float] = [1e30, -1e30, .nan]
        _ = variant.run { unsafe caked_clamped_swiglu(&extremes, [1, 1e30, 1], 3) }
        #expect(abs(extremes[0] - 14) < 1e-3 && extremes[1] == 0 && extremes[2].isNaN)
    }

    @Test("a soft cap is cap · tanh(x / cap), of whatever size", arguments: Variant.available, counts)
    func softCap(variant: Variant, count: Int) {
        var numbers = Numbers(UInt64(count))
        let x = numbers.floats(count, in: -200...200)
        var result = x
        _ = variant.run { unsafe caked_soft_cap(&result, 30, count) }
        #expect(distance(result, x.map { 30 * tanh(Double($0) / 30) }) <= 6e-6)
        var extremes: [Float] = [1e30, -1e30, .infinity, -.infinity, 0, -0.0]
        _ = variant.run { unsafe caked_soft_cap(&extremes, 30, 6) }
        #expect(extremes == [30, -30, 30, -30, 0, 0])
    }

    @Test("GEGLU of large inputs is finite", arguments: Variant.available)
    func gegluExtremes(variant: Variant) {
        var gate: [Float] = [1e12, -1e12, 1000, -1000, -8]
        _ = variant.run { unsafe caked_geglu(&gate, [1, 1, 1, 1, 1], 5) }
        #expect(gate[0] == 1e12 && gate[2] == 1000)
        #expect(abs(gate[1]) == 0 && abs(gate[3]) == 0)
        #expect(gate[4] <= 0 && gate[4] > -1e-12)
    }

    @Test("SwiGLU of large inputs is finite", arguments: Variant.available)
    func swigluExtremes(variant: Variant) {
        var gate: [Float] = [1000, -1000, 88.8, -88.8, -104]
        _ = variant.run { unsafe caked_swiglu(&gate, [1, 1, 1, 1, 1], 5) }
        #expect(gate[0] == 1000)
        #expect(abs(gate[1]) == 0)
        #expect(gate[2] == 88.8)
        #expect(gate[3...].allSatisfy { $0 <= 0 && $0 > -1e-35 })
    }

    @Test("the rotary embedding turns pairs as each convention lays them out", arguments: Variant.available, counts)
    func rope(variant: Variant, half: Int) {
        var numbers = Numbers(UInt64(half))
        let angles = numbers.floats(half, in: -3...3)
        let cosines = angles.map { cos($0) }, sines = angles.map { sin($0) }
        let before = numbers.floats(2 * half + 3)  // what is beyond the rotated part stays
        var interleaved = before, neox = before
        _ = variant.run {
            unsafe caked_rope_interleaved(&interleaved, cosines, sines, half)
            unsafe caked_rope_neox(&neox, cosines, sines, half)
        }
        var expectedInterleaved = before.map(Double.init), expectedNeox = expectedInterleaved
        for i in 0..<half {
            let rotate = { (values: inout [Double], a: Int, b: Int) in
                let (x, y) = (values[a], values[b])
                values[a] = x * Double(cosines[i]) - y * Double(sines[i])
                values[b] = x * Double(sines[i]) + y * Double(cosines[i])
            }
            rotate(&expectedInterleaved, 2 * i, 2 * i + 1)
            rotate(&expectedNeox, i, half + i)
        }
        #expect(distance(interleaved, expectedInterleaved) <= 2e-7)
        #expect(distance(neox, expectedNeox) <= 2e-7)
    }

    @Test("argmax finds the first of equals", arguments: Variant.available, counts.dropFirst())
    func argmax(variant: Variant, count: Int) {
        for position in 0..<count {
            var x = [Float](repeating: -1, count: count)
            x[position] = 5
            x[count - 1] = 5
            #expect(variant.run { unsafe caked_argmax(x, count) } == position)
        }
    }

    @Test("argmax passes over NaN, and gives 0 where nothing is larger", arguments: Variant.available)
    func argmaxCorners(variant: Variant) {
        let cases: [([Float], Int)] = [
            ([.nan, 1, 2, .nan], 2), ([.nan, .nan], 0), ([-.infinity, -.infinity], 0), ([], 0),
            ([Float](repeating: -7, count: 40), 0), ([-1, .infinity, 3], 1),
        ]
        for (x, expected) in cases {
            #expect(variant.run { unsafe caked_argmax(x, x.count) } == expected)
        }
    }
}
