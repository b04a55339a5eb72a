// The plot of quality against bytes: every method is in it, and numbers stand where they belong.

import Pictures
import Testing

@Suite("Quality plot") struct QualityPlotTests {
    private func series(_ name: String, _ scores: [Double]) -> QualityPlot.Series {
        QualityPlot.Series(
            name: name, isDashed: false, isEmphasised: name == "b",
            points: scores.enumerated().map {
                .init(bytes: Double(1024 << $0), score: $1, low: max(0, $1 - 0.1), high: min(1, $1 + 0.1))
            })
    }

    @Test("names every method, the best first, and the full cache")
    func legend() throws {
        let full = QualityPlot.Point(bytes: 65_536, score: 0.9, low: 0.85, high: 0.94)
        let picture = QualityPlot(
            title: "T & U", note: "9 questions", scoreName: "answered",
            series: [series("a", [0.1, 0.2]), series("b", [0.5, 0.9])],
            full: full
        ).svg()
        #expect(
            picture.contains("T &amp; U") && picture.contains("9 questions") && picture.contains(">full cache, 64 KiB<")
        )
        let (best, other) = (
            try #require(picture.firstRange(of: ">b</text>")), try #require(picture.firstRange(of: ">a<"))
        )
        #expect(best.lowerBound < other.lowerBound)
        #expect(picture.contains(">1 KiB<") && picture.contains(">2 KiB<") && picture.contains(">2 %<"))
    }

    @Test("a higher score is higher, more bytes further right")
    func directions() throws {
        let picture = QualityPlot(title: "", note: "", scoreName: "s", series: [series("a", [0, 1])], full: nil).svg()
        let line = try #require(picture.split(separator: "\n").first { $0.contains("<polyline") })
        let numbers = line.split { !$0.isNumber && $0 != "." }.prefix(4).compactMap { Double($0) }
        #expect(numbers.count == 4 && numbers[0] < numbers[2] && numbers[1] == 470 && numbers[3] == 58)
    }

    @Test("nothing to draw is an empty picture, not a failure")
    func nothing() {
        #expect(QualityPlot(title: "t", note: "", scoreName: "s", series: [], full: nil).svg().hasSuffix("</svg>\n"))
        let odd = QualityPlot.Series(
            name: "o", isDashed: true, isEmphasised: false,
            points: [.init(bytes: 0, score: .infinity, low: -1, high: 2)])
        #expect(QualityPlot(title: "t", note: "", scoreName: "s", series: [odd], full: nil).svg().contains("</svg>"))
    }
}
