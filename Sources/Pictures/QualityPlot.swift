// Quality against bytes kept, a line for every method: how much of a cache a question needs.

import Glibc

/// A plot of scores over bytes, the bytes on a logarithmic axis.
public struct QualityPlot: Sendable {
    /// One budget of one method.
    public struct Point: Sendable {
        /// KV bytes of a document.
        public var bytes: Double
        /// 0 to 1.
        public var score: Double
        /// The bounds of its 95 % interval.
        public var low: Double
        /// The upper bound.
        public var high: Double

        /// States a point.
        public init(bytes: Double, score: Double, low: Double, high: Double) {
            (self.bytes, self.score, self.low, self.high) = (bytes, score, low, high)
        }
    }

    /// One method.
    public struct Series: Sendable {
        /// What the legend calls it.
        public var name: String
        /// Drawn with a dashed line and hollow marks.
        public var isDashed: Bool
        /// Drawn with a thick line.
        public var isEmphasised: Bool
        /// Its budgets.
        public var points: [Point]

        /// States a method.
        public init(name: String, isDashed: Bool, isEmphasised: Bool, points: [Point]) {
            (self.name, self.isDashed, self.isEmphasised, self.points) = (name, isDashed, isEmphasised, points)
        }
    }

    private let title: String
    private let note: String
    private let scoreName: String
    private let series: [Series]
    private let full: Point?

    /// A plot with the best method first in the legend.
    ///
    /// - Parameters:
    ///   - note: what the points stand for.
    ///   - full: the full cache, a line across the plot.
    public init(title: String, note: String, scoreName: String, series: [Series], full: Point?) {
        self.title = title
        self.note = note
        self.scoreName = scoreName
        self.full = full
        func mean(_ series: Series) -> Double {
            series.points.reduce(0) { $0 + $1.score } / Double(max(1, series.points.count))
        }
        self.series = series.sorted { mean($0) > mean($1) }
    }

    // Okabe and Ito's colours, which colour-blind readers can tell apart, and three more; each with a mark of its own.
    private static let colours = [
        "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c564b", "#5e3c99", "#b8860b",
        "#111111",
    ]
    /// Between methods at equal bytes, so that their whiskers can be told apart.
    private static let apart = 3.5
    private static let frame = (left: 74.0, right: 700.0, top: 58.0, bottom: 470.0)

    /// The picture.
    public func svg() -> String {
        var drawing = SVGDrawing(width: 960, height: 560, title: "\(title): \(scoreName) against bytes kept")
        let bytes = series.flatMap(\.points).map(\.bytes).filter { $0 > 0 && $0.isFinite }
        guard let least = bytes.min(), let most = bytes.max() else { return drawing.svg() }
        let (low, high) = (log2(least) - 0.35, log2(most) + 0.35)
        let frame = Self.frame
        func x(_ bytes: Double) -> Double {
            frame.left + (log2(max(bytes, 1)) - low) / (high - low) * (frame.right - frame.left)
        }
        func y(_ score: Double) -> Double { frame.bottom - min(max(score, 0), 1) * (frame.bottom - frame.top) }
        drawing.text(frame.left, 26, title, size: 16, more: " font-weight=\"600\"")
        drawing.text(
            frame.left, 45, "\(note); whiskers: 95 % intervals; methods at equal bytes are set apart sideways",
            size: 12,
            fill: "#666")
        axes(&drawing, low...high, x, y)
        if let full { drawFull(full, &drawing, y) }
        for (index, one) in series.enumerated().reversed() {
            let aside = (Double(index) - Double(series.count - 1) / 2) * Self.apart
            draw(one, index, &drawing, { x($0) + aside }, y)
        }
        legend(&drawing)
        return drawing.svg()
    }

    private func axes(
        _ drawing: inout SVGDrawing, _ range: ClosedRange<Double>, _ x: (Double) -> Double, _ y: (Double) -> Double
    ) {
        let frame = Self.frame
        for tenth in 0...10 {
            let at = y(Double(tenth) / 10)
            drawing.line(frame.left, at, frame.right, at, stroke: tenth == 0 ? "#444" : "#e6e6e6")
            if tenth.isMultiple(of: 2) {
                drawing.text(frame.left - 8, at + 4, tenth == 10 ? "1.0" : "0.\(tenth)", size: 12, anchor: .end)
            }
        }
        let exponents =
            Int(
                range.lowerBound.rounded(.up))...max(
                Int(range.lowerBound.rounded(.up)), Int(range.upperBound.rounded(.down)))
        let step = max(1, (exponents.count + 7) / 8)
        for exponent in exponents where exponent.isMultiple(of: step) && range.contains(Double(exponent)) {
            let bytes = exp2(Double(exponent))
            drawing.line(x(bytes), frame.top, x(bytes), frame.bottom, stroke: "#e6e6e6")
            drawing.text(x(bytes), frame.bottom + 18, Self.size(exponent), size: 12, anchor: .middle)
        }
        if let full {
            for percent in [1.0, 2, 3.2, 5, 10, 20, 50, 100] {
                let bytes = full.bytes * percent / 100
                guard range.contains(log2(bytes)) else { continue }
                drawing.line(x(bytes), frame.bottom + 24, x(bytes), frame.bottom + 29, stroke: "#888")
                let label = percent == 3.2 ? "3.2 %" : "\(Int(percent)) %"
                drawing.text(x(bytes), frame.bottom + 42, label, size: 11, anchor: .middle, fill: "#666")
            }
            drawing.line(frame.left, frame.bottom + 24, frame.right, frame.bottom + 24, stroke: "#888")
        }
        drawing.text(
            (frame.left + frame.right) / 2, frame.bottom + 64,
            "KV bytes of a document, logarithmic; below: share of the full cache", anchor: .middle)
        drawing.text(
            20, (frame.top + frame.bottom) / 2, scoreName + " (share of the questions)", anchor: .middle,
            more: " transform=\"rotate(-90 20 \(Markup.number((frame.top + frame.bottom) / 2)))\"")
    }

