// cakectl put: caches a document.
import API
import ArgumentParser
import CakedClient

/// Sends a text and shows how the daemon gets on.
struct Put: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a document once and keep its compact cache.",
        discussion: """
            The text is UTF-8. A document of the same name is replaced when the new one is complete; the same text \
            with the \
            same options is left as it is.

              cakectl put manual manual.txt
              cakectl put manual manual.txt --keep 20% --ttl 7d
              cakectl put manual manual.txt --keep auto
              pdftotext paper.pdf - | cakectl put paper - --pin
              cakectl put manual manual.txt --probe "How is it cleaned?" --probe "What does the red light mean?"
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    /// The daemon's presets.
    private static let methods = [
        "full", "cake", "cake-global", "cake-reconstruct", "cake-reconstruct-max", "cake-probe", "snapkv", "pyramidkv",
        "adakv", "streamingllm", "h2o", "tova", "kvzip",
    ]

    @Argument(help: "What to call it: 1 to 128 letters, digits, \".\", \"_\" or \"-\".", completion: .documentNames)
    var name: String

    @Argument(help: "The text; - reads standard input.", completion: .file())
    var file: String

    @Option(
        help: ArgumentHelp(
            "The share of the cache to keep, for example 10%; or auto: as little as the check allows, at most half.",
            valueName: "percent|auto"))
    var keep: Share?

    @Option(help: ArgumentHelp("Entries to keep per layer and KV head, on average.", valueName: "entries"))
    var budget: Int?

    @Option(
        help: ArgumentHelp("How to choose them: \(methods.joined(separator: ", ")).", valueName: "preset"),
        completion: .list(methods))
    var method: String?

    @Option(help: "What choosing them may cost, where the document is fed again for it.")
    var effort: Effort?

    @Option(
        name: .customLong("probe"),
        help: ArgumentHelp("A question like those that will be asked; may be repeated.", valueName: "text"))
    var probes: [String] = []

    @Option(help: "How keys and values are stored: the fewer bits, the smaller.")
    var rows: StoredRows?

    @Option(help: ArgumentHelp("Forget it after this time: 90s, 30m, 12h or 7d.", valueName: "time"))
    var ttl: TimeToLive?

    @Flag(help: "Never reclaim it to make room.")
    var pin = false

    @Flag(
        help: "Do not wait: the daemon reads it in the background, also after a restart; \"show\" says how far it is.")
    var detach = false

    @Flag(help: "Compare the cache with the full one at places of the document, and say how much it recalls.")
    var check = false

    func validate() throws {
        guard keep == nil || budget == nil else {
            throw ValidationError("Give --keep or --budget, not both.")
        }
        guard budget ?? 1 > 0 else { throw ValidationError("--budget must be at least 1.") }
    }

    func run() async throws {
        let client = try client()
        let text = try DocumentText(path: file)
        let options = DocumentOptions(
            keep: keep?.keep ?? budget.map { .budget($0) }, method: method, effort: effort?.rawValue, probes: probes,
            rows: rows?.rawValue, ttlSeconds: ttl?.seconds, pinned: pin, detached: detach, check: check ? true : nil)
        let (name, showsProgress) = (name, !isQuiet)
        let document = try await client.put(name, text, options: options) { progress in
            if showsProgress { ProgressLine.shared.show(progress, of: name) }
        }
        ProgressLine.shared.clear()
        if printsJSON {
            try Terminal.print(json: document)
        } else if !isQuiet {
            for line in Self.summary(of: document) { Terminal.print(line) }
        }
    }

    /// What was read, what was kept of it and, where it was checked, how much of it is recalled: a line each.
    static func summary(of document: Document) -> [String] {
        guard document.state == .ready else {
            return ["\(document.id): \(document.state.rawValue), it goes on by itself"]
        }
        let wasThere = document.wasCreated == false ? "already cached, " : ""
        return [
            "\(document.id): \(wasThere)\(counted(document.tokens, "token")) read in "
                + Formats.duration(document.prefillSeconds),
            kept(of: document) + ", by \(document.method)",
        ] + (document.check.map { ["check: " + Formats.check($0)] } ?? [])
    }

    /// How much of a document is kept: entries, share and bytes.
    static func kept(of document: Document) -> String {
        "kept \(Formats.count(document.entries)) of \(Formats.count(document.entriesFull)) entries "
            + "(\(Formats.percent(document.kept))), \(Formats.bytes(document.bytes)) of "
            + "\(Formats.bytes(document.bytesFull))"
    }
}

/// A share of the cache as everywhere, "10%", "10" or "0.1", or "auto".
struct Share: ExpressibleByArgument {
    let keep: Keep

    init?(argument: String) {
        // 1 without a sign is all to the daemon and one percent to many: here the sign decides.
        guard let keep = Keep(argument), Double(argument) != 1 else { return nil }
        self.keep = keep
    }
}

extension Effort: ExpressibleByArgument {}
extension StoredRows: ExpressibleByArgument {}

extension TimeToLive: ExpressibleByArgument {
    /// A time as written on the command line.
    public init?(argument: String) {
        self.init(argument)
    }
}
