// The little of SVG and HTML that the pictures need.

/// Numbers and texts as they stand in markup.
enum Markup {
    /// Text that markup cannot mistake for itself; control characters, which XML forbids, are shown as U+FFFD.
    static func escaped(_ text: some StringProtocol) -> String {
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "\t", "\n", "\r": escaped.unicodeScalars.append(scalar)
            case "\u{FFFE}", "\u{FFFF}": escaped += "\u{FFFD}"
            default:
                if scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) {
                    escaped += "\u{FFFD}"
                } else {
                    escaped.unicodeScalars.append(scalar)
                }
            }
        }
        return escaped
    }

    /// A coordinate, to a hundredth.
    static func number(_ value: Double) -> String {
        let hundredths = Int((value * 100).rounded())
        let (whole, rest) = (abs(hundredths) / 100, abs(hundredths) % 100)
        let sign = hundredths < 0 ? "-" : ""
        if rest == 0 { return "\(sign)\(whole)" }
        return "\(sign)\(whole)." + (rest < 10 ? "0\(rest)" : rest.isMultiple(of: 10) ? "\(rest / 10)" : "\(rest)")
    }

    /// A share in percent, one digit after the point below ten.
    static func percent(_ share: Double) -> String {
        let percent = share * 100
        guard percent < 9.95 else { return "\(Int(percent.rounded())) %" }
        let tenths = Int((percent * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }
}

/// A drawing, element after element.
struct SVGDrawing {
    private var body: [String] = []
    private var grounds: [String] = []
    let width: Double
    let height: Double
    let title: String

    enum Anchor: String { case start, middle, end }

    init(width: Double, height: Double, title: String) {
        (self.width, self.height, self.title) = (width, height, title)
    }

    mutating func add(_ element: String) { body.append(element) }

    /// A rectangle behind everything else.
    mutating func ground(_ x: Double, _ y: Double, _ width: Double, _ height: Double, fill: String) {
        rect(x, y, width, height, fill: fill)
        grounds.append(body.removeLast())
    }

    mutating func rect(_ x: Double, _ y: Double, _ width: Double, _ height: Double, fill: String, more: String = "") {
        let (x, y) = (Markup.number(x), Markup.number(y))
        add(
            #"<rect x="\#(x)" y="\#(y)" width="\#(Markup.number(width))" height="\#(Markup.number(height))" "#
                + #"fill="\#(fill)"\#(more)/>"#
        )
    }

    mutating func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, stroke: String, width: Double = 1, more: String = ""
    ) {
        let ends = zip(["x1", "y1", "x2", "y2"], [x1, y1, x2, y2]).map { "\($0)=\"\(Markup.number($1))\"" }
        add(
            "<line \(ends.joined(separator: " ")) stroke=\"\(stroke)\" "
                + "stroke-width=\"\(Markup.number(width))\"\(more)/>"
        )
    }

    mutating func text(
        _ x: Double, _ y: Double, _ text: String, size: Double = 13, anchor: Anchor = .start, fill: String = "#222",
        more: String = ""
    ) {
        let place = "x=\"\(Markup.number(x))\" y=\"\(Markup.number(y))\""
        let style = "font-size=\"\(Markup.number(size))\" text-anchor=\"\(anchor.rawValue)\" fill=\"\(fill)\""
        add("<text \(place) \(style)\(more)>\(Markup.escaped(text))</text>")
    }

    /// The whole picture on a light background, a file of its own or part of a page.
    func svg() -> String {
        let size = "width=\"\(Markup.number(width))\" height=\"\(Markup.number(height))\""
        let box = "viewBox=\"0 0 \(Markup.number(width)) \(Markup.number(height))\""
        return """
            <svg xmlns="http://www.w3.org/2000/svg" \(size) \(box) role="img" \
            font-family="system-ui, 'DejaVu Sans', sans-serif">
            <title>\(Markup.escaped(title))</title>
            <rect width="100%" height="100%" fill="#fff"/>
            \((grounds + body).joined(separator: "\n"))
            </svg>

            """
    }
}
