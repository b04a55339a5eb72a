// What a share of a document's cache comes to in entries.

import CAKE
import Inference
import Testing
import Transformer

@Suite("shares of a cache")
struct CacheExtentTests {
    @Test(
        "a share is one of bytes in q8_0: fewer bits make room for more entries, more bits for no fewer",
        arguments: [
            (KVRows.f32, 10.0, 200), (.f16, 10, 200), (.q8_0, 10, 200), (.q4, 10, 340), (.q4, 5, 170), (.q4, 59, 2000),
            (.q4, 100, 2000), (.f16, 100, 2000),
        ])
    func share(rows: KVRows, percent: Double, entries: Int) throws {
        let extent = CacheExtent(tokens: 2000, prefixTokens: 0, capacities: nil, rows: rows)
        #expect(try Method.preset("cake").budget(keepingPercent: percent, of: extent) == entries)
    }

    @Test("entries fill the bytes of their share", arguments: [32, 64, 128])
    func bytes(headWidth: Int) throws {
        let counted = KVRows.q8_0.bytes(entries: 3200, headWidth: headWidth)
        let entries = try Method.preset("cake").budget(
            keepingPercent: 10, of: CacheExtent(tokens: 32_000, prefixTokens: 0, capacities: nil, rows: .q4))
        let stored = Double(KVRows.q4.bytes(entries: entries, headWidth: headWidth))
        #expect(abs(stored / Double(counted) - 1) < 0.01)
    }

    @Test("the share of a budget comes to that budget again", arguments: KVRows.allCases)
    func roundTrip(rows: KVRows) throws {
        let method = try Method.preset("cake")
        for capacities in [nil, [2000, 2000, 512, 512]] {
            let extent = CacheExtent(tokens: 2000, prefixTokens: 0, capacities: capacities, rows: rows)
            for budget in [40, 123, 500, 900] {
                let again = method.budget(keepingPercent: 100 * extent.share(ofBudget: budget), of: extent)
                #expect(again - budget == 0 || again - budget == 1, "\(rows) \(budget) \(again)")
            }
        }
    }
}
