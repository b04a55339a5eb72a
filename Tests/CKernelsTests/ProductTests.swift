// Products with stored weights: right, and the same to the bit however the work is split.

import Testing

@Suite struct ProductTests {
    @Test("a product is the sum in double precision", arguments: Variant.available, Format.allCases)
    func oracle(variant: Variant, format: Format) throws {
        let block = format.blockElements
        for inputs in block > 1 ? [0, block, 3 * block, 1056 / block * block] : [0, 1, 3, 15, 16, 31, 67, 1029] {
            for (outputs, rows) in [(1, 1), (3, 2), (4, 3), (7, 4), (9, 5), (13, 9)] {
                let product = Product(format, inputs: inputs, outputs: outputs, rows: rows)
                let y = try #require(variant.run { product.computed() })
                // A float sum of products of about 1 errs by a few roundings of its square root of terms.
                let bound = 1e-6 * (1 + Double(inputs).squareRoot())
                #expect(distance(y, product.expected()) <= bound, "\(inputs) inputs, \(outputs) outputs, \(rows) rows")
            }
        }
    }

    @Test("a row alone and in a batch give the same bits", arguments: Variant.available, Format.allCases)
    func batching(variant: Variant, format: Format) throws {
        let product = Product(format, inputs: format.isBlocked ? 11 * format.blockElements : 357, outputs: 11, rows: 7)
        let together = try #require(variant.run { product.computed() })
        for row in 0..<product.rows {
            let alone = try #require(variant.run { product.computed(rows: row..<row + 1) })
            let part = row * product.outputs..<(row + 1) * product.outputs
            #expect(bits(Array(alone[part])) == bits(Array(together[part])))
        }
    }

    @Test(
        "outputs computed in parts have the same bits, and no others are written", arguments: Variant.available,
        Format.allCases)
    func splitting(variant: Variant, format: Format) throws {
        let product = Product(format, inputs: format.isBlocked ? 11 * format.blockElements : 357, outputs: 11, rows: 3)
        let whole = try #require(variant.run { product.computed() })
        for cut in 0...product.outputs {
            let first = try #require(variant.run { product.computed(outputs: 0..<cut) })
            let second = try #require(variant.run { product.computed(outputs: cut..<product.outputs) })
            for index in whole.indices {
                let isFirst = index % product.outputs < cut
                #expect((isFirst ? first : second)[index].bitPattern == whole[index].bitPattern)
                #expect((isFirst ? second : first)[index].isNaN)
            }
        }
    }

    @Test("weights larger than the piece that stays in the cache are all used", arguments: Variant.available)
    func pieces(variant: Variant) throws {
        let product = Product(.f32, inputs: 1024, outputs: 150, rows: 6)
        let y = try #require(variant.run { product.computed() })
        #expect(distance(y, product.expected()) <= 4e-5)
    }

    @Test("without a bias the sum stands alone", arguments: Variant.available)
    func unbiased(variant: Variant) throws {
        let product = Product(.q8_0, inputs: 64, outputs: 5, rows: 2)
        let with = try #require(variant.run { product.computed() })
        let without = try #require(variant.run { product.computed(biased: false) })
        for index in with.indices {
            #expect(without[index] + product.bias[index % product.outputs] == with[index])
        }
    }
}
