// Every metric against values worked out by hand, and equal to what LongBench's own code gives for the same texts.

import Evaluation
import Testing

@Suite("Answer metrics") struct AnswerMetricTests {
    typealias Case = (prediction: String, truth: String, value: Double)

    private func near(_ a: Double, _ b: Double) -> Bool { abs(a - b) < 1e-6 }

    @Test(
        "F1 of words",
        arguments: [
            // {cat, sat, on, mat} and {cat, sat}: precision 2/4, recall 2/2.
            ("The cat sat on the mat.", "a cat sat", 2.0 / 3),
            // Punctuation goes before articles: "the-a" is the word "thea".
            ("It's the-a b", "its b", 0.8),
            ("Paris, France", "paris", 2.0 / 3),
            // A bag: one foo of two and one bar of two are shared.
            ("foo foo bar", "foo bar bar", 2.0 / 3),
            ("Über Ärger", "über ärger", 1), ("", "x", 0), ("the", "a", 0),
        ] as [Case])
    func f1(prediction: String, truth: String, value: Double) {
        #expect(near(AnswerMetric.f1.score(prediction, truth: truth), value))
    }

    @Test(
        "ROUGE-L of summaries",
        arguments: [
            // On the path: the cat on mat; 5 distinct words each: 4/5 both.
            ("the cat sat on the mat", "the cat was on the mat", 0.8),
            // On paths: police the gunman died; 5 words predicted, 6 true.
            ("police killed the gunman. the gunman died", "police kill the gunman. he died.", 8.0 / 11),
            ("a b c d", "d c b a", 0.25),
            // The example of Lin's paper: w1 w2 of one sentence, w1 w3 w5 of the other; 8 words and 5.
            ("w1 w2 w6 w7 w8. w1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", 8.0 / 13),
            ("a. b", "b. a", 1), ("a a a b", "a b", 1), (" . x", "x", 2.0 / 3), ("", "a", 0), ("a", "..", 0),
        ] as [Case])
    func rougeL(prediction: String, truth: String, value: Double) {
        #expect(near(AnswerMetric.rougeL.score(prediction, truth: truth), value))
    }

    @Test(
        "classification",
        arguments: [
            ("It is Food or Animal", "Food", 0.5), ("Animal", "Food", 0), ("Other animal", "Other animal", 1),
            ("Description of something", "Description of something", 1),
            // "Description" is inside the true name and does not count; the two others do.
            ("Animal Other Description of something", "Description of something", 1.0 / 3),
        ] as [Case])
    func classification(prediction: String, truth: String, value: Double) {
        let classes = ["Food", "Other animal", "Animal", "Other", "Description of something", "Description"]
        #expect(near(AnswerMetric.classification.score(prediction, truth: truth, classes: classes), value))
    }

    @Test("a class behind a removed one stays, as in the published figures")
    func removedClass() {
        #expect(
            AnswerMetric.classification.score("ab abc abcd", truth: "abcd", classes: ["ab", "abc", "abcd"]) == 0.5)
    }

    @Test("retrieval and count: the share of the numbers that are right")
    func numbers() {
        #expect(AnswerMetric.retrieval.score("Paragraph 12", truth: "Paragraph 12") == 1)
        #expect(near(AnswerMetric.retrieval.score("12 or 13, not 2", truth: "Paragraph 12"), 1.0 / 3))
        #expect(AnswerMetric.retrieval.score("none", truth: "Paragraph 1") == 0)
        #expect(AnswerMetric.retrieval.score("段落3 还是 段落4", truth: "段落4") == 0.5)
        #expect(AnswerMetric.retrieval.score("4", truth: "no number") == 0)
        #expect(AnswerMetric.count.score("There are 17 paragraphs, 17", truth: "17") == 1)
        #expect(AnswerMetric.count.score("17 of 18", truth: "17") == 0.5)
        #expect(AnswerMetric.count.score("07", truth: "7") == 0)
        #expect(AnswerMetric.count.score("seven", truth: "7") == 0)
    }

    @Test(
        "code similarity of the first line that is code",
        arguments: [
            // 11 of 12 characters on either side.
            ("\n# no\nreturn x + 1\n", "return x + 2", 0.92), ("return foo", "return foo", 1), ("```", "x", 0),
            ("", "x", 0), ("abcd", "bcde", 0.75), ("for i in range(10):", "while i < range(20):", 0.67),
            ("private Thread currentThread;", "private volatile Thread currentThread;", 0.87),
            // In a text of 200 characters the frequent ones begin no block.
            (
                String(repeating: "x", count: 150) + String(repeating: "abc", count: 30),
                String(repeating: "y", count: 100) + String(repeating: "abc", count: 50), 0
            ),
        ] as [Case])
    func codeSimilarity(prediction: String, truth: String, value: Double) {
        #expect(near(AnswerMetric.codeSimilarity.score(prediction, truth: truth), value))
    }

    @Test("RULER counts the true strings an answer contains")
    func containedShare() {
        #expect(AnswerMetric.containedShare("abc, DEF", truths: ["ABC", "def", "x", "c"]) == 0.75)
        #expect(AnswerMetric.containedShare("abc", truths: []) == 0)
    }
}
