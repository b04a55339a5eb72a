// LongBench's tasks (Bai et al., ACL 2024, arXiv 2308.14508): the published prompts, lengths and metrics.

/// A LongBench data set: how its lines become prompts and its answers scores.
public struct LongBenchTask: Sendable {
    /// The data set's name, as its file has it.
    public let name: String
    /// The prompt up to the end of the context: what is cached; `{context}` stands in it.
    let documentFormat: String
    /// The rest of the prompt, which may hold `{input}`: what is asked.
    let questionFormat: String
    /// The metric of its answers.
    public let metric: AnswerMetric
    /// The most tokens of an answer.
    public let maxAnswerTokens: Int
    /// Whether the prompt goes into the model's chat template; few-shot tasks and code are continued as plain text.
    public let isChat: Bool
    /// Whether only the answer's first line counts.
    public let scoresFirstLine: Bool
    /// Whether an answer ends with its line.
    public let stopsAtLineEnd: Bool

    private init(
        _ name: String, _ metric: AnswerMetric, _ maxAnswerTokens: Int, document: String, question: String,
        isChat: Bool = true, scoresFirstLine: Bool = false
    ) {
        self.name = name
        self.metric = metric
        self.maxAnswerTokens = maxAnswerTokens
        documentFormat = document
        questionFormat = question
        self.isChat = isChat
        self.scoresFirstLine = scoresFirstLine
        stopsAtLineEnd = name == "samsum"
    }

    /// What is cached: the prompt's beginning with the context.
    public func document(context: String) -> String { Self.filled(documentFormat, "{context}", context) }

    /// What is asked of it: the prompt's rest.
    public func question(input: String) -> String { Self.filled(questionFormat, "{input}", input) }

    /// The best score over the true answers.
    public func score(_ prediction: String, answers: [String], classes: [String]) -> Double {
        var prediction = prediction[...]
        if scoresFirstLine {
            prediction = prediction.drop { $0 == "\n" }
            prediction = prediction.prefix { $0 != "\n" }
        }
        return answers.map { metric.score(String(prediction), truth: $0, classes: classes) }.max() ?? 0
    }

    private static func filled(_ format: String, _ slot: String, _ text: String) -> String {
        guard let range = format.firstRange(of: slot) else { return format }
        return format.replacingCharacters(in: range, with: text)
    }

    /// The task of a data set, or of its LongBench-E variant (`…_e`).
    ///
    /// - Throws: `UnknownTask`, which says why.
    public static func named(_ name: String) throws(UnknownTask) -> LongBenchTask {
        let plain = name.hasSuffix("_e") ? String(name.dropLast(2)) : name
        if ["multifieldqa_zh", "dureader", "vcsum"].contains(plain) { throw .needsSegmentation(plain) }
        guard let task = all.first(where: { $0.name == plain }) else {
            throw .unknown(name, known: all.map(\.name))
        }
        return task
    }

    /// A data set that cannot be scored.
    public enum UnknownTask: Error, CustomStringConvertible {
        /// Its metric counts words that the published code cuts with the Chinese segmenter jieba.
        case needsSegmentation(String)
        /// None of LongBench's.
        case unknown(String, known: [String])

        /// The reason.
        public var description: String {
            switch self {
            case .needsSegmentation(let name):
                "\(name) is not scored: its metric needs the Chinese word segmenter jieba, which is not here"
            case .unknown(let name, let known):
                "\"\(name)\" is no data set of LongBench; known are \(known.joined(separator: ", "))"
            }
        }
    }

    // "asconcisely" is the published prompts' own.
    private static let passages = (
        document: """
        Answer the question based on the given passages. Only give me the answer and do not output any other words.

        The following are given passages.
        {context}
        """,
        question: """


        Answer the question based on the given passages. Only give me the answer and do not output any other words.

        Question: {input}
        Answer:
        """
    )

