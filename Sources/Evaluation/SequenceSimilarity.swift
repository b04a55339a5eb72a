// Ratcliff and Obershelp's "gestalt" similarity of two lines: what LongBench measures code with.

/// The similarity 2·M / T: M characters in matching blocks, T characters in both.
///
/// The longest block that both have is found first, the earliest of equals, then the same to its left and right. In a
/// second text of 200 characters or more, those that make up over a hundredth of it begin no block, as in the published
/// figures.
public enum SequenceSimilarity {
    /// In whole percent, halves to the even one; 100 for equal texts and 0 beside an empty one.
    public static func percent(_ a: String, _ b: String) -> Int {
        if a == b { return 100 }
        let (first, second) = (Array(a.unicodeScalars), Array(b.unicodeScalars))
        guard !first.isEmpty, !second.isEmpty else { return 0 }
        let matches = Blocks(first, second).matching(0..<first.count, 0..<second.count)
        let ratio = 2 * Double(matches) / Double(first.count + second.count)
        return Int((100 * ratio).rounded(.toNearestOrEven))
    }

    private struct Blocks {
        let a: [Unicode.Scalar]
        let b: [Unicode.Scalar]
        /// Where each character stands in `b`, unless it is popular.
        var places: [Unicode.Scalar: [Int]] = [:]
        var popular: Set<Unicode.Scalar> = []

        init(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) {
            self.a = a
            self.b = b
            for (index, character) in b.enumerated() { places[character, default: []].append(index) }
            guard b.count >= 200 else { return }
            for (character, found) in places where found.count > b.count / 100 + 1 {
                popular.insert(character)
                places[character] = nil
            }
        }

        /// Characters in the matching blocks of two ranges.
        func matching(_ inA: Range<Int>, _ inB: Range<Int>) -> Int {
            var (waiting, total) = ([(inA, inB)], 0)
            while let (rangeA, rangeB) = waiting.popLast() {
                let block = longest(rangeA, rangeB)
                guard block.count > 0 else { continue }
                total += block.count
                waiting.append((rangeA.lowerBound..<block.a, rangeB.lowerBound..<block.b))
                waiting.append((block.a + block.count..<rangeA.upperBound, block.b + block.count..<rangeB.upperBound))
            }
            return total
        }

        private func longest(_ inA: Range<Int>, _ inB: Range<Int>) -> (a: Int, b: Int, count: Int) {
            var best = (a: inA.lowerBound, b: inB.lowerBound, count: 0)
            // The length of the block that ends with the previous character of `a` at each place of `b`.
            var ending: [Int: Int] = [:]
            for i in inA {
                var next: [Int: Int] = [:]
                for j in places[a[i]] ?? [] where inB.contains(j) {
                    let count = (ending[j - 1] ?? 0) + 1
                    next[j] = count
                    if count > best.count { best = (i - count + 1, j - count + 1, count) }
                }
                ending = next
            }
            // Popular characters begin no block but may lengthen one.
            while best.a > inA.lowerBound, best.b > inB.lowerBound, a[best.a - 1] == b[best.b - 1] {
                best = (best.a - 1, best.b - 1, best.count + 1)
            }
            while best.a + best.count < inA.upperBound, best.b + best.count < inB.upperBound,
                a[best.a + best.count] == b[best.b + best.count]
            {
                best.count += 1
            }
            return best
        }
    }
}
