// Which row type a document gets: the request's, the configured one, or f16 where heads are no whole blocks.

import CacheStore
import Inference
import Testing
import Transformer

@Suite struct RowTypeTests {
    @Test(
        "a request goes over the configuration, and heads that are no whole blocks are stored in f16 unless asked",
        arguments: [
            (nil, "q8_0", 64, RowType.q8_0), ("f16", "q8_0", 64, .f16), ("q4", "q8_0", 128, .q4), (nil, "q4", 96, .q4),
            (nil, "q8_0", 80, .f16), (nil, "q4", 80, .f16), ("f16", "q4", 80, .f16),
        ] as [(String?, String, Int, RowType)])
    func chosen(_ requested: String?, _ configured: String, _ headWidth: Int, _ expected: RowType) throws {
        #expect(try RowType(requested: requested, configured: configured, headWidth: headWidth) == expected)
    }

    @Test(
        "an unknown type and one that does not fit are refused, each with what to use instead",
        arguments: [("q4_0", 64, "unknown_rows"), ("f32", 64, "unknown_rows"), ("q4", 80, "unsupported_rows")])
    func refused(_ requested: String, _ headWidth: Int, _ code: String) {
        let error = #expect(throws: EngineError.self) {
            try RowType(requested: requested, configured: "f16", headWidth: headWidth)
        }
        guard case .invalid(let found, let message, let parameter)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(found == code && parameter == "rows")
        #expect(message.contains("use f16"))
    }

    @Test("the store and the kernels agree on every type's bytes, groups and blocks", arguments: RowType.allCases)
    func sameBytes(_ type: RowType) {
        let rows = KVRows(type)
        #expect(rows.blockElements == type.blockElements && rows.groupEntries == type.groupEntries)
        for headWidth in [32, 64, 128, 320] {
            for entries in [0, 1, 31, 32, 33, 1_000, 1_024] {
                #expect(
                    rows.keyBytes(entries: entries, headWidth: headWidth)
                        == type.keyBytes(entries: entries, headWidth: headWidth))
                #expect(
                    rows.valueBytes(entries: entries, headWidth: headWidth)
                        == type.valueBytes(entries: entries, headWidth: headWidth))
            }
        }
    }
}
