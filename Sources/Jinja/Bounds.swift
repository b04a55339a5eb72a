// What a template may take: model files come from anywhere, and so do their templates.

/// The bounds of a template, each with its reason.
public enum Bounds {
    /// Longest source: twenty times the longest template in use.
    public static let sourceBytes = 1 << 20
    /// Deepest nesting of expressions and statements in a source: real templates stay below 20, and the parser
    /// recurses.
    public static let nesting = 64
    /// Deepest recursion of the evaluator, macros included: its frames must fit a thread's stack of 4 MiB, unoptimised
    /// too.
    public static let depth = 200
    /// Most steps of a rendering, about a second's work: a long conversation takes some ten thousand.
    public static let steps = 10_000_000
    /// Letters of text that are handled as one step.
    static let lettersPerStep = 32
    /// Bytes of all values made while rendering, beyond what the input is worth.
    public static let valueBytes = 256 << 20
    /// Bytes that values may take for each letter of the input: a message is copied a few dozen times at most.
    static let valueBytesPerLetter = 256
    /// Letters of the output beyond `outputPerLetter` times the input: the longest preamble in use has 6,000.
    public static let outputLetters = 1 << 20
    /// How often a template may write out its input.
    static let outputPerLetter = 8
    /// Longest range: the sandbox of jinja2 has the same.
    public static let range = 100_000
    /// Bytes that a list, dict or scope takes beyond its elements.
    static let boxBytes = 96
    /// Bytes of an element of a list or dict.
    static let elementBytes = 40
}

/// What is left of the bounds while a template runs.
struct Budget {
    private var steps = Bounds.steps
    private var valueBytes: Int
    private var outputLetters: Int

    init(inputLetters: Int) {
        valueBytes = Bounds.valueBytes + Bounds.valueBytesPerLetter * inputLetters
        outputLetters = Bounds.outputLetters + Bounds.outputPerLetter * inputLetters
    }

    mutating func step(_ count: Int = 1) throws(JinjaError) {
        steps -= count
        if steps < 0 { throw JinjaError(.limit, "the template takes more than \(Bounds.steps) steps") }
    }

    /// Letters are about to be made, or looked through.
    mutating func text(_ letters: Int) throws(JinjaError) {
        try step(letters / Bounds.lettersPerStep)
        try memory(letters, of: MemoryLayout<Text.Letter>.stride)
    }

    /// A list, dict or scope is about to be made, with so many elements.
    mutating func box(_ elements: Int = 0) throws(JinjaError) {
        try step(elements / 8)
        try memory(elements, of: Bounds.elementBytes)
        try memory(1, of: Bounds.boxBytes)
    }

    mutating func output(_ letters: Int) throws(JinjaError) {
        outputLetters -= letters
        if outputLetters < 0 { throw JinjaError(.limit, "the template writes more than is bearable for its input") }
        try text(letters)
    }

    private mutating func memory(_ count: Int, of bytes: Int) throws(JinjaError) {
        let total = count.multipliedReportingOverflow(by: bytes)
        if !total.overflow { valueBytes -= total.partialValue }
        if total.overflow || valueBytes < 0 {
            throw JinjaError(.limit, "the template makes values of more than \(Bounds.valueBytes >> 20) MiB")
        }
    }
}
