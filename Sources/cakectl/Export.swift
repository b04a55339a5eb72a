// cakectl export and import: documents as files, from one daemon to another.
import API
import ArgumentParser
import CakedClient

/// Writes a document into a file.
struct Export: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write a document into a file that another caked with the same model can import.",
        discussion: """
            The file holds the text and its compact cache, checksummed. The same document gives the same bytes.

              cakectl export manual manual.caked
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    @Argument(help: "The file to write.", completion: .file())
    var file: String

    private struct Line: Encodable {
        var id: String
        var file: String
        var bytes: Int
    }

    func run() async throws {
        let bytes = try await client().export(name, to: file)
        if printsJSON {
            try Terminal.print(json: Line(id: name, file: file, bytes: bytes))
        } else if !isQuiet {
            Terminal.print("\(name): \(Formats.bytes(bytes)) written to \(file)")
        }
    }
}

/// Takes in an exported document.
struct Import: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take in a document that another caked with the same model exported.",
        discussion: """
            A document of the same name is replaced when the file has been checked to its end.

              cakectl import manual.caked
              cakectl import manual.caked --name handbook --ttl 7d
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The file.", completion: .file())
    var file: String

    @Option(help: ArgumentHelp("What to call it here; its own name if not given.", valueName: "name"))
    var name: String?

    @Option(help: ArgumentHelp("Forget it after this time: 90s, 30m, 12h or 7d.", valueName: "time"))
    var ttl: TimeToLive?

    @Flag(help: "Never reclaim it to make room.")
    var pin = false

    func run() async throws {
        let document = try await client()
            .importDocument(file, ImportOptions(name: name, ttlSeconds: ttl?.seconds, pinned: pin))
        if printsJSON {
            try Terminal.print(json: document)
        } else if !isQuiet {
            Terminal.print(
                "\(document.id): \(counted(document.tokens, "token")), \(Formats.bytes(document.bytes)) imported")
        }
    }
}
