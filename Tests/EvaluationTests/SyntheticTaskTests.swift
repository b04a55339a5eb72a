// Synthetic tasks: they fit their length, hold what they ask for, and are the same for the same seed.

import Evaluation
import Testing

@Suite("Synthetic tasks") struct SyntheticTaskTests {
    private func words(_ text: String) -> Int { text.split(separator: " ").count }

    @Test("fill the length asked for, and hold the answers", arguments: SyntheticTask.allCases, [300, 1_000, 20_000])
    func length(task: SyntheticTask, tokens: Int) {
        let sample = task.sample(tokens: tokens, seed: 7, count: words)
        #expect(words(sample.document) <= tokens)
        #expect(words(sample.document) > tokens * 9 / 10 - 20, "\(words(sample.document))")
        #expect(!sample.questions.isEmpty)
        for question in sample.questions {
            #expect(!question.truths.isEmpty && Set(question.truths).count == question.truths.count)
            for truth in question.truths { #expect(sample.document.contains(truth)) }
        }
    }

    @Test("a seed is a document, another seed another", arguments: SyntheticTask.allCases)
    func seeds(task: SyntheticTask) {
        let first = task.sample(tokens: 500, seed: 1, count: words)
        #expect(task.sample(tokens: 500, seed: 1, count: words) == first)
        #expect(task.sample(tokens: 500, seed: 2, count: words) != first)
    }

    @Test("a chain is assigned in order")
    func chain() throws {
        let sample = SyntheticTask.variableTracking.sample(tokens: 400, seed: 3, count: words)
        let names = try #require(sample.questions.first).truths
        #expect(names.count == 5)
        var value = Substring()
        for (index, name) in names.enumerated() {
            let range = try #require(sample.document.firstRange(of: "VAR \(name) = "))
            let right = sample.document[range.upperBound...].prefix { $0 != "." }
            if index > 0 { #expect(right == "VAR " + names[index - 1]) } else { value = right }
        }
        #expect(sample.questions[0].text.contains(" \(value) "))
    }

    @Test("the words asked for are the most frequent ones", arguments: [SyntheticTask.commonWords, .frequentWords])
    func frequencies(task: SyntheticTask) throws {
        let sample = task.sample(tokens: 3_000, seed: 5, count: words)
        let truths = try #require(sample.questions.first).truths
        var counts: [Substring: Int] = [:]
        for word in sample.document.split(separator: " ") { counts[word, default: 0] += 1 }
        let least = truths.map { counts[Substring($0)] ?? 0 }.min() ?? 0
        let others = counts.filter { word, _ in
            word.allSatisfy { ("a"..."z").contains($0) } && !truths.contains(String(word)) && word.count >= 6
        }
        #expect(least > (others.values.max() ?? 0), "\(counts)")
    }

    @Test("plain wording, and the reader's own sentences around the needles")
    func wording() {
        let sample = SyntheticTask.niahMultikey.sample(
            tokens: 200, seed: 9, wording: .plain, filler: ["Rain fell.", "Nobody came."], count: words)
        #expect(sample.questions.count == 4)
        #expect(sample.document.contains("Rain fell. ") && !sample.document.contains("grass"))
        for question in sample.questions {
            #expect(question.text.hasPrefix("What is the special magic number for "))
            #expect(question.answerStart.isEmpty)
        }
    }
}
