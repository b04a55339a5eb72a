// What makes a step: answers always, prompts by users in turns.

import Inference
import Testing

@Suite struct StepRowsTests {
    typealias Candidate = StepRows.Candidate

    static func reads(_ user: UInt32, _ rows: Int) -> Candidate { Candidate(user: user, rows: rows, isRead: true) }
    static func writes(_ user: UInt32) -> Candidate { Candidate(user: user, rows: 1, isRead: false) }

    @Test(
        "every answer takes part, and of prompts as many whole pieces as a user may have read in a step",
        arguments: [
            ([reads(1, 64)], [0]), ([reads(1, 64), reads(1, 64)], [0]), ([reads(1, 20), reads(1, 30)], [0, 1]),
            ([reads(1, 40), reads(1, 30), reads(1, 5)], [0]), ([reads(1, 64), reads(2, 64)], [0, 1]),
            ([writes(1), reads(1, 64), writes(1), reads(1, 64), reads(2, 10)], [0, 1, 2, 4]),
            ([writes(1), writes(2)], [0, 1]),
        ] as [([Candidate], [Int])])
    func pieces(candidates: [Candidate], chosen: [Int]) {
        var rows = StepRows()
        #expect(rows.choose(candidates) == chosen)
    }

    @Test("where more users ask than a step has rows for, those come next who have gone without")
    func turns() {
        var rows = StepRows()
        let candidates = (1...6).map { Self.reads($0, 64) }
        #expect(rows.choose(candidates) == [0, 1, 2, 3])
        #expect(rows.choose(candidates) == [0, 1, 4, 5])
        #expect(rows.choose(candidates) == [2, 3, 4, 5])
    }

    @Test("a hundred questions of one user make a step no longer than one of theirs does")
    func burst() {
        var (few, many) = (StepRows(), StepRows())
        let other = Self.reads(2, 64)
        let one = [Self.reads(1, 64), other]
        let hundred = Array(repeating: Self.reads(1, 64), count: 100) + [other]
        #expect(few.choose(one).count == 2)
        #expect(many.choose(hundred) == [0, 100])
    }
}
