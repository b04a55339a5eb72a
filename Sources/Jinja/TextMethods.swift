// Python's string methods on texts, marks kept.

extension Text {
    /// Which ends a method works on.
    public enum Ends: Sendable {
        case both, start, end
    }

    /// `strip`, `lstrip`, `rstrip`: without the white space at its ends, or the given letters.
    public func stripped(_ ends: Ends = .both, of set: Text? = nil) -> Text {
        let taken = set.map { Set($0.letters) }
        func goes(_ letter: Letter) -> Bool { taken?.contains(letter) ?? letter.scalar.isPythonSpace }
        var rest = letters[...]
        if ends != .end { rest = rest.drop(while: goes) }
        if ends != .start { while let last = rest.last, goes(last) { rest.removeLast() } }
        return Text(letters: rest)
    }

    func hasPrefix(_ prefix: Text) -> Bool { letters.starts(with: prefix.letters) }

    func hasSuffix(_ suffix: Text) -> Bool {
        letters.count >= suffix.count && letters.suffix(suffix.count).elementsEqual(suffix.letters)
    }

    /// Longest part that is looked for letter by letter; longer ones are looked for in linear time (Knuth, Morris,
    /// Pratt).
    private static let longestPlainPart = 16

    /// Index of the first occurrence at or after `start`; the empty text occurs everywhere.
    func index(of part: Text, from start: Int = 0, to end: Int? = nil) -> Int? {
        let last = (end ?? letters.count) - part.count
        guard start <= last else { return nil }
        guard let first = part.letters.first else { return start }
        if part.count > Self.longestPlainPart { return index(ofLong: part.letters, in: start..<last + part.count) }
        for index in start...last where letters[index] == first {
            if letters[index..<index + part.count].elementsEqual(part.letters) { return index }
        }
        return nil
    }

    private func index(ofLong part: [Letter], in range: Range<Int>) -> Int? {
        var borders = [0]
        borders.reserveCapacity(part.count)
        for index in 1..<part.count {
            var border = borders[index - 1]
            while border > 0, part[border] != part[index] { border = borders[border - 1] }
            borders.append(part[border] == part[index] ? border + 1 : 0)
        }
        var matched = 0
        for index in range {
            while matched > 0, part[matched] != letters[index] { matched = borders[matched - 1] }
            if part[matched] == letters[index] { matched += 1 }
            if matched == part.count { return index + 1 - matched }
        }
        return nil
    }

    func reversed() -> Text { Text(letters: letters.reversed()) }

    /// Index of the last occurrence within a range.
    func lastIndex(of part: Text, in range: Range<Int>) -> Int? {
        let backwards = Text(letters: letters[range].reversed())
        return backwards.index(of: part.reversed()).map { range.upperBound - $0 - part.count }
    }

    /// `replace`: at most `limit` times where it isn't negative.
    func replacing(_ old: Text, with new: Text, limit: Int) -> Text {
        var result: [Letter] = []
        var position = 0
        var done = 0
        if old.isEmpty {
            for (index, letter) in letters.enumerated() {
                if limit < 0 || index < limit { result += new.letters }
                result.append(letter)
            }
            if limit < 0 || letters.count < limit { result += new.letters }
            return Text(letters: result)
        }
        while limit < 0 || done < limit, let found = index(of: old, from: position) {
            result += letters[position..<found]
            result += new.letters
            position = found + old.count
            done += 1
        }
        return Text(letters: result + letters[position...])
    }

    /// How often a part occurs, occurrences not overlapping.
    func occurrences(of part: Text) -> Int {
        if part.isEmpty { return letters.count + 1 }
        var (position, count) = (0, 0)
        while let found = index(of: part, from: position) {
            position = found + part.count
            count += 1
        }
        return count
    }

    /// `split` at a separator that isn't empty, at most `limit` times where it isn't negative.
    func split(at separator: Text, limit: Int) -> [Text] {
        var parts: [Text] = []
        var position = 0
        while limit < 0 || parts.count < limit, let found = index(of: separator, from: position) {
            parts.append(Text(letters: letters[position..<found]))
            position = found + separator.count
        }
        return parts + [Text(letters: letters[position...])]
    }

