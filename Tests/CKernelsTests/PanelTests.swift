// Products of bytes: exact within a block, the same bits on every instruction set, near the product of floats.

import CKernels
import Testing

/// Weights as a panel, activations as bytes, and their product.
private struct ByteProduct {
    let product: Product

    func panel() -> [UInt8] {
        var panel = [UInt8](
            repeating: 0xff, count: caked_panel_bytes(product.format.type, product.inputs, product.outputs))
        unsafe caked_panel_fill(
            product.format.type, product.weights, product.inputs, 0, product.outputs, &panel)
        return panel
    }

    func quantised(_ rows: Range<Int>) -> [UInt8] {
        var bytes = [UInt8](repeating: 0xff, count: caked_int8_rows_bytes(product.inputs, rows.count))
        let x = Array(product.x[rows.lowerBound * product.inputs..<rows.upperBound * product.inputs])
        unsafe caked_int8_rows(x, product.inputs, rows.count, product.inputs, &bytes)
        return bytes
    }

    /// y [rows, outputs]; what was not asked for stays NaN.
    func computed(rows: Range<Int>? = nil, biased: Bool = true) -> [Float] {
        let rows = rows ?? 0..<product.rows
        var y = [Float](repeating: .nan, count: rows.count * product.outputs)
        unsafe caked_panel_matmul(
            product.format.type, panel(), product.inputs, product.outputs, quantised(rows), rows.count, &y,
            product.outputs,
            biased ? product.bias : nil)
        return y
    }

    /// The same straight from the stored weights, outputs in two parts.
    func direct(cut: Int) -> [Float] {
        var y = [Float](repeating: .nan, count: product.rows * product.outputs)
        let x = quantised(0..<product.rows)
        for (first, count) in [(0, cut), (cut, product.outputs - cut)] {
            unsafe caked_int8_matmul(
                product.format.type, product.weights, product.inputs, first, count, x, product.rows, &y,
                product.outputs, product.bias)
        }
        return y
    }

    /// Activations as the kernel rounds them.
    private func rounded() -> [Double] {
        stride(from: 0, to: product.x.count, by: 32).flatMap { first -> [Double] in
            let block = product.x[first..<min(first + 32, product.x.count)]
            let scale: Float = (block.map(abs).max() ?? 0) / 127
            let inverse: Float = 1 / scale
            return block.map { x -> Double in
                let quant: Float = (x * inverse).rounded(.toNearestOrEven)
                return Double(quant) * Double(scale)
            }
        }
    }

    func expected() -> [Double] {
        let x = rounded(), size = product.format.bytes(product.inputs)
        let w = (0..<product.outputs).map {
            product.format.dequantise(Array(product.weights[$0 * size..<($0 + 1) * size]), count: product.inputs)
        }
        return (0..<product.rows).flatMap { row in
            (0..<product.outputs).map { output in
                (0..<product.inputs).reduce(Double(product.bias[output])) {
                    $0 + Double(w[output][$1]) * x[row * product.inputs + $1]
                }
            }
        }
    }
}

@Suite struct PanelTests {
    static let shapes = [(1, 1), (3, 2), (15, 7), (16, 8), (17, 9), (35, 19)]

    @Test("a product of bytes is the sum of the rounded activations in double precision", arguments: Variant.available)
    func oracle(variant: Variant) throws {
        for format in Format.paneled {
            for inputs in format.blockElements == 32 ? [0, 32, 96, 1056] : [0, 256, 1024] {
                for (outputs, rows) in Self.shapes {
                    let bytes = ByteProduct(
                        product: Product(format, inputs: inputs, outputs: outputs, rows: rows))
                    let y = try #require(variant.run { bytes.computed() })
                    // Shifted weights are the difference of two sums, each larger than the product.
                    let bound = 2e-6 * (1 + Double(inputs).squareRoot())
                    #expect(distance(y, bytes.expected()) <= bound, "\(format), \(inputs), \(outputs), \(rows)")
                }
            }
        }
    }

