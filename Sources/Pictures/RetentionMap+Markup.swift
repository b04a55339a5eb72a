// The map as a picture of its own and as a page.

extension RetentionMap {
    private static let width = 960.0
    private static let frame = (left: 74.0, right: 880.0)
    private static let columns = 118
    private static let fontSize = 12.5
    /// The width of DejaVu Sans Mono and Menlo at that size; `textLength` holds other fonts to it.
    private static let letter = 7.525
    private static let lineHeight = 19.0

    /// A picture: the map, and the first lines of the text where it is known.
    public func svg(textLines: Int) -> String {
        let lines = runs().map { Self.lines($0, width: Self.columns) } ?? []
        let shown = Array(lines.prefix(textLines))
        let mapHeight = heightOfMap
        let height = mapHeight + (shown.isEmpty ? 0 : 44 + Double(shown.count) * Self.lineHeight + 16)
        var drawing = SVGDrawing(width: Self.width, height: height, title: heading)
        draw(into: &drawing)
        if !shown.isEmpty {
            let note = shown.count < lines.count ? ", its first \(shown.count) lines of \(lines.count)" : ""
            drawing.text(
                20, mapHeight + 22, "The text\(note), shaded by the share of all heads that keep each token", size: 14)
            for (index, line) in shown.enumerated() {
                draw(line, at: mapHeight + 34 + Double(index) * Self.lineHeight, into: &drawing)
            }
        }
        return drawing.svg()
    }

    /// A page that needs nothing else: the map and the whole text.
    public func html() -> String {
        var drawing = SVGDrawing(width: Self.width, height: heightOfMap, title: heading)
        draw(into: &drawing)
        let styles = Shade.all.map { ".s\($0.level){background:\($0.colour);color:\($0.ink)}" }
        let body: String
        if let runs = runs() {
            body =
                "<p>The text, shaded by the share of all heads that keep each token.</p>\n<pre>"
                + runs.map { "<span class=\"s\($0.shade.level)\">\(Markup.escaped($0.text))</span>" }.joined()
                + "</pre>"
        } else {
            body = "<p>Which token stands where is not known: the document was read with another tokenizer.</p>"
        }
        return """
            <!doctype html>
            <html lang="en">
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <title>\(Markup.escaped(heading))</title>
            <style>
            body{font-family:system-ui,sans-serif;max-width:960px;margin:1.5em auto;padding:0 \
            1em;background:#fff;color:#222}
            svg{max-width:100%;height:auto}
            pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.9em;line-height:1.55}
            \(styles.joined(separator: "\n"))
            </style>
            \(drawing.svg())
            \(body)
            </html>

            """
    }

    private var heading: String { "What is kept of \(name)" }
    private var rowHeight: Double { layers <= 12 ? 20 : layers <= 40 ? 12 : 6 }
    private var heightOfMap: Double { 66 + Double(layers) * rowHeight + 82 }

    private func draw(into drawing: inout SVGDrawing) {
        let (top, frame) = (66.0, Self.frame)
        drawing.text(20, 26, heading, size: 16, more: " font-weight=\"600\"")
        drawing.text(
            20, 46, "\(tokens) tokens, \(layers) layers, \(Markup.percent(keptShare)) of the entries kept", size: 12.5,
            fill: "#555")
        let count = binCount(fitting: 403)
        let cell = (frame.right - frame.left) / Double(count)
        let labelEvery = max(1, Int((12 / rowHeight).rounded(.up)))
        for layer in 0..<layers {
            let y = top + Double(layer) * rowHeight
            drawRow(bins(layer: layer, count: count), y: y, cell: cell, into: &drawing)
            guard layer.isMultiple(of: labelEvery) else { continue }
            let baseline = y + min(rowHeight, 14) * 0.75 + max(0, rowHeight - 14) / 2
            drawing.text(frame.left - 8, baseline, "layer \(layer)", size: 11, anchor: .end)
            drawing.text(frame.right + 8, baseline, Markup.percent(share(layer: layer)), size: 11)
        }
        let bottom = top + Double(layers) * rowHeight
        drawing.text(frame.right + 8, top - 7, "kept", size: 11, fill: "#666")
        drawing.rect(
            frame.left, top, frame.right - frame.left, bottom - top, fill: "none", more: " stroke=\"#999\"")
        for quarter in 0...4 {
            let x = frame.left + (frame.right - frame.left) * Double(quarter) / 4
            drawing.line(x, bottom, x, bottom + 5, stroke: "#666")
            drawing.text(x, bottom + 18, "\(tokens * quarter / 4)", size: 11, anchor: .middle)
        }
        drawing.text((frame.left + frame.right) / 2, bottom + 34, "position of the token", size: 12, anchor: .middle)
        legend(y: bottom + 56, into: &drawing)
    }

    /// A layer, neighbouring cells of one shade drawn as one.
    private func drawRow(_ bins: [Double], y: Double, cell: Double, into drawing: inout SVGDrawing) {
        var first = 0
        while first < bins.count {
            let shade = Shade(bins[first])
            var end = first + 1
            while end < bins.count, Shade(bins[end]) == shade { end += 1 }
            if shade.level > 0 {
                drawing.rect(
                    Self.frame.left + Double(first) * cell, y, Double(end - first) * cell, rowHeight - 1,
                    fill: shade.colour)
            }
            first = end
        }
    }

    private func legend(y: Double, into drawing: inout SVGDrawing) {
        drawing.text(20, y, "kept:", size: 12)
        var x = 62.0
        for shade in Shade.all {
            drawing.rect(x, y - 11, 22, 14, fill: shade.colour, more: " stroke=\"#bbb\"")
            drawing.text(x + 28, y, shade.meaning, size: 12)
            x += 44 + Double(shade.meaning.count) * 7
        }
    }

    private func draw(
        _ line: [(character: Character, shade: Shade)], at y: Double, into drawing: inout SVGDrawing
    ) {
        var first = 0
        while first < line.count {
            let shade = line[first].shade
            var end = first + 1
            while end < line.count, line[end].shade == shade { end += 1 }
            let (x, width) = (20 + Double(first) * Self.letter, Double(end - first) * Self.letter)
            // Grounds come before all letters: a font may be a little wider than its place.
            if shade.level > 0 { drawing.ground(x, y, width, Self.lineHeight - 2, fill: shade.colour) }
            let text = String(line[first..<end].map(\.character))
            if text.contains(where: { $0 != " " }) {
                drawing.text(
                    x, y + 12.5, text, size: Self.fontSize, fill: shade.ink,
                    more: " font-family=\"'DejaVu Sans Mono', monospace\" xml:space=\"preserve\" "
                        + "textLength=\"\(Markup.number(width))\" lengthAdjust=\"spacingAndGlyphs\"")
            }
            first = end
        }
    }
}
