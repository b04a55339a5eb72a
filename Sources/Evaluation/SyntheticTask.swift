// Tasks of any length made from a seed, after RULER (Hsieh et al., COLM 2024, arXiv 2404.06654): its forms and wording.

/// A task whose documents grow to any length.
public enum SyntheticTask: String, Sendable, CaseIterable {
    /// One number for one key.
    case niahSingle = "niah-single"
    /// Four keys with a number each, and every one is asked for.
    case niahMultikey = "niah-multikey"
    /// As `niahMultikey`, but the text is nothing but keys with numbers.
    case niahNeedles = "niah-needles"
    /// Four numbers for one key.
    case niahMultivalue = "niah-multivalue"
    /// The numbers of four keys, asked for at once.
    case niahMultiquery = "niah-multiquery"
    /// Which variables have a value, after a chain of assignments.
    case variableTracking = "vt"
    /// The ten most frequent of a list of words.
    case commonWords = "cwe"
    /// The three most frequent of a text of coined words.
    case frequentWords = "fwe"

    /// A document and what is asked of it.
    public struct Sample: Sendable, Equatable {
        /// A question, the beginning of its answer (which is given), and the strings the rest must contain.
        public struct Question: Sendable, Equatable {
            /// What is asked.
            public var text: String
            /// How the answer begins.
            public var answerStart: String
            /// What it must contain.
            public var truths: [String]
        }

        /// The text.
        public var document: String
        /// At least one question.
        public var questions: [Question]
    }

    /// How needles and questions are worded.
    public enum Wording: String, Sendable, CaseIterable {
        /// As RULER has it, with the beginning of the answer given.
        case ruler
        /// "The special magic number for X is 4711.", for models that know no more.
        case plain
    }

    /// The most tokens of an answer.
    public var maxAnswerTokens: Int {
        switch self {
        case .variableTracking: 30
        case .commonWords: 120
        case .frequentWords: 50
        default: 128
        }
    }

    /// Draws a document of about `tokens` tokens, no more, and its questions.
    ///
    /// - Parameters:
    ///   - filler: sentences for the text around the needles, cycled through; RULER's own few when empty.
    ///   - count: how many tokens a text has.
    public func sample(
        tokens: Int, seed: UInt64, wording: Wording = .ruler, filler: [String] = [], count: (String) -> Int
    ) -> Sample {
        // The largest size whose text still fits, found by bisection: texts grow with their size.
        var random = Draw(seed: seed)
        let forSize = random.next()
        func drawn(_ size: Int) -> Sample {
            var random = Draw(seed: forSize)
            return sample(size: size, wording: wording, filler: filler, random: &random)
        }
        var (low, high) = (1, 2)
        while high < 1 << 20, count(drawn(high).document) <= tokens { (low, high) = (high, 2 * high) }
        while high - low > 1 {
            let middle = (low + high) / 2
            if count(drawn(middle).document) <= tokens { low = middle } else { high = middle }
        }
        return drawn(low)
    }

    private func sample(size: Int, wording: Wording, filler: [String], random: inout Draw) -> Sample {
        switch self {
        case .variableTracking: VariableChain.sample(sentences: size, filler: filler, random: &random)
        case .commonWords: WordList.common(words: size, random: &random)
        case .frequentWords: WordList.frequent(words: size, random: &random)
        default:
            Haystack(task: self, wording: wording, filler: filler).sample(sentences: size, random: &random)
        }
    }
}

/// Needles in a haystack.
struct Haystack {
    let task: SyntheticTask
    let wording: SyntheticTask.Wording
    let filler: [String]

    /// What RULER repeats where the text is noise.
    static let noise = [
        "The grass is green.", "The sky is blue.", "The sun is yellow.", "Here we go.", "There and back again.",
    ]