    /// `rsplit` at a separator that isn't empty.
    func splitFromEnd(at separator: Text, limit: Int) -> [Text] {
        reversed().split(at: separator.reversed(), limit: limit).reversed().map { $0.reversed() }
    }

    /// `split` at runs of white space.
    func splitAtSpace(limit: Int) -> [Text] {
        var parts: [Text] = []
        var rest = letters.drop { $0.scalar.isPythonSpace }
        while !rest.isEmpty {
            if limit >= 0, parts.count == limit {
                return parts + [Text(letters: rest)]
            }
            let word = rest.prefix { !$0.scalar.isPythonSpace }
            parts.append(Text(letters: word))
            rest = rest[word.endIndex...].drop { $0.scalar.isPythonSpace }
        }
        return parts
    }

    /// `rsplit` at runs of white space.
    func splitAtSpaceFromEnd(limit: Int) -> [Text] {
        if limit < 0 { return splitAtSpace(limit: limit) }
        let backwards = reversed().splitAtSpace(limit: limit)
        return backwards.reversed().map { $0.reversed() }
    }

    /// `splitlines`.
    func lines(keepingEnds: Bool = false) -> [Text] {
        var lines: [Text] = []
        var start = 0
        var index = 0
        while index < letters.count {
            guard letters[index].scalar.isPythonLineEnd else {
                index += 1
                continue
            }
            var next = index + 1
            if letters[index].value == 0x0D, next < letters.count, letters[next].value == 0x0A { next += 1 }
            lines.append(Text(letters: letters[start..<(keepingEnds ? next : index)]))
            (start, index) = (next, next)
        }
        if start < letters.count { lines.append(Text(letters: letters[start...])) }
        return lines
    }

    // MARK: Case

    func uppercased() -> Text { mapped { $0.properties.uppercaseMapping } }

    func lowercased() -> Text { mapped { $0.properties.lowercaseMapping } }

    /// `swapcase`.
    func caseSwapped() -> Text {
        mapped { $0.properties.isLowercase ? $0.properties.uppercaseMapping : $0.properties.lowercaseMapping }
    }

    /// `capitalize`: the first letter in title case, the others in lower case.
    func capitalized() -> Text {
        let (first, rest) = split(at: 1)
        return first.mapped { $0.properties.titlecaseMapping } + rest.lowercased()
    }

    /// `str.title`: a letter after anything that has no case is in title case.
    func titled() -> Text {
        var result = Text("")
        var isInside = false
        for letter in letters {
            let one = Text(letters: [letter])
            result = result.appending(isInside ? one.lowercased() : one.mapped { $0.properties.titlecaseMapping })
            isInside = letter.scalar.properties.isCased
        }
        return result
    }

    /// jinja2's `title` filter: words begin after white space and `-({[<`.
    func titledWords() -> Text {
        var result = Text("")
        var isInside = false
        for letter in letters {
            let one = Text(letters: [letter])
            let isBreak = letter.scalar.isPythonSpace || "-({[<".unicodeScalars.contains(letter.scalar)
            result = result.appending(isInside ? one.lowercased() : one.uppercased())
            isInside = !isBreak
        }
        return result
    }

    private consuming func appending(_ other: Text) -> Text {
        letters += other.letters
        return self
    }

    private func mapped(_ mapping: (Unicode.Scalar) -> String) -> Text {
        var result: [Letter] = []
        result.reserveCapacity(letters.count)
        for letter in letters {
            for scalar in mapping(letter.scalar).unicodeScalars { result.append(Letter(scalar, mark: letter.mark)) }
        }
        return Text(letters: result)
    }

    // MARK: Questions

    /// Whether there are letters and each fulfils a condition, as Python's `is…` methods ask.
    func areAll(_ condition: (Unicode.Scalar) -> Bool) -> Bool {
        !letters.isEmpty && letters.allSatisfy { condition($0.scalar) }
    }

    /// `isupper` and `islower`: some letter has a case, and none has the other.
    func hasOnlyCase(upper: Bool) -> Bool {
        var hasCased = false
        for letter in letters {
            let properties = letter.scalar.properties
            if upper ? properties.isLowercase : properties.isUppercase { return false }
            if properties.generalCategory == .titlecaseLetter { return false }
            if properties.isCased { hasCased = true }
        }
        return hasCased
    }
}
