// Where tokens stand in a document's text, whatever the template put around it.

import Inference
import Testing

@Suite("Token places") struct TokenPlacesTests {
    private func offsets(_ pieces: [String], in text: String, prefix: Int = 0) -> [Int] {
        TokenPlaces.offsets(of: pieces.map { Array($0.utf8) }, in: Array(text.utf8), prefixTokens: prefix)
    }

    @Test("tokens between the template's")
    func plain() {
        #expect(offsets(["", "user", "\n", "The", " cat", "\n\n"], in: "The cat", prefix: 3) == [0, 0, 0, 0, 3, 7, 7])
    }

    @Test("a text that begins as the template does")
    func lookalike() {
        #expect(offsets(["user", "user", "s"], in: "users", prefix: 1) == [0, 0, 4, 5])
    }

    @Test("tokens that hold some of the template, before and behind")
    func merged() {
        #expect(offsets([">A", "b.\n\n"], in: "Ab.") == [0, 1, 3])
    }

    @Test("a space that encoding puts first, and one that the template trims")
    func spaces() {
        #expect(offsets([" The", " cat"], in: "The cat") == [0, 3, 7])
        #expect(offsets(["", "The"], in: " \n The", prefix: 1) == [3, 3, 6])
    }

    @Test("a character in several tokens, and a text without any")
    func pieces() {
        let euro = Array("€".utf8)
        #expect(
            TokenPlaces.offsets(of: euro.map { [$0] }, in: euro, prefixTokens: 0) == [0, 1, 2, 3])
        #expect(offsets([], in: "") == [0])
        #expect(offsets(["x"], in: "") == [0, 0])
        #expect(offsets(["x"], in: "abc") == [0, 3])
    }
}
