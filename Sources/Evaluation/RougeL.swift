// ROUGE-L as LongBench's figures have it: of whole summaries, over sets of words.

/// Lin's ROUGE-L (2004), summary level.
///
/// Sentences end at full stops, words at white space. What counts is the set of words that lie on a longest common
/// subsequence of a true sentence with any predicted one, as a share of the set of words of the truth (recall) and of
/// the prediction (precision). Other implementations count words as often as they occur, or take the texts as one
/// sentence, and give other figures.
public enum RougeL {
    /// The harmonic mean of precision and recall; 0 when either text has no sentence.
    public static func f1(_ prediction: String, _ truth: String) -> Double {
        let (predicted, true_) = (sentences(prediction), sentences(truth))
        guard !predicted.isEmpty, !true_.isEmpty else { return 0 }
        var onPath: Set<String> = []
        for sentence in true_ {
            for other in predicted { onPath.formUnion(commonSubsequence(sentence, other)) }
        }
        let recall = Double(onPath.count) / Double(Set(true_.joined()).count)
        let precision = Double(onPath.count) / Double(Set(predicted.joined()).count)
        return 2 * precision * recall / (precision + recall + 1e-8)
    }

    /// Words sentence by sentence; a sentence of white space alone is one empty word, as in the published figures.
    static func sentences(_ text: String) -> [[String]] {
        text.unicodeScalars.split(separator: ".").map { sentence in
            let words = sentence.split { $0.properties.isWhitespace }.map { String($0) }
            return words.isEmpty ? [""] : words
        }
    }

    /// The words of one longest common subsequence: where two are equally long, the one that drops the later of `b`.
    static func commonSubsequence(_ a: [String], _ b: [String]) -> [String] {
        let width = b.count + 1
        var lengths = [Int](repeating: 0, count: (a.count + 1) * width)
        for i in 1...a.count {
            for j in 1...b.count {
                lengths[i * width + j] =
                    a[i - 1] == b[j - 1]
                    ? lengths[(i - 1) * width + j - 1] + 1
                    : max(lengths[(i - 1) * width + j], lengths[i * width + j - 1])
            }
        }
        var words: [String] = []
        var (i, j) = (a.count, b.count)
        while i > 0, j > 0 {
            if a[i - 1] == b[j - 1] {
                words.append(a[i - 1])
                (i, j) = (i - 1, j - 1)
            } else if lengths[(i - 1) * width + j] > lengths[i * width + j - 1] {
                i -= 1
            } else {
                j -= 1
            }
        }
        return words.reversed()
    }
}
