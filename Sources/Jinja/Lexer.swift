// Cuts a template's source into tokens, white space handled as transformers has jinja2 handle it.

/// A token and its line.
struct Token: Sendable, Equatable {
    enum Kind: Sendable, Equatable {
        case data(Text)
        case blockBegin, blockEnd, variableBegin, variableEnd
        case name(String)
        case string(Text)
        case integer(Int)
        case float(Double)
        case symbol(String)
        case end
    }

    let line: Int
    let kind: Kind
}

/// The lexer of jinja2 (`lexer.py`) with `trim_blocks` and `lstrip_blocks` on and the final newline dropped.
struct Lexer {
    private static let symbols = [
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=",
        ".",
        ":", "|", ",", ";",
    ].map { ($0, Array($0.unicodeScalars)) }

    private let source: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    private var tokens: [Token] = []
    /// Whether the last tag ended with a newline, so that data begins a line.
    private var isLineStart = true

    static func tokens(of source: String) throws(JinjaError) -> [Token] {
        var lexer = Lexer(source)
        while lexer.position < lexer.source.count { try lexer.root() }
        lexer.emit(.end)
        return lexer.tokens
    }

    private init(_ text: String) {
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            if scalar == "\n", scalars.last == "\r" { scalars.removeLast() }
            scalars.append(scalar)
        }
        source = Self.withoutFinalNewline(scalars.map { $0 == "\r" ? "\n" : $0 })
    }

    private static func withoutFinalNewline(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        scalars.last == "\n" ? scalars.dropLast() : scalars
    }

    private mutating func emit(_ kind: Token.Kind) { tokens.append(Token(line: line, kind: kind)) }

    private func at(_ text: String) -> Bool { source[position...].starts(with: text.unicodeScalars) }

    private mutating func advance(to end: Int) {
        for index in position..<end where source[index] == "\n" { line += 1 }
        position = end
    }

    private func endOfSpace(from index: Int) -> Int {
        source[index...].firstIndex { !$0.isPythonSpace } ?? source.count
    }

    // MARK: Outside of tags

    private mutating func root() throws(JinjaError) {
        let next = source[position...].indices.dropLast().first {
            source[$0] == "{" && ["{", "%", "#"].contains(source[$0 + 1])
        }
        guard let next else {
            emitData(source[position...])
            return advance(to: source.count)
        }
        let kind = source[next + 1]
        let sign = next + 2 < source.count ? source[next + 2] : " "
        emitData(kept(source[position..<next], sign: sign, isVariable: kind == "{"))
        advance(to: next + (sign == "-" || sign == "+" ? 3 : 2))
        switch kind {
        case "#": try comment()
        case "{": try tag(begin: .variableBegin, end: .variableEnd, close: "}}", trims: false)
        default:
            if let end = endOfRawTag() {
                try raw(from: end)
            } else {
                try tag(begin: .blockBegin, end: .blockEnd, close: "%}", trims: true)
            }
        }
    }

    private mutating func emitData(_ data: ArraySlice<Unicode.Scalar>) {
        if !data.isEmpty { emit(.data(Text(letters: data.map { Text.Letter($0) }))) }
    }

    /// What is left of data before a tag: white space goes before `-`, and before a block at the start of its line.
    private func kept(
        _ data: ArraySlice<Unicode.Scalar>, sign: Unicode.Scalar, isVariable: Bool
    ) -> ArraySlice<Unicode.Scalar> {
        if sign == "-" {
            let end = data.lastIndex { !$0.isPythonSpace }.map { $0 + 1 } ?? data.startIndex
            return data[..<end]
        }
        if sign == "+" || isVariable { return data }
        let lineStart = data.lastIndex(of: "\n").map { $0 + 1 }
        guard lineStart != nil || isLineStart else { return data }
        let start = lineStart ?? data.startIndex
        return data[start...].allSatisfy(\.isPythonSpace) ? data[..<start] : data
    }

    /// The end of a tag that closes here with `close`, white space or a newline after it included; nil where none
    /// does.
    private func end(ofTagClosing close: String, trims: Bool) -> Int? {
        let length = close.unicodeScalars.count
        if at("-" + close) { return endOfSpace(from: position + 1 + length) }
        if trims, at("+" + close) { return position + 1 + length }
        guard at(close) else { return nil }
        let end = position + length
        return trims && end < source.count && source[end] == "\n" ? end + 1 : end
    }

    private mutating func leaveTag(at end: Int) {
        isLineStart = source[end - 1] == "\n"
        advance(to: end)
    }

    private mutating func comment() throws(JinjaError) {
        let begin = line
        while position < source.count {
            if let end = end(ofTagClosing: "#}", trims: true) { return leaveTag(at: end) }
            advance(to: position + 1)
        }
        throw JinjaError(.syntax, line: begin, "a comment is not closed; it ends with #}")
    }

    /// The end of `raw %}` here, nil where the tag is another.
    private func endOfRawTag() -> Int? {
        var index = endOfSpace(from: position)
        guard source[index...].starts(with: "raw".unicodeScalars) else { return nil }
        index = endOfSpace(from: index + 3)
        if source[index...].starts(with: "-%}".unicodeScalars) { return endOfSpace(from: index + 3) }
        return source[index...].starts(with: "%}".unicodeScalars) ? index + 2 : nil
    }

    private mutating func raw(from start: Int) throws(JinjaError) {
        let begin = line
        leaveTag(at: start)
        var index = start
        while index + 1 < source.count {
            guard source[index] == "{", source[index + 1] == "%" else {
                index += 1
                continue
            }
            let sign = index + 2 < source.count ? source[index + 2] : " "
            let word = endOfSpace(from: index + (sign == "-" || sign == "+" ? 3 : 2))
            guard source[word...].starts(with: "endraw".unicodeScalars) else {
                index += 1
                continue
            }
            let data = kept(source[position..<index], sign: sign, isVariable: false)
            emitData(data)
            advance(to: endOfSpace(from: word + 6))
            guard let end = end(ofTagClosing: "%}", trims: true) else { break }
            return leaveTag(at: end)
        }
        throw JinjaError(.syntax, line: begin, "a raw block is not closed; it ends with {% endraw %}")
    }

    // MARK: Inside of tags

    private mutating func tag(
        begin: Token.Kind, end: Token.Kind, close: String, trims: Bool
    ) throws(JinjaError) {
        emit(begin)
        let beginLine = line
        var open: [String] = []
        while position < source.count {
            let scalar = source[position]
            if scalar.isPythonSpace {
                advance(to: endOfSpace(from: position))
            } else if open.isEmpty, let place = self.end(ofTagClosing: close, trims: trims) {
                emit(end)
                return leaveTag(at: place)
            } else if scalar == "'" || scalar == "\"" {
                try string()
            } else if scalar.isASCIIDigit {
                try number()
            } else if Self.isNamePart(scalar) {
                let end = source[position...].firstIndex { !Self.isNamePart($0) } ?? source.count
                emit(.name(Self.string(source[position..<end])))
                position = end
            } else {
                try symbol(&open)
            }
        }
        throw JinjaError(.syntax, line: beginLine, "a tag is not closed; it ends with \(close)")
    }

    private mutating func symbol(_ open: inout [String]) throws(JinjaError) {
        guard let symbol = Self.symbols.first(where: { source[position...].starts(with: $0.1) }) else {
            throw JinjaError(.syntax, line: line, "the character \"\(source[position])\" has no meaning in a tag")
        }
        switch symbol.0 {
        case "{": open.append("}")
        case "(": open.append(")")
        case "[": open.append("]")
        case "}", ")", "]":
            guard open.popLast() == symbol.0 else {
                throw JinjaError(.syntax, line: line, "unexpected \"\(symbol.0)\"")
            }
        default: break
        }
        emit(.symbol(symbol.0))
        position += symbol.1.count
    }

    private static func isNamePart(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.isASCIIDigit || scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }

    private static func string(_ scalars: ArraySlice<Unicode.Scalar>) -> String {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        return String(view)
    }

    private mutating func number() throws(JinjaError) {
        let start = position
        var end = source[start...].firstIndex { !($0.isASCIIDigit || $0 == "_") } ?? source.count
        let digits = Self.string(source[start..<end]).replacing("_", with: "")
        if digits == "0", end < source.count, let radix = Self.radixes[source[end]] {
            let stop = source[(end + 1)...].firstIndex { !($0.properties.isASCIIHexDigit || $0 == "_") } ?? source.count
            guard
                let value = Int(Self.string(source[(end + 1)..<stop]).replacing("_", with: ""), radix: radix)
            else { throw JinjaError(.syntax, line: line, "a number is malformed or too large") }
            emit(.integer(value))
            position = stop
            return
        }
        // After a dot a number is an index: `list.0.1`.
        let isIndex = tokens.last?.kind == .symbol(".")
        var isFloat = false
        if !isIndex, end + 1 < source.count, source[end] == ".", source[end + 1].isASCIIDigit {
            isFloat = true
            end = source[(end + 1)...].firstIndex { !($0.isASCIIDigit || $0 == "_") } ?? source.count
        }
        if !isIndex, end < source.count, source[end] == "e" || source[end] == "E" {
            var index = end + 1
            if index < source.count, source[index] == "+" || source[index] == "-" { index += 1 }
            if index < source.count, source[index].isASCIIDigit {
                isFloat = true
                end = source[index...].firstIndex { !($0.isASCIIDigit || $0 == "_") } ?? source.count
            }
        }
        let text = Self.string(source[start..<end]).replacing("_", with: "")
        if isFloat, let value = Double(text) {
            emit(.float(value))
        } else if let value = Int(text) {
            emit(.integer(value))
        } else {
            throw JinjaError(.syntax, line: line, "the number \(text.prefix(40)) is too large")
        }
        position = end
    }

    private static let radixes: [Unicode.Scalar: Int] = ["x": 16, "X": 16, "o": 8, "O": 8, "b": 2, "B": 2]

    private mutating func string() throws(JinjaError) {
        let quote = source[position]
        let begin = line
        var index = position + 1
        var letters: [Text.Letter] = []
        while index < source.count, source[index] != quote {
            if source[index] == "\\" {
                try Self.escape(source, at: &index, into: &letters, line: begin)
            } else {
                letters.append(Text.Letter(source[index]))
                index += 1
            }
        }
        guard index < source.count else { throw JinjaError(.syntax, line: begin, "a string is not closed") }
        emit(.string(Text(letters: letters)))
        advance(to: index + 1)
    }

    /// Python's escapes; an unknown one stays as it is.
    private static func escape(
        _ source: [Unicode.Scalar], at index: inout Int, into letters: inout [Text.Letter], line: Int
    ) throws(JinjaError) {
        guard index + 1 < source.count else { throw JinjaError(.syntax, line: line, "a string is not closed") }
        let kind = source[index + 1]
        index += 2
        func digits(_ count: Int, radix: Int, from start: Int) -> (value: UInt32, end: Int)? {
            let end =
                source[start..<min(start + count, source.count)]
                .firstIndex { UInt32(String($0), radix: radix) == nil } ?? min(start + count, source.count)
            return UInt32(Self.string(source[start..<end]), radix: radix).map { ($0, end) }
        }
        if let plain = plainEscapes[kind] { return letters.append(Text.Letter(plain)) }
        switch kind {
        case "\n": return
        case "x", "u", "U":
            let count = kind == "x" ? 2 : kind == "u" ? 4 : 8
            guard let (value, end) = digits(count, radix: 16, from: index), end == index + count else {
                throw JinjaError(.syntax, line: line, "the escape \\\(kind) wants \(count) hexadecimal digits")
            }
            letters.append(Text.Letter(Unicode.Scalar(value) ?? "\u{FFFD}"))
            index = end
        case "0"..."7":
            guard let (value, end) = digits(3, radix: 8, from: index - 1) else { return }
            letters.append(Text.Letter(Unicode.Scalar(value) ?? "\u{FFFD}"))
            index = end
        default: letters += [Text.Letter("\\"), Text.Letter(kind)]
        }
    }

    private static let plainEscapes: [Unicode.Scalar: Unicode.Scalar] = [
        "n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", "\"": "\"", "a": "\u{7}", "b": "\u{8}", "f": "\u{C}",
        "v": "\u{B}",
    ]
}

extension Unicode.Scalar {
    var isASCIIDigit: Bool { ("0"..."9").contains(self) }
}