    /// Every data set that can be scored.
    public static let all = [
        LongBenchTask(
            "narrativeqa", .f1, 128,
            document: """
                You are given a story, which can be either a novel or a movie script, and a question. Answer the \
                question asconcisely as you can, using a single phrase if possible. Do not provide any explanation.

                Story: {context}
                """,
            question: """


                Now, answer the question based on the story asconcisely as you can, using a single phrase if possible. \
                Do not provide any explanation.

                Question: {input}

                Answer:
                """),
        LongBenchTask(
            "qasper", .f1, 128,
            document: """
                You are given a scientific article and a question. Answer the question as concisely as you can, using \
                a \
                single phrase or sentence if possible. If the question cannot be answered based on the information in \
                the article, write "unanswerable". If the question is a yes/no question, answer "yes", "no", or \
                "unanswerable". Do not provide any explanation.

                Article: {context}
                """,
            question: """


                 Answer the question based on the above article as concisely as you can, using a single phrase or \
                sentence if possible. If the question cannot be answered based on the information in the article, \
                write \
                "unanswerable". If the question is a yes/no question, answer "yes", "no", or "unanswerable". Do not \
                provide any explanation.

                Question: {input}

                Answer:
                """),
        LongBenchTask(
            "multifieldqa_en", .f1, 64, document: "Read the following text and answer briefly.\n\n{context}",
            question: """


                Now, answer the following question based on the above text, only give me the answer and do not output \
                any other words.

                Question: {input}
                Answer:
                """),
        LongBenchTask("hotpotqa", .f1, 32, document: passages.document, question: passages.question),
        LongBenchTask("2wikimqa", .f1, 32, document: passages.document, question: passages.question),
        LongBenchTask("musique", .f1, 32, document: passages.document, question: passages.question),
        LongBenchTask(
            "gov_report", .rougeL, 512,
            document: """
                You are given a report by a government agency. Write a one-page summary of the report.

                Report:
                {context}
                """,
            question: "\n\nNow, write a one-page summary of the report.\n\nSummary:"),
        LongBenchTask(
            "qmsum", .rougeL, 512,
            document: """
                You are given a meeting transcript and a query containing a question or instruction. Answer the query \
                in one or more sentences.

                Transcript:
                {context}
                """,
            question: """


                Now, answer the query based on the above meeting transcript in one or more sentences.

                Query: {input}
                Answer:
                """),
        LongBenchTask(
            "multi_news", .rougeL, 512,
            document:
                "You are given several news passages. Write a one-page summary of all news. \n\nNews:\n{context}",
            question: "\n\nNow, write a one-page summary of all the news.\n\nSummary:"),
        LongBenchTask(
            "trec", .classification, 64,
            document: """
                Please determine the type of the question below. Here are some examples of questions.

                {context}
                """,
            question: "\n{input}", isChat: false, scoresFirstLine: true),
        LongBenchTask(
            "triviaqa", .f1, 32,
            document: """
                Answer the question based on the given passage. Only give me the answer and do not output any other \
                words. The following are some examples.

                {context}
                """,
            question: "\n\n{input}", isChat: false, scoresFirstLine: true),
        LongBenchTask(
            "samsum", .rougeL, 128,
            document: """
                Summarize the dialogue into a few short sentences. The following are some examples.

                {context}
                """,
            question: "\n\n{input}", isChat: false, scoresFirstLine: true),
        LongBenchTask(
            "lsht", .classification, 64, document: "请判断给定新闻的类别，下面是一些例子。\n\n{context}",
            question: "\n{input}", isChat: false, scoresFirstLine: true),
        LongBenchTask(
            "passage_count", .count, 32,
            document: """
                There are some paragraphs below sourced from Wikipedia. Some of them may be duplicates. Please \
                carefully read these paragraphs and determine how many unique paragraphs there are after removing \
                duplicates. In other words, how many non-repeating paragraphs are there in total?

                {context}
                """,
            question: """


                Please enter the final count of unique paragraphs after removing duplicates. The output format should \
                only contain the number, such as 1, 2, 3, and so on.

                The final answer is:\u{20}
                """),
        LongBenchTask(
            "passage_retrieval_en", .retrieval, 32,
            document: """
                Here are 30 paragraphs from Wikipedia, along with an abstract. Please determine which paragraph the \
                abstract is from.

                {context}
                """,
            question: """


                The following is an abstract.

                {input}

                Please enter the number of the paragraph that the abstract is from. The answer format must be like \
                "Paragraph 1", "Paragraph 2", etc.

                The answer is:\u{20}
                """),
        LongBenchTask(
            "passage_retrieval_zh", .retrieval, 32,
            document: "以下是若干段落文字，以及其中一个段落的摘要。请确定给定的摘要出自哪一段。\n\n{context}",
            question: """


                下面是一个摘要

                {input}

                请输入摘要所属段落的编号。答案格式必须是"段落1"，"段落2"等格式

                答案是：
                """),
        LongBenchTask(
            "lcc", .codeSimilarity, 64, document: "Please complete the code given below. \n{context}",
            question: "Next line of code:\n", isChat: false),
        LongBenchTask(
            "repobench-p", .codeSimilarity, 64, document: "Please complete the code given below. \n{context}",
            question: "{input}Next line of code:\n", isChat: false),
    ]
}

extension String {
    /// The text with a range replaced.
    fileprivate func replacingCharacters(in range: Range<Index>, with other: String) -> String {
        var text = self
        text.replaceSubrange(range, with: other)
        return text
    }
}
