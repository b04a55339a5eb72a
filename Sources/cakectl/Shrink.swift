// cakectl shrink: keeps less of a document, without reading it again.
import API
import ArgumentParser
import CakedClient

/// Makes a document's cache smaller.
struct Shrink: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep less of a document; it then answers as if it had been cached so from the start.",
        discussion: """
            Entries are kept in the order of their worth, so this drops the last of them and reads nothing again. What \
            is \
            dropped comes back only when the document is put again.

              cakectl shrink manual --keep 5%
              cakectl shrink manual --budget 200
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    @Option(help: ArgumentHelp("The share of the cache to keep, for example 5%.", valueName: "percent"))
    var keep: Share?

    @Option(help: ArgumentHelp("Entries to keep per layer and KV head, on average.", valueName: "entries"))
    var budget: Int?

    func validate() throws {
        guard (keep == nil) != (budget == nil) else { throw ValidationError("Give either --keep or --budget.") }
        guard budget ?? 1 > 0 else { throw ValidationError("--budget must be at least 1.") }
    }

    func run() async throws {
        let document = try await client()
            .update(name, DocumentChange(keep: keep?.keep ?? budget.map { .budget($0) }))
        if printsJSON {
            try Terminal.print(json: document)
        } else if !isQuiet {
            Terminal.print("\(document.id): \(Put.kept(of: document))")
        }
    }
}
