// cakectl put: caches documents.
import API
import ArgumentParser
import CakedClient
import Glibc
import TextFiles

/// Sends texts and shows how the daemon gets on.
struct Put: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read documents once and keep their compact caches.",
        discussion: """
            Files are recognised by what is in them: text in UTF-8, UTF-16 or Windows-1252, also compressed by gzip; \
            PDF (with pdftotext); HTML, RTF, DOCX, ODT and EPUB (with pandoc). A file is called by its name unless \
            another is given before it or by --name; of a folder all files are put. A document of the same name is \
            replaced when the new one is complete; the same text with the same options is left as it is.

              cakectl put contract.pdf
              cakectl put manual manual.txt --keep 20% --ttl 7d
              cakectl put chapter-1.md chapter-2.md notes/
              cakectl put manual manual.txt --keep auto
              curl -s https://example.org/ | cakectl put page -
              cakectl put manual manual.txt --probe "How is it cleaned?" --probe "What does the red light mean?"
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    /// The daemon's presets.
    private static let methods = [
        "full", "cake", "cake-global", "cake-reconstruct", "cake-reconstruct-max", "cake-probe", "snapkv", "pyramidkv",
        "adakv", "streamingllm", "h2o", "tova", "kvzip",
    ]

    @Argument(
        help: "Files and folders; - reads standard input. Of two, the first is a name unless there is such a file.",
        completion: .file())
    var files: [String]

    @Option(
        help: ArgumentHelp("What to call it: 1 to 128 letters, digits, \".\", \"_\" or \"-\".", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("The encoding of a text, as \"iconv -l\" lists it.", valueName: "encoding"))
    var encoding: String?

    @Flag(help: "Read pages that are pictures, too (with ocrmypdf; seconds for each).")
    var ocr = false

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
        let named = try PutFiles(files, name: name).named()
        var firstFailure: CInt?
        for file in named {
            do {
                try await put(file, client)
            } catch {
                // One file is one failure; of several, the others are put.
                if named.count == 1 { throw error }
                guard let failure = error as? any FailureObject else { throw error }
                let text = "\(Terminal.printable(file.path)): \(failure.description)"
                // A picture among a folder's files is none of its documents.
                if case .noText? = error as? TextFileError, !files.contains(file.path) {
                    if !isQuiet { Terminal.note("left out: \(text)") }
                    continue
                }
                Terminal.fail(text)
                if printsJSON { try Terminal.print(json: ErrorReply(error: failure.object)) }
                let code =
                    (error as? TextFileError).map(ExitCodes.code(of:))
                    ?? (error as? ClientError).map(ExitCodes.code(of:)) ?? 1
                firstFailure = firstFailure ?? code
                // Without a daemon, or with a full disk, the next would fail as well.
                if code == 69 || code == 75 || code == 77 || code == 130 { break }
            }
        }
        if let firstFailure { throw ExitCode(firstFailure) }
    }

    private func put(_ file: NamedFile, _ client: DaemonClient) async throws {
        let source = try await TextFile(
            path: file.path, options: TextFile.Options(encoding: encoding, readsPictures: ocr))
        if let way = source.way, !isQuiet { Terminal.note("\(file.name): its text was got \(way)") }
        let options = DocumentOptions(
            keep: keep?.keep ?? budget.map { .budget($0) }, method: method, effort: effort?.rawValue, probes: probes,
            rows: rows?.rawValue, ttlSeconds: ttl?.seconds, pinned: pin, detached: detach, check: check ? true : nil)
        let (name, showsProgress) = (file.name, !isQuiet)
        let document = try await client.put(name, source.text, options: options) { progress in
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
