// How good an answer is: LongBench's metrics (Bai et al., ACL 2024), from their definitions, and RULER's.

/// Scores from 0 to 1 of a predicted answer against the true one.
public enum AnswerMetric: String, Sendable, CaseIterable {
    /// F1 of the words, bag against bag: case, punctuation and articles do not count.
    case f1
    /// F1 of the longest common subsequences of sentences, see `RougeL`.
    case rougeL
    /// 1 / k when the true class is among the k classes that the answer names; a class inside the true one's name is no
    /// other.
    case classification
    /// The share of the answer's numbers that are the number of the true "Paragraph N" (or "段落N").
    case retrieval
    /// The share of the answer's numbers that are the true one.
    case count
    /// The similarity of the answer's first line that is no comment with the true line, see `SequenceSimilarity`.
    case codeSimilarity

    /// Scores one prediction against one truth; `classes` are the names a classification chooses from.
    public func score(_ prediction: String, truth: String, classes: [String] = []) -> Double {
        switch self {
        case .f1: Self.f1(Self.words(prediction), Self.words(truth))
        case .rougeL: RougeL.f1(prediction, truth)
        case .classification: Self.classification(prediction, truth, classes)
        case .retrieval: Self.shareOfNumbers(prediction, equalTo: Self.paragraphNumber(truth) ?? "")
        case .count: Self.shareOfNumbers(prediction, equalTo: truth)
        case .codeSimilarity: Self.codeSimilarity(prediction, truth)
        }
    }

    /// RULER's score (Hsieh et al., COLM 2024): the share of the true strings that the answer contains, in any case.
    public static func containedShare(_ prediction: String, truths: [String]) -> Double {
        guard !truths.isEmpty else { return 0 }
        let lower = prediction.lowercased()
        return Double(truths.count { lower.contains($0.lowercased()) }) / Double(truths.count)
    }

    /// The answer's words as SQuAD normalises them: lower case, no ASCII punctuation, no articles.
    static func words(_ text: String) -> [String] {
        var kept = String.UnicodeScalarView()
        for scalar in text.lowercased().unicodeScalars where !isPunctuation(scalar) { kept.append(scalar) }
        var words: [String] = []
        var word = String.UnicodeScalarView()
        var run = String.UnicodeScalarView()
        // An article is a whole run of letters and digits; it leaves a gap where it stood.
        func endRun() {
            if ["a", "an", "the"].contains(String(run)) { endWord() } else { word.append(contentsOf: run) }
            run = String.UnicodeScalarView()
        }
        func endWord() {
            if !word.isEmpty { words.append(String(word)) }
            word = String.UnicodeScalarView()
        }
        for scalar in kept {
            if isWordCharacter(scalar) {
                run.append(scalar)
                continue
            }
            endRun()
            if scalar.properties.isWhitespace { endWord() } else { word.append(scalar) }
        }
        endRun()
        endWord()
        return words
    }

    static func f1(_ prediction: [String], _ truth: [String]) -> Double {
        var left = Dictionary(truth.map { ($0, 1) }, uniquingKeysWith: +)
        let common = prediction.count { word in
            guard let count = left[word], count > 0 else { return false }
            left[word] = count - 1
            return true
        }
        guard common > 0 else { return 0 }
        let (precision, recall) = (Double(common) / Double(prediction.count), Double(common) / Double(truth.count))
        return 2 * precision * recall / (precision + recall)
    }

    private static func classification(_ prediction: String, _ truth: String, _ classes: [String]) -> Double {
        var named = classes.filter { prediction.contains($0) }
        // The published rule looks at what follows a removed name no more than once: it goes on behind the next one.
        var index = 0
        while index < named.count {
            if named[index] != truth, truth.contains(named[index]) { named.remove(at: index) }
            index += 1
        }
        return named.contains(truth) ? 1 / Double(named.count) : 0
    }

    private static func shareOfNumbers(_ prediction: String, equalTo truth: String) -> Double {
        let numbers = numbers(in: prediction)
        guard !numbers.isEmpty else { return 0 }
        return Double(numbers.count { $0 == truth }) / Double(numbers.count)
    }

    /// The number behind the first "Paragraph " or "段落" that has one.
    private static func paragraphNumber(_ truth: String) -> String? {
        for mark in ["Paragraph ", "段落"] {
            for range in truth.ranges(of: mark) {
                let digits = truth[range.upperBound...].unicodeScalars.prefix(while: isDigit)
                if !digits.isEmpty { return String(digits) }
            }
        }
        return nil
    }

    private static func codeSimilarity(_ prediction: String, _ truth: String) -> Double {
        let lines = prediction.drop { $0 == "\n" }.split(separator: "\n", omittingEmptySubsequences: false)
        let line = lines.first { !$0.contains("`") && !$0.contains("#") && !$0.contains("//") } ?? ""
        return Double(SequenceSimilarity.percent(String(line), truth)) / 100
    }

    /// The runs of decimal digits.
    private static func numbers(in text: String) -> [String] {
        text.unicodeScalars.split { !isDigit($0) }.map { String($0) }
    }

    private static func isDigit(_ scalar: Unicode.Scalar) -> Bool {
        scalar.properties.generalCategory == .decimalNumber
    }

    private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
        default: false
        }
    }

    private static func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber:
            true
        default: scalar == "_"
        }
    }
}
