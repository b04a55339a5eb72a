// cakectl ls: the documents.
import API
import ArgumentParser
import CakedClient

/// Lists the caller's documents.
struct List: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls", abstract: "List your documents.",
        discussion: """
              cakectl ls
              cakectl --json ls | jq -r '.data[].id'
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let documents = try await client().documents(everything: true).sorted { $0.id < $1.id }
        if printsJSON { return try Terminal.print(json: ObjectList(data: documents)) }
        guard !documents.isEmpty else {
            if !isQuiet { Terminal.note("no documents; cache one with \"cakectl put NAME FILE\"") }
            return
        }
        let rows = documents.map { document in
            [
                document.id, Formats.count(document.tokens),
                Formats.state(of: document) ?? Formats.percent(document.kept),
                Formats.bytes(document.bytes), Formats.age(document.created), Formats.age(document.lastUsed),
                Formats.expiry(of: document),
            ]
        }
        Table(rows: [["NAME", "TOKENS", "KEPT", "SIZE", "AGE", "LAST USED", "EXPIRES"]] + rows).print()
    }
}
