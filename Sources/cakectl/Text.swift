// cakectl text: the text that a document was read from.
import API
import ArgumentParser
import CakedClient

/// Prints a document's text.
struct Text: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the text of a document, as it was read.",
        discussion: """
              cakectl text manual | less
              cakectl --json text manual | jq .offsets
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    func run() async throws {
        let source = try await client().source(name)
        if printsJSON { return try Terminal.print(json: source) }
        Terminal.write(source.text)
        // A prompt after the last line, not in it.
        if Terminal.outputIsTerminal, !source.text.hasSuffix("\n") { Terminal.write("\n") }
    }
}