    private func drawFull(_ full: Point, _ drawing: inout SVGDrawing, _ y: (Double) -> Double) {
        let frame = Self.frame
        drawing.rect(
            frame.left, y(full.high), frame.right - frame.left, max(1, y(full.low) - y(full.high)), fill: "#000",
            more: " fill-opacity=\"0.07\"")
        drawing.line(
            frame.left, y(full.score), frame.right, y(full.score), stroke: "#333", width: 1.5,
            more: " stroke-dasharray=\"7 4\"")
    }

    private func draw(
        _ series: Series, _ index: Int, _ drawing: inout SVGDrawing, _ x: (Double) -> Double, _ y: (Double) -> Double
    ) {
        let colour = Self.colours[index % Self.colours.count]
        let points = series.points.sorted { $0.bytes < $1.bytes }
        for point in points {
            drawing.line(
                x(point.bytes), y(point.low), x(point.bytes), y(point.high), stroke: colour, more: " opacity=\"0.55\"")
        }
        let path = points.map { "\(Markup.number(x($0.bytes))),\(Markup.number(y($0.score)))" }
        let dash = series.isDashed ? " stroke-dasharray=\"5 4\"" : ""
        drawing.add(
            "<polyline points=\"\(path.joined(separator: " "))\" fill=\"none\" stroke=\"\(colour)\" "
                + "stroke-width=\"\(series.isEmphasised ? "3.2" : "1.7")\"\(dash)/>")
        for point in points { mark(series, index, at: (x(point.bytes), y(point.score)), &drawing) }
    }

    private func mark(_ series: Series, _ index: Int, at place: (x: Double, y: Double), _ drawing: inout SVGDrawing) {
        let colour = Self.colours[index % Self.colours.count]
        let fill = series.isDashed ? "#fff" : colour
        let size = series.isEmphasised ? 5.5 : 4.2
        let corners: [(Double, Double)]
        switch index % 5 {
        case 0:
            drawing.add(
                "<circle cx=\"\(Markup.number(place.x))\" cy=\"\(Markup.number(place.y))\" r=\"\(size)\" "
                    + "fill=\"\(fill)\" "
                    + "stroke=\"\(colour)\" stroke-width=\"1.6\"/>")
            return
        case 1: corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)]
        case 2: corners = [(0, -1.2), (1.15, 0.9), (-1.15, 0.9)]
        case 3: corners = [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)]
        default: corners = [(0, 1.2), (1.15, -0.9), (-1.15, -0.9)]
        }
        let path = corners.map {
            "\(Markup.number(place.x + $0.0 * size * 0.9)),\(Markup.number(place.y + $0.1 * size * 0.9))"
        }
        drawing.add(
            "<polygon points=\"\(path.joined(separator: " "))\" fill=\"\(fill)\" stroke=\"\(colour)\" "
                + "stroke-width=\"1.6\"/>"
        )
    }

    private func legend(_ drawing: inout SVGDrawing) {
        let x = Self.frame.right + 22
        var y = Self.frame.top + 8
        if let full {
            drawing.line(x, y - 4, x + 26, y - 4, stroke: "#333", width: 1.5, more: " stroke-dasharray=\"7 4\"")
            drawing.text(x + 34, y, "full cache, \(Self.size(of: full.bytes))", size: 12.5)
            y += 24
        }
        for (index, one) in series.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            drawing.line(
                x, y - 4, x + 26, y - 4, stroke: colour, width: one.isEmphasised ? 3.2 : 1.7,
                more: one.isDashed ? " stroke-dasharray=\"5 4\"" : "")
            mark(one, index, at: (x + 13, y - 4), &drawing)
            drawing.text(
                x + 34, y, one.name, size: 12.5, more: one.isEmphasised ? " font-weight=\"600\"" : "")
            y += 22
        }
    }

    private static func size(of bytes: Double) -> String {
        let exponent = min(max(Int(log2(max(bytes, 1)) / 10) * 10, 0), 30)
        return Markup.number((bytes / exp2(Double(exponent)) * 10).rounded() / 10)
            + [0: " B", 10: " KiB", 20: " MiB"][exponent, default: " GiB"]
    }

    private static func size(_ exponent: Int) -> String {
        switch exponent {
        case ..<10: "\(1 << max(0, exponent)) B"
        case ..<20: "\(1 << (exponent - 10)) KiB"
        case ..<30: "\(1 << (exponent - 20)) MiB"
        default: "\(1 << min(exponent - 30, 30)) GiB"
        }
    }
}
