// cakectl map: what was kept of a document, drawn.
import API
import ArgumentParser
import CakedClient
import Pictures

/// Draws which positions every layer kept, and the text by how much of it survived.
struct Map: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw what was kept of a document: layers against positions, and the text itself.",
        discussion: """
            Darker is kept by more of the layers' KV heads. In colours on a terminal, in characters elsewhere; --html \
            and \
            --svg write files that need nothing else.

              cakectl map manual
              cakectl map manual --lines 0 | less
              cakectl map manual --html manual.html
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    @Option(help: ArgumentHelp("Columns to draw on; the terminal's if not given.", valueName: "columns"))
    var width: Int?

    @Option(help: ArgumentHelp("Lines of the text to show; 0 for all.", valueName: "count"))
    var lines = 20

    @Option(
        help: ArgumentHelp("Write a page with the whole text to this file.", valueName: "file"), completion: .file())
    var html: String?

    @Option(help: ArgumentHelp("Write a picture to this file.", valueName: "file"), completion: .file())
    var svg: String?

    /// What --json prints: the share of all layers and heads that keep each token.
    private struct Summary: Encodable {
        var tokens: Int
        var kept: Double
        var survival: [Double]
        var offsets: [Int]?
    }

    func validate() throws {
        guard (20...1_000).contains(width ?? 80) else { throw ValidationError("--width must be 20 to 1000.") }
        guard lines >= 0 else { throw ValidationError("--lines must not be negative.") }
    }

    func run() async throws {
        let client = try client()
        let (retention, source) = (try await client.retention(name), try await client.source(name))
        guard retention.tokens > 0, !retention.layers.isEmpty, source.tokens == retention.tokens else {
            throw ClientError.protocolViolation("the daemon's retention and text are not of one document")
        }
        let map = RetentionMap(
            name: name, tokens: retention.tokens,
            positions: retention.layers.map { $0.heads.map { $0.positions.map(Int.init) } },
            text: source.text, offsets: source.offsets)
        let textLimit = lines == 0 ? Int.max : lines
        if let html { try OutputFile.write(map.html(), to: html) }
        if let svg { try OutputFile.write(map.svg(textLines: textLimit), to: svg) }
        if printsJSON {
            return try Terminal.print(
                json: Summary(
                    tokens: retention.tokens, kept: map.keptShare, survival: map.survival, offsets: source.offsets))
        }
        guard html == nil, svg == nil else { return }
        show(map, textLimit: textLimit)
    }

    private func show(_ map: RetentionMap, textLimit: Int) {
        let (columns, inColour) = (width ?? Terminal.columns, Terminal.outputHasColor)
        for line in map.mapLines(width: columns, inColour: inColour) { Terminal.paint(line) }
        Terminal.print("")
        guard let text = map.textLines(width: columns, inColour: inColour, limit: textLimit) else {
            return Terminal.note("the text cannot be shaded: the document was read with another tokenizer")
        }
        for line in text.lines { Terminal.paint(line) }
        if text.total > textLimit, !isQuiet {
            Terminal.note("\(textLimit) of \(Formats.count(text.total)) lines; --lines 0 shows all")
        }
    }
}