    func sample(sentences: Int, random: inout Draw) -> SyntheticTask.Sample {
        let keys = Self.keys(task == .niahSingle || task == .niahMultivalue ? 1 : 4, random: &random)
        let valuesOfKey = keys.map { _ in
            (0..<(task == .niahMultivalue ? 4 : 1)).map { _ in random.digits(7) }
        }
        let needles = zip(keys, valuesOfKey).flatMap { key, values in values.map { needle(key, $0) } }
        var text: [String]
        if task == .niahNeedles {
            text = Self.keys(sentences, besides: keys, random: &random).map { needle($0, random.digits(7)) }
        } else {
            let source = filler.isEmpty ? Self.noise : filler
            text = (0..<sentences).map { source[$0 % source.count] }
        }
        for needle in needles { text.insert(needle, at: random.below(text.count + 1)) }
        let questions: [SyntheticTask.Sample.Question]
        if task == .niahMultiquery {
            let list = keys.dropLast().joined(separator: ", ") + ", and " + keys[keys.count - 1]
            questions = [question(list, valuesOfKey.flatMap(\.self), isMany: true)]
        } else {
            questions = zip(keys, valuesOfKey).map { question($0, $1, isMany: $1.count > 1) }
        }
        return SyntheticTask.Sample(document: intro + text.joined(separator: " "), questions: questions)
    }

    private var intro: String {
        guard wording == .ruler else { return "" }
        return task == .niahSingle || task == .niahMultikey || task == .niahNeedles
            ? "A special magic number is hidden within the following text. Make sure to memorize it. I will quiz you "
                + "about the number afterwards.\n"
            : "Some special magic numbers are hidden within the following text. Make sure to memorize it. I will quiz "
                + "you about the numbers afterwards.\n"
    }

    private func needle(_ key: String, _ value: String) -> String {
        wording == .ruler
            ? "One of the special magic numbers for \(key) is: \(value)."
            : "The special magic number for \(key) is \(value)."
    }

    private func question(
        _ keys: String, _ values: [String], isMany: Bool
    ) -> SyntheticTask.Sample.Question {
        let (noun, verb) = isMany ? ("numbers", "are") : ("number", "is")
        switch wording {
        case .ruler:
            let start = isMany ? "What are all" : "What is"
            return .init(
                text: "\(start) the special magic \(noun) for \(keys) mentioned in the provided text?",
                answerStart: "The special magic \(noun) for \(keys) mentioned in the provided text \(verb)",
                truths: values)
        case .plain:
            return .init(
                text: "What \(verb) the special magic \(noun) for \(keys)?", answerStart: "", truths: values)
        }
    }

    /// Distinct keys of an adjective and a noun, numbered when there are too few.
    private static func keys(_ count: Int, besides taken: [String] = [], random: inout Draw) -> [String] {
        var seen = Set(taken)
        var keys: [String] = []
        while keys.count < count {
            var key = random.one(of: Lexicon.adjectives) + "-" + random.one(of: Lexicon.nouns)
            if seen.contains(key) { key += "-\(keys.count + 2)" }
            if seen.insert(key).inserted { keys.append(key) }
        }
        return keys
    }
}

/// Chains of assignments: the value of the first variable reaches all of the chain.
enum VariableChain {
    /// Assignments after the first, in RULER's standard setting.
    static let hops = 4

