// What the map of a document shows, in characters, colours and markup.

import Pictures
import Testing

@Suite("Retention map") struct RetentionMapTests {
    /// Two layers of two heads over eight tokens "ab cd ef" of one byte each: the first layer keeps the first half.
    private func map(text: String? = "ab cd ef", offsets: [Int]? = Array(0...8)) -> RetentionMap {
        RetentionMap(
            name: "a<b", tokens: 8, positions: [[[0, 1, 2, 3], [0, 1, 2, 3]], [[0], [0, 7, 99]]], text: text,
            offsets: offsets)
    }

    @Test("counts what is kept")
    func shares() {
        #expect(map().keptShare == 11.0 / 32)
        #expect(map().survival == [1, 0.5, 0.5, 0.5, 0, 0, 0, 0.25])
    }

    @Test("draws layers in characters, as wide as asked")
    func characters() {
        let lines = map().mapLines(width: 80, inColour: false)
        #expect(lines[0] == "0 |████    |    50 %")
        #expect(lines[1] == "1 |█      ▓|    19 %")
        #expect(lines[2] == "   0      7  position")
        let narrow = RetentionMap(name: "n", tokens: 1_000, positions: [[Array(0..<1_000)]], text: nil, offsets: nil)
            .mapLines(width: 40, inColour: false)
        #expect(narrow[0].count <= 40 && narrow[0].contains("██████"))
    }

    @Test("shades the text below each line where there is no colour")
    func plainText() throws {
        let text = try #require(map().textLines(width: 80, inColour: false, limit: 5))
        #expect(text.lines == ["ab cd ef", "█▓▓▓   ▒"])
        #expect(text.total == 1)
        #expect(map(offsets: nil).textLines(width: 80, inColour: false, limit: 5) == nil)
        #expect(map(offsets: [0, 8]).textLines(width: 80, inColour: false, limit: 5) == nil)
    }

    @Test("a document cannot drive the terminal")
    func control() throws {
        let hostile = map(text: "\u{1B}[2J\u{9B}x\ty")
        for inColour in [false, true] {
            let text = try #require(hostile.textLines(width: 80, inColour: inColour, limit: 5)).lines.joined()
            #expect(!text.contains("\u{1B}[2J") && !text.contains("\u{9B}") && text.contains("\u{FFFD}"))
        }
    }

    @Test("a character of several tokens has the shade of the one that survived best")
    func sharedCharacter() throws {
        let map = RetentionMap(
            name: "e", tokens: 4, positions: [[[1]]], text: "€x", offsets: [0, 1, 2, 3, 4])
        let text = try #require(map.textLines(width: 80, inColour: false, limit: 5))
        #expect(text.lines == ["€x", "█"])
    }

    @Test("lines break at spaces, and at their width where there is none")
    func lines() throws {
        let text = "one two three " + String(repeating: "x", count: 20)
        let map = RetentionMap(
            name: "w", tokens: 1, positions: [[[]]], text: text, offsets: [0, text.utf8.count])
        let drawn = try #require(map.textLines(width: 10, inColour: false, limit: 9))
        #expect(drawn.lines == ["one two ", "three ", "xxxxxxxxxx", "xxxxxxxxxx"])
        #expect(map.textLines(width: 10, inColour: false, limit: 1)?.total == 4)
    }

    @Test("markup holds the text, escaped, and nothing from elsewhere")
    func markup() {
        let page = map(text: "a<b>&\"\u{1}").html()
        #expect(page.contains("What is kept of a&lt;b") && page.contains("&lt;") && !page.contains("\u{1}"))
        #expect(!page.contains("src=") && !page.contains("href="))
        let picture = map().svg(textLines: 4)
        #expect(
            picture.hasPrefix("<svg xmlns=") && picture.hasSuffix("</svg>\n") && picture.contains(">ab</text>") == false
        )
        #expect(picture.contains(">a</text>") && picture.contains(">b c</text>"))
    }
}