    @Test(
        "every instruction set computes the same bits", arguments: Variant.available,
        Format.paneled)
    func portable(variant: Variant, format: Format) throws {
        let inputs = 3 * max(96, format.blockElements)
        for (outputs, rows) in Self.shapes {
            let bytes = ByteProduct(product: Product(format, inputs: inputs, outputs: outputs, rows: rows))
            let here = try #require(variant.run { (bytes.panel(), bytes.quantised(0..<rows), bytes.computed()) })
            let portable = try #require(
                Variant.portable.run { (bytes.panel(), bytes.quantised(0..<rows), bytes.computed()) })
            #expect(here.0 == portable.0)
            #expect(here.1 == portable.1)
            #expect(bits(here.2) == bits(portable.2))
        }
    }

    @Test(
        "a product of bytes is near the product of floats", arguments: Variant.available,
        Format.paneled)
    func floats(variant: Variant, format: Format) throws {
        let inputs = format.blockElements == 32 ? 1056 : 1024
        let bytes = ByteProduct(product: Product(format, inputs: inputs, outputs: 17, rows: 9))
        let y = try #require(variant.run { bytes.computed() })
        // Each activation errs by half of 1/127 of its block's largest, evenly spread: 1 / (127 * sqrt(12)); their
        // products with numbers below 2 add up as their squares, of which four deviations are allowed.
        let deviation: Double = 2 / (127 * 12.squareRoot())
        let bound: Double = 4 * deviation * Double(inputs).squareRoot()
        let error = distance(y, bytes.product.expected())
        #expect(error <= bound)
        #expect(error > 0)
    }

    @Test("products straight from the stored weights have the bits of the panel's", arguments: Variant.available)
    func direct(variant: Variant) throws {
        for format in Format.paneled {
            let inputs = 3 * max(96, format.blockElements)
            for (outputs, rows) in Self.shapes + [(70, 21)] {
                let bytes = ByteProduct(product: Product(format, inputs: inputs, outputs: outputs, rows: rows))
                let (panel, first, second) = try #require(
                    variant.run { (bytes.computed(), bytes.direct(cut: 0), bytes.direct(cut: outputs / 2)) })
                #expect(bits(first) == bits(panel))
                #expect(bits(second) == bits(panel))
            }
        }
    }

    @Test("a row alone and in a batch give the same bits", arguments: Variant.available)
    func batching(variant: Variant) throws {
        let bytes = ByteProduct(product: Product(.q8_0, inputs: 352, outputs: 35, rows: 19))
        let together = try #require(variant.run { bytes.computed() })
        for row in 0..<19 {
            let alone = try #require(variant.run { bytes.computed(rows: row..<row + 1) })
            #expect(bits(alone) == bits(Array(together[row * 35..<(row + 1) * 35])))
        }
    }

    @Test("the largest bytes do not overflow, and rows that cannot be scaled are zeros", arguments: Variant.available)
    func extremes(variant: Variant) throws {
        let inputs = 64
        let block: [UInt8] = [0x00, 0x3c] + Array(repeating: 0x80, count: 32)  // scale 1, all -128
        let weights = block + block
        var panel = [UInt8](repeating: 0, count: caked_panel_bytes(CAKED_Q8_0, inputs, 1))
        var bytes = [UInt8](repeating: 0, count: caked_int8_rows_bytes(inputs, 4))
        let values: [Float] = [127, -127, 0, .leastNonzeroMagnitude]
        let x = values.flatMap { [Float](repeating: $0, count: inputs) }
        var y = [Float](repeating: .nan, count: 4)
        _ = variant.run {
            unsafe caked_panel_fill(CAKED_Q8_0, weights, inputs, 0, 1, &panel)
            unsafe caked_int8_rows(x, inputs, 4, inputs, &bytes)
            unsafe caked_panel_matmul(CAKED_Q8_0, panel, inputs, 1, bytes, 4, &y, 1, nil)
        }
        let largest: Float = 128 * 127 * 64
        #expect(y == [-largest, largest, 0, 0])
    }

    /// Where products are added up in 16 bits, these are what would be cut off.
    @Test("quants at their extremes have the portable bits", arguments: Variant.available, Format.paneled)
    func extremeQuants(variant: Variant, format: Format) throws {
        let (inputs, outputs) = (512, 19)
        let patterns: [[Float]] = [[1], [-1], [1, -1], [1, 1, -1, -1], [-1, 0, 0, 0], [1, 0]]
        for byte: UInt8 in [0x00, 0x08, 0x7f, 0x80, 0xf0, 0xff] {
            let weights = (0..<outputs).flatMap { _ in format.filled(inputs, with: byte) }
            // Each number of rows of a tile has a function of its own.
            for rows in 1...8 {
                let x = (0..<rows).flatMap { row in
                    let pattern = patterns[(row + rows) % patterns.count]
                    return (0..<inputs).map { pattern[$0 % pattern.count] }
                }
                let bytes = ByteProduct(
                    product: Product(format, inputs: inputs, outputs: outputs, rows: rows, weights: weights, x: x))
                let here = try #require(variant.run { bytes.computed() })
                let portable = try #require(Variant.portable.run { bytes.computed() })
                #expect(here.allSatisfy(\.isFinite) && bits(here) == bits(portable), "bytes \(byte), \(rows) rows")
            }
        }
    }

    @Test("the largest factors of halves do not overflow a float's integers", arguments: Variant.available)
    func extremeHalves(variant: Variant) throws {
        let inputs = 256
        // Quants 0, which stand for -32; factors -128; scale 1.
        let block = [UInt8](repeating: 0, count: 192) + [UInt8](repeating: 0x80, count: 16) + [0x00, 0x3c]
        var panel = [UInt8](repeating: 0, count: caked_panel_bytes(CAKED_Q6_K, inputs, 1))
        var bytes = [UInt8](repeating: 0, count: caked_int8_rows_bytes(inputs, 1))
        let x = [Float](repeating: 127, count: inputs)
        var y: Float = .nan
        _ = variant.run {
            unsafe caked_panel_fill(CAKED_Q6_K, block, inputs, 0, 1, &panel)
            unsafe caked_int8_rows(x, inputs, 1, inputs, &bytes)
            unsafe caked_panel_matmul(CAKED_Q6_K, panel, inputs, 1, bytes, 1, &y, 1, nil)
        }
        #expect(y == 32 * 128 * 127 * 256)
    }

    @Test("part of a block has no panel, and neither have floats")
    func partial() {
        #expect(caked_panel_bytes(CAKED_Q8_0, 33, 16) == 0)
        #expect(caked_panel_bytes(CAKED_Q4_K, 128, 16) == 0)
        #expect(caked_panel_bytes(CAKED_F16, 64, 16) == 0)
        #expect(caked_int8_rows_bytes(33, 8) == 0)
        #expect(caked_panel_bytes(CAKED_Q8_0, 64, 17) == 2 * caked_panel_bytes(CAKED_Q8_0, 64, 16))
    }

    @Test(
        "a panel is hardly larger than what is stored, or than the type that it is re-tiled as",
        arguments: Format.paneled)
    func size(format: Format) {
        let like: Format =
            switch format {
            case .q3_k: .q6_k
            case .iq4_nl, .iq4_xs, .mxfp4: .q8_0
            default: format
            }
        let stored = 16 * like.bytes(1024)
        let panel = caked_panel_bytes(format.type, 1024, 16)
        #expect(panel >= stored - stored / 60 && panel <= stored + stored / 30)
    }
}
