// What a model thinks and what it says, told apart however the text comes in pieces.

import Inference
import Testing

@Suite struct AnswerPartsTests {
    struct Example: Sendable, CustomTestStringConvertible {
        var prompt = "<|im_start|>assistant\n"
        let text: String
        let thought: String
        let answer: String
        var testDescription: String { text }
    }

    static let examples = [
        Example(text: "Alice signed.", thought: "", answer: "Alice signed."),
        Example(text: "  Alice signed.\n", thought: "", answer: "  Alice signed.\n"),
        Example(text: "<think>\nWho? Alice.\n</think>\n\nAlice.\n", thought: "Who? Alice.", answer: "Alice.\n"),
        Example(text: "\n<think>\n\n</think>\n\nAlice", thought: "", answer: "Alice"),
        Example(text: "[THINK]a  b[/THINK]c", thought: "a  b", answer: "c"),
        // The template has opened the thought.
        Example(prompt: "<|Assistant|><think>\n", text: "Who?</think>Alice", thought: "Who?", answer: "Alice"),
        Example(prompt: "<think>\n\n</think>\n\n", text: "Alice", thought: "", answer: "Alice"),
        // Ended inside, or with half a mark.
        Example(text: "<think>Who? </thi", thought: "Who? </thi", answer: ""),
        Example(text: "<thi", thought: "", answer: "<thi"),
        Example(text: "", thought: "", answer: ""),
        Example(text: " \n", thought: "", answer: " \n"),
        // Marks are marks at the beginning alone.
        Example(text: "It says <think>x</think>.", thought: "", answer: "It says <think>x</think>."),
        Example(
            text: "<think>a</think>b<think>c</think>", thought: "a", answer: "b<think>c</think>"),
        Example(text: "<thinking>", thought: "", answer: "<thinking>"),
        Example(text: "<think>ä € 😀</think>é", thought: "ä € 😀", answer: "é"),
        Example(
            text: "<|channel|>analysis<|message|>Who? <|end|><|start|>assistant<|channel|>final<|message|>Alice. ",
            thought: "Who?", answer: "Alice. "),
        Example(text: "<|channel|>final<|message|>Alice", thought: "", answer: "Alice"),
        Example(
            text: "<|channel|>commentary<|message|>So.<|end|><|start|>assistant<|channel|>final<|message|>Alice",
            thought: "", answer: "So.Alice"),
        Example(text: "<|channel|>analysis<|message|>Who", thought: "Who", answer: ""),
        Example(text: "<|channel|>ana", thought: "", answer: ""),
    ]

    private func parts(_ example: Example, cuts: [Int]) -> (thought: String, answer: String) {
        var parts = AnswerParts(after: example.prompt)
        var (thought, answer) = ("", "")
        func take(_ pieces: [AnswerParts.Piece]) {
            for piece in pieces {
                switch piece {
                case .thought(let text): thought += text
                case .answer(let text): answer += text
                }
            }
        }
        let letters = Array(example.text)
        for (first, end) in zip([0] + cuts, cuts + [letters.count]) {
            take(parts.append(String(letters[first..<end])))
        }
        take(parts.finish())
        return (thought, answer)
    }

    @Test("are told apart in one piece, letter by letter, and cut anywhere", arguments: examples)
    func everyCut(_ example: Example) {
        let count = example.text.count
        var cuts = [[], Array(stride(from: 1, to: count, by: 1))]
        for cut in stride(from: 1, to: count, by: 1) { cuts.append([cut]) }
        for cuts in cuts {
            let found = parts(example, cuts: cuts)
            #expect(found.thought == example.thought && found.answer == example.answer, "\(cuts): \(found)")
        }
    }

    @Test("what cannot be a mark any more is passed on at once") func latency() {
        var parts = AnswerParts(after: "")
        #expect(parts.append("Al") == [.answer("Al")])
        #expect(parts.append("ice") == [.answer("ice")])
        var thinking = AnswerParts(after: "<think>")
        #expect(thinking.append("Who") == [.thought("Who")])
        #expect(thinking.append(" is\n") == [.thought(" is")])
        #expect(thinking.append("</") == [])
        #expect(thinking.append("b>") == [.thought("\n</b>")])
    }

    @Test("a head that does not end is an answer") func endless() {
        var parts = AnswerParts(after: "")
        let text = "<|channel|>" + String(repeating: "x", count: 300)
        #expect(parts.append(text) == [.answer(text)])
    }
}
