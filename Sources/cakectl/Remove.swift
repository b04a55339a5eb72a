// cakectl rm: removes documents.
import ArgumentParser
import CakedClient

/// Removes documents and their caches.
struct Remove: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm", abstract: "Remove documents and their caches.",
        discussion: """
            Names after one that fails are still removed; the exit code is that of the first failure.

              cakectl rm manual
              cakectl rm draft-1 draft-2
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The documents.", completion: .documentNames)
    var names: [String]

    private struct Line: Encodable {
        var id: String
        var deleted = true
    }

    func run() async throws {
        let client = try client()
        var firstFailure: ClientError?
        for name in names {
            do {
                try await client.delete(name)
                if printsJSON { try Terminal.print(json: Line(id: name)) }
            } catch {
                guard Self.concernsOnlyOne(error) else { throw error }
                Terminal.fail("\(Terminal.printable(name)): \(error.description)")
                firstFailure = firstFailure ?? error
            }
        }
        if let firstFailure { throw ExitCode(ExitCodes.code(of: firstFailure)) }
    }

    private static func concernsOnlyOne(_ error: ClientError) -> Bool {
        switch error {
        case .api, .invalidName: true
        default: false
        }
    }
}
