// Stop texts: cut exactly, never leaked in part, nothing lost when they do not come.

import Inference
import Testing

@Suite struct StopMatcherTests {
    struct Case: Sendable {
        var stops: [String]
        var text: String
        var expected: String
    }

    @Test(
        "the answer ends before the first stop text, however it is cut into pieces",
        arguments: [
            Case(stops: [], text: "all of it", expected: "all of it"),
            Case(stops: ["END"], text: "one two END three", expected: "one two "),
            Case(stops: ["END"], text: "one EN", expected: "one EN"),
            Case(stops: ["\n\n", "Q:"], text: "a\nb Q: c\n\nd", expected: "a\nb "),
            Case(stops: ["aab"], text: "aaab", expected: "a"),
            Case(stops: ["é"], text: "caféine", expected: "caf"),
            Case(stops: ["x", ""], text: "", expected: ""),
            Case(stops: ["日本"], text: "日日本", expected: "日"),
        ])
    func cuts(_ example: Case) {
        let characters = Array(example.text)
        for pieceLength in 1...max(1, characters.count) {
            var matcher = StopMatcher(example.stops)
            var passed = ""
            for start in stride(from: 0, to: characters.count, by: pieceLength) {
                passed += matcher.append(String(characters[start..<min(start + pieceLength, characters.count)]))
            }
            passed += matcher.finish()
            #expect(passed == example.expected)
            #expect(matcher.isStopped == (example.expected != example.text))
        }
    }

    @Test("what cannot become a stop text is passed on at once")
    func passesOn() {
        var matcher = StopMatcher(["STOP"])
        #expect(matcher.append("no ST") == "no ")
        #expect(matcher.append("ep") == "STep")
        #expect(matcher.append(" STOP and more") == " ")
        #expect(matcher.append("never") == "")
    }
}
