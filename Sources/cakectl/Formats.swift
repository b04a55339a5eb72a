// Numbers as people read them.
import API
import CakedClient
import Glibc

/// Sizes, times, shares and tables.
enum Formats {
    /// 1536 as "1.5 KiB".
    static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var value = Double(count)
        var unit = 0
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : "\(decimal(value)) \(units[unit])"
    }

    /// 12480 as "12,480".
    static func count(_ value: Int) -> String {
        let digits = Array(String(value.magnitude))
        let grouped = digits.enumerated().reduce(into: value < 0 ? "-" : "") { text, digit in
            if digit.offset > 0, (digits.count - digit.offset) % 3 == 0 { text += "," }
            text.append(digit.element)
        }
        return grouped
    }

    /// 0.1 as "10.0 %".
    static func percent(_ share: Double) -> String {
        decimal(share * 100) + " %"
    }

    /// One digit after the point.
    ///
    /// Values a peer sent may be infinite or not numbers.
    static func decimal(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        let tenths = Int((abs(value) * 10).rounded())
        return (value < 0 && tenths > 0 ? "-" : "") + count(tenths / 10) + ".\(tenths % 10)"
    }

    /// Seconds as "0.4 s", "42 s", "3 min", "5 h" or "2 d".
    static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<10: decimal(seconds) + " s"
        case ..<90: "\(Int(seconds)) s"
        case ..<5400: "\(Int(seconds / 60)) min"
        case ..<129_600: "\(Int(seconds / 3600)) h"
        case ..<1e12: "\(Int(seconds / 86400)) d"
        default: "long"
        }
    }

    /// How long ago a Unix time was.
    static func age(_ unixSeconds: Int?) -> String {
        guard let unixSeconds else { return "-" }
        return duration(Double(max(time(nil) - unixSeconds, 0)).rounded(.down))
    }

    /// When a document goes: "pinned", "never" or a time from now.
    static func expiry(of document: Document) -> String {
        if document.pinned { return "pinned" }
        guard let expires = document.expires else { return "never" }
        let left = expires - time(nil)
        return left <= 0 ? "now" : duration(Double(left))
    }

    /// Where a document stands that is not ready: "reading 42 %"; nil for one that is.
    static func state(of document: Document) -> String? {
        guard document.state != .ready else { return nil }
        return document.state.rawValue
            + (document.progress.map { " \(Int($0.fraction.isFinite ? $0.fraction * 100 : 0)) %" } ?? "")
    }

    /// What a check found, in one line.
    static func check(_ check: CheckFigures) -> String {
        guard check.places > 0 else { return "not possible: the text is too short, or fills the model's context" }
        guard let recall = check.recall else {
            return "nothing to tell by: of \(count(check.tokens)) tokens asked for, the full cache knows \(check.known)"
        }
        let isMissed = check.target.map { recall < $0 } ?? false
        return "recalls \(percent(recall)) of what the full cache knows at \(counted(check.places, "place"))"
            + (isMissed ? ", less than the \(percent(check.target ?? 0)) asked for" : "")
    }

    static func seconds(_ duration: Duration) -> Double {
        duration / .seconds(1)
    }
}

/// "1 document", "2 documents".
func counted(_ count: Int, _ noun: String) -> String {
    "\(Formats.count(count)) \(noun)\(count == 1 ? "" : "s")"
}

/// Columns padded to their widest cell, the first left-aligned and the others right-aligned, two spaces apart.
struct Table {
    var rows: [[String]]

    /// The lines.
    ///
    /// On a terminal the first column gives way so that a line fits into `columns`.
    func lines(fitting columns: Int?) -> [String] {
        guard var widths = rows.first?.map(\.count) else { return [] }
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
        }
        if let columns {
            let rest = widths.dropFirst().reduce(0) { $0 + $1 + 2 }
            widths[0] = min(widths[0], max(columns - rest, 8))
        }
        return rows.map { row in
            zip(row, widths).enumerated().map { index, column in
                let (cell, width) = column
                let fitted = cell.count > width ? cell.prefix(width - 1) + "…" : cell[...]
                let padding = String(repeating: " ", count: width - fitted.count)
                return index == 0 ? fitted + padding : padding + fitted
            }.joined(separator: "  ")
        }
    }

    func print() {
        for line in lines(fitting: Terminal.outputIsTerminal ? Terminal.columns : nil) { Terminal.print(line) }
    }
}