    static func sample(sentences: Int, filler: [String], random: inout Draw) -> SyntheticTask.Sample {
        let source = filler.isEmpty ? Haystack.noise : filler
        var text = (0..<sentences).map { source[$0 % source.count] }
        var names: [String] = []
        while names.count <= hops {
            let name = String((0..<5).map { _ in random.one(of: Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ")) })
            if !names.contains(name) { names.append(name) }
        }
        let value = random.digits(5)
        // In the order of the chain, wherever they fall.
        let places = (0...hops).map { _ in random.below(text.count + 1) }.sorted(by: >)
        for (place, link) in zip(places, (0...hops).reversed()) {
            let right = link == 0 ? value : "VAR " + names[link - 1]
            text.insert("VAR \(names[link]) = \(right).", at: place)
        }
        return SyntheticTask.Sample(
            document: "Memorize and track the chain(s) of variable assignment hidden in the following text.\n\n"
                + text.joined(separator: " "),
            questions: [
                .init(
                    text: "Question: Find all variables that are assigned the value \(value) in the text above.",
                    answerStart: "Answer: According to the chain(s) of variable assignment in the text above, "
                        + "\(names.count) variables are assigned the value \(value), they are:",
                    truths: names)
            ])
    }
}

/// Lists in which some words are more frequent than the others.
enum WordList {
    /// Ten words thirty times each among others three times each; short lists have fewer of both.
    static func common(words: Int, random: inout Draw) -> SyntheticTask.Sample {
        let (often, seldom) = words < 400 ? (10, 1) : (30, 3)
        let distinct = Lexicon.coined(10 + max(1, (words - 10 * often) / seldom), random: &random)
        let common = Array(distinct.prefix(10))
        var list = common.flatMap { Array(repeating: $0, count: often) }
        list += distinct.dropFirst(10).flatMap { Array(repeating: $0, count: seldom) }
        list.shuffle(using: &random)
        let numbered = list.prefix(max(words, 10 * often)).enumerated().map { "\($0 + 1). \($1)" }
        return SyntheticTask.Sample(
            document: "Below is a numbered list of words. In these words, some appear more often than others. Memorize "
                + "the ones that appear most often.\n" + numbered.joined(separator: " "),
            questions: [
                .init(
                    text: "Question: What are the 10 most common words in the above list?",
                    answerStart: "Answer: The top 10 words that appear most often in the list are:", truths: common)
            ])
    }

    /// Coined words whose frequencies fall as rank to the power of −2 (Zipf); the first is an ellipsis that does not
    /// count.
    static func frequent(words: Int, random: inout Draw) -> SyntheticTask.Sample {
        let distinct = Lexicon.coined(max(4, min(words / 50 + 4, 2_000)), random: &random)
        let weights = (1...distinct.count + 1).map { 1 / Double($0 * $0) }
        let scale = Double(max(words, 60)) / weights.reduce(0, +)
        var list = Array(repeating: "...", count: Int((weights[0] * scale).rounded()))
        for (word, weight) in zip(distinct, weights.dropFirst()) {
            list += Array(repeating: word, count: max(1, Int((weight * scale).rounded())))
        }
        list.shuffle(using: &random)
        return SyntheticTask.Sample(
            document: "Read the following coded text and track the frequency of each coded word. Find the three most "
                + "frequently appeared coded words. " + list.joined(separator: " "),
            questions: [
                .init(
                    text: "Question: Do not provide any explanation. Please ignore the dots '....'. What are the three "
                        + "most frequently appeared words in the above coded text?",
                    answerStart: "Answer: According to the coded text above, the three most frequently appeared words "
                        + "are:", truths: Array(distinct.prefix(3)))
            ])
    }
}

/// Words to draw from.
enum Lexicon {
    private static func words(_ text: String) -> [String] { text.split(separator: " ").map { String($0) } }

    static let adjectives = words(
        """
        quiet bright narrow heavy gentle cold empty dusty famous broken careful curious distant early fresh gloomy \
        hidden honest large late little modern noisy pale patient plain polite proud rare rough round sharp short \
        simple slow small smooth soft steady strange strong sudden sweet tall thick thin useful wide wooden young
        """)
    static let nouns = words(
        """
        river bridge market forest mountain valley harbor street village garden window door table letter story song \
        storm cloud morning winter journey train ship wagon field orchard tree flower stone wall tower church school \
        kitchen fire lamp mirror engine wheel clock bell drum path hill lake island cave meadow fence gate
        """)
    private static let syllables = words(
        """
        ba be bi bo da de di do fa fe fi fo ga ge go ka ke ki ko la le li lo ma me mi mo na ne ni no pa pe pi po ra re \
        ri ro sa se si so ta te ti to va ve vi vo za ze zi zo
        """)

    /// Distinct words of three syllables and more.
    static func coined(_ count: Int, random: inout Draw) -> [String] {
        var seen: Set<String> = []
        var words: [String] = []
        while words.count < count {
            var word = (0..<3).map { _ in random.one(of: syllables) }.joined()
            while !seen.insert(word).inserted { word += random.one(of: syllables) }
            words.append(word)
        }
        return words
    }
}
