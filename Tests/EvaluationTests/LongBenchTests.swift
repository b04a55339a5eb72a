// LongBench's tasks: prompts cut at the end of the context, and answers scored as published.

import Evaluation
import Testing

@Suite("LongBench") struct LongBenchTests {
    @Test("a prompt is the document and then the question")
    func prompt() throws {
        let task = try LongBenchTask.named("hotpotqa")
        #expect(
            task.document(context: "A {input}.") + task.question(input: "Who?") == """
                Answer the question based on the given passages. Only give me the answer and do not output any other \
                words.

                The following are given passages.
                A {input}.

                Answer the question based on the given passages. Only give me the answer and do not output any other \
                words.

                Question: Who?
                Answer:
                """)
        let code = try LongBenchTask.named("repobench-p_e")
        #expect(
            code.document(context: "x\n") + code.question(input: "y\n")
                == "Please complete the code given below. \nx\ny\nNext line of code:\n")
        #expect(!code.isChat)
    }

    @Test("every task's prompt has its context, and a question unless it needs none")
    func slots() {
        let withoutInput: Set = ["gov_report", "multi_news", "passage_count", "lcc"]
        for task in LongBenchTask.all {
            #expect(task.document(context: "§").hasSuffix("§"), "\(task.name)")
            #expect(task.question(input: "§").contains("§") != withoutInput.contains(task.name), "\(task.name)")
        }
        #expect(LongBenchTask.all.count == 18)
    }

    @Test("the best of several answers counts, of few-shot tasks their first line")
    func scores() throws {
        let trec = try LongBenchTask.named("trec")
        #expect(trec.score("\nFood\nAnimal", answers: ["Food"], classes: ["Food", "Animal"]) == 1)
        let triviaqa = try LongBenchTask.named("triviaqa")
        #expect(triviaqa.score("Paris\nLondon", answers: ["London", "The Paris"], classes: []) == 1)
        #expect(triviaqa.score("Paris", answers: [], classes: []) == 0)
    }

    @Test("what cannot be scored is refused by name")
    func refused() {
        #expect(throws: LongBenchTask.UnknownTask.self) { try LongBenchTask.named("dureader") }
        #expect(throws: LongBenchTask.UnknownTask.self) { try LongBenchTask.named("../etc") }
    }
}
