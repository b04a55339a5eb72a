// Which row type a document gets: the request's, the configured one, or f16 where heads are no whole blocks.

import API
import CAKE
import CacheStore
import EngineInterface
import Inference
import Testing
import Transformer

@Suite struct RowTypeTests {
    @Test(
        "a request goes over the configuration, and heads that are no whole blocks are stored in f16 unless asked",
        arguments: [
            (nil, .q8_0, 64, .q8_0), (.f16, .q8_0, 64, .f16), (.q4, .q8_0, 128, .q4), (nil, .q4, 96, .q4),
            (nil, .q8_0, 80, .f16), (nil, .q4, 80, .f16), (.f16, .q4, 80, .f16), (nil, .auto, 64, .q4),
            (.auto, .q8_0, 64, .q4), (.auto, .q8_0, 80, .f16),
        ] as [(StoredRows?, StoredRows, Int, RowType)])
    func chosen(_ requested: StoredRows?, _ configured: StoredRows, _ headWidth: Int, _ expected: RowType) throws {
        let type = try RowType(requested: requested, configured: configured, headWidth: headWidth, keepsAll: false)
        #expect(type == expected)
    }

    @Test("what keeps everything is q8_0 unless rows are named")
    func everything() throws {
        for (requested, configured, expected) in [
            (nil, .auto, .q8_0), (.auto, .q4, .q8_0), (.q4, .auto, .q4), (nil, .q4, .q4),
        ] as [(StoredRows?, StoredRows, RowType)] {
            let type = try RowType(requested: requested, configured: configured, headWidth: 64, keepsAll: true)
            #expect(type == expected)
        }
    }

    @Test("a type that does not fit the model's heads is refused, with what to use instead")
    func refused() {
        let error = #expect(throws: EngineError.self) {
            try RowType(requested: .q4, configured: .f16, headWidth: 80, keepsAll: false)
        }
        guard case .invalid(let code, let message, let parameter)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(code == "unsupported_rows" && parameter == "rows")
        #expect(message.contains("use f16"))
    }

    @Test(
        "every type a client may ask for is the store's and the kernels' of that name",
        arguments: StoredRows.allCases.filter { $0 != .auto })
    func sameNames(_ rows: StoredRows) throws {
        let type = try RowType(requested: rows, configured: .f16, headWidth: 64, keepsAll: false)
        #expect(type.rawValue == rows.rawValue && KVRows(type).rawValue == rows.rawValue)
    }

    @Test("every effort a client may ask for is the method's of that name, and there is no other")
    func sameEfforts() throws {
        #expect(Effort.allCases.map(\.rawValue) == ["auto"] + Method.Effort.allCases.map(\.rawValue))
        for effort in Effort.allCases where effort != .auto {
            #expect(Method.Effort(effort)?.rawValue == effort.rawValue)
        }
    }

    @Test("every row type of the model has its word in the store, and back", arguments: KVRows.allCases)
    func thereAndBack(_ rows: KVRows) {
        #expect(KVRows(RowType(rows)) == rows && RowType(rows).rawValue == rows.rawValue)
        #expect(KVRows.allCases.count == RowType.allCases.count)
    }

    @Test("the store ends parts of a head where sequences may end their sums")
    func parts() {
        #expect(RecordFormat.maximumEntries.isMultiple(of: BaseRows.splitEntries))
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
