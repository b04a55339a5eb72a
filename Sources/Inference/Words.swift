// One thing, three words for it: a client's, the store's and the model's, and the way from each to the next.

import API
import CAKE
import CacheStore
import EngineInterface
import Transformer

extension Method.Effort {
    /// A client's word for an effort; nil for `auto`, which is a choice of two.
    package init?(_ effort: Effort) {
        let found: Self? =
            switch effort {
            case .auto: nil
            case .learned: .learned
            case .fast: .fast
            case .balanced: .balanced
            case .best: .best
            }
        guard let found else { return nil }
        self = found
    }
}

extension RowType {
    /// How a document's rows are stored: as the request says, or else as configured.
    ///
    /// Heads that are no whole blocks are stored in f16, unless the request itself asks for another type.
    ///
    /// - Parameter keepsAll: whether the request keeps every entry.
    package init(
        requested: StoredRows?, configured: StoredRows, headWidth: Int, keepsAll: Bool
    ) throws(EngineError) {
        let named = requested ?? configured
        let rows = RowType(named) ?? (keepsAll ? .q8_0 : .q4)
        let fits = headWidth.isMultiple(of: rows.blockElements)
        guard fits || requested == nil || named == .auto else {
            throw .invalid(
                code: "unsupported_rows",
                message: """
                    rows of type \(rows.rawValue) are blocks of \(rows.blockElements), and this model's heads have \
                    \(headWidth) numbers; use f16
                    """,
                parameter: "rows")
        }
        self = fits ? rows : .f16
    }
}

extension RowType {
    /// A client's word for a row type; nil for `auto`, which is a choice of two.
    init?(_ rows: StoredRows) {
        switch rows {
        case .auto: return nil
        case .f16: self = .f16
        case .q8_0: self = .q8_0
        case .q4: self = .q4
        }
    }
}

extension KVRows {
    /// The store's word for a row type.
    package init(_ rows: RowType) {
        self =
            switch rows {
            case .f32: .f32
            case .f16: .f16
            case .q8_0: .q8_0
            case .q4: .q4
            }
    }
}

extension RowType {
    /// The model's word for a row type.
    package init(_ rows: KVRows) {
        self =
            switch rows {
            case .f32: .f32
            case .f16: .f16
            case .q8_0: .q8_0
            case .q4: .q4
            }
    }
}
