// A comparison's table, as text, JSON and picture.

import API
import CAKE
import Evaluation
import FoundationEssentials
import Inference
import Pictures
import Transformer

/// One row for each setting.
struct ComparisonReport: Encodable {
    struct Row: Encodable {
        var method: String
        var question: String
        var rows: String
        var keep_percent: Double
        /// The mean score: the share of the questions answered, where answers are right or wrong.
        var score: Double
        var low95: Double?
        var high95: Double?
        /// The score as a share of the full cache's on the same questions.
        var of_full: Double?
        var of_full_low95: Double?
        var of_full_high95: Double?
        var by_kind: [String: Double]
        var questions: Int
        var kv_bytes_per_document: Int
        var prefill_seconds_per_document: Double
    }

    var model: String
    var documents: Int
    var threads: Int
    var rows: [Row]
    /// How a smaller budget's truncation of the first document compares with reading it at that budget.
    var truncation: [Comparison.TruncationCheck]
    /// Presets left out, and why.
    var refused: [String: String]

    init(_ comparison: Comparison) {
        let full = comparison.measurements[comparison.full]?.scores ?? Scores()
        model = comparison.asker.bench.loaded.card.id
        documents = comparison.documents
        threads = comparison.asker.bench.pool.threads
        truncation = comparison.checks
        refused = comparison.refused
        let ordered = comparison.settings.enumerated().sorted {
            ($0.element.isVisible ? 1 : 0, $0.offset) < ($1.element.isVisible ? 1 : 0, $1.offset)
        }
        rows = ordered.compactMap { _, setting in
            guard let measured = comparison.measurements[setting] else { return nil }
            let (scores, interval) = (measured.scores, measured.scores.interval)
            let share = scores.shareInterval(of: full)
            return Row(
                method: setting.method, question: setting.isVisible ? "visible" : "hidden",
                rows: setting.rows.rawValue, keep_percent: setting.keepPercent, score: scores.mean,
                low95: interval?.low, high95: interval?.high, of_full: scores.share(of: full),
                of_full_low95: share?.low, of_full_high95: share.flatMap { $0.high.isFinite ? $0.high : nil },
                by_kind: scores.meanByKind, questions: scores.values.count,
                kv_bytes_per_document: measured.bytes / measured.readings,
                prefill_seconds_per_document: measured.seconds / Double(measured.readings))
        }
    }

    /// Prints the table or the JSON, and draws the picture.
    func publish(_ options: ComparisonOptions, subject: String, scoreName: String = "answered") throws {
        if let path = options.plot {
            try Data(qualityPlot(subject: subject, scoreName: scoreName).svg().utf8).write(
                to: URL(filePath: path), options: .atomic)
        }
        if options.json { return try printJSON(self) }
        print("\(subject); \(documents) documents, \(rows.first?.questions ?? 0) questions, \(threads) threads")
        let header = [
            "method", "question", "rows", "kept", scoreName, "95 %", "of full", "95 %", "KiB", "read s",
        ]
        printTable([header] + rows.map(cells))
        let kinds = Set(rows.flatMap(\.by_kind.keys)).sorted(by: Self.inOrder)
        if kinds.count > 1 {
            print("\n\(scoreName) by kind of question")
            printTable(
                [["method", "question", "rows", "kept"] + kinds]
                    + rows.map { row in
                        cells(row).prefix(4) + kinds.map { kind in row.by_kind[kind].map { fixed($0, 2) } ?? "" }
                    })
        }
        for check in truncation {
            print(
                check.is_truncated
                    ? "\(check.method): smaller budgets are truncations; at \(fixed(check.keep_percent, 1)) % "
                        + "\(check.differing_entries) of \(check.entries) entries differ from reading at that budget"
                    : "\(check.method): read anew at every budget, as \(check.differing_entries) of \(check.entries) "
                        + "entries would differ")
        }
        for (method, reason) in refused.sorted(by: { $0.key < $1.key }) { print("\(method): left out, \(reason)") }
    }

    private func cells(_ row: Row) -> [String] {
        [
            row.method, row.question, row.rows, fixed(row.keep_percent, 1) + " %", fixed(row.score, 3),
            Self.range(row.low95, row.high95), row.of_full.map { fixed($0, 3) } ?? "",
            Self.range(row.of_full_low95, row.of_full_high95), fixed(Double(row.kv_bytes_per_document) / 1024, 0),
            fixed(row.prefill_seconds_per_document, 2),
        ]
    }

    private static func range(_ low: Double?, _ high: Double?) -> String {
        guard let low else { return "" }
        return "\(fixed(low, 3))–\(high.map { fixed($0, 3) } ?? "")"
    }

    /// Kinds in the order of the numbers in their names.
    private static func inOrder(_ a: String, _ b: String) -> Bool {
        func key(_ kind: String) -> (String, Int) {
            (String(kind.prefix { !$0.isNumber }), Int(kind.filter(\.isNumber)) ?? 0)
        }
        return key(a) < key(b)
    }

    private func qualityPlot(subject: String, scoreName: String) -> QualityPlot {
        let full = rows.first { $0.method == "full" }
        var series: [QualityPlot.Series] = []
        for row in rows where row.method != "full" {
            let point = QualityPlot.Point(
                bytes: Double(row.kv_bytes_per_document), score: row.score, low: row.low95 ?? row.score,
                high: row.high95 ?? row.score)
            let type = row.rows == full?.rows ? "" : ", \(row.rows)"
            let name = row.method + type + (row.question == "visible" ? ", question visible" : "")
            if let index = series.firstIndex(where: { $0.name == name }) {
                series[index].points.append(point)
            } else {
                series.append(
                    QualityPlot.Series(
                        name: name, isDashed: row.question == "visible",
                        isEmphasised: row.method == Method.defaultPreset, points: [point]))
            }
        }
        return QualityPlot(
            title: subject, note: "\(documents) documents, \(full?.questions ?? 0) questions", scoreName: scoreName,
            series: series,
            full: full.map {
                .init(
                    bytes: Double($0.kv_bytes_per_document), score: $0.score, low: $0.low95 ?? $0.score,
                    high: $0.high95 ?? $0.score)
            })
    }
}

/// Prints columns, the first left-aligned and the others right-aligned.
func printTable(_ rows: [[String]]) {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
    for row in rows {
        var line = ""
        for (column, cell) in row.enumerated() {
            let padding = String(repeating: " ", count: widths[column] - cell.count)
            line += column == 0 ? cell + padding : "  " + padding + cell
        }
        print(line)
    }
}
