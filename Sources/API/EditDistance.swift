// How much two words differ, to name what a misspelt one may have meant.

/// How many letters have to change to make one word of another.
public enum EditDistance {
    /// Letters inserted, left out or replaced; the time is the product of the lengths.
    public static func between(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let substituted = diagonal + (letter == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
            }
        }
        return row[b.count]
    }

    /// The one of `words` that is nearest to `word`, and how far it is; nil where there are none.
    public static func nearest(to word: String, among words: [String]) -> (word: String, distance: Int)? {
        words.map { (word: $0, distance: between(word, $0)) }.min { $0.distance < $1.distance }
    }
}
