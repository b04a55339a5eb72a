// cakectl models: what answers.
import API
import ArgumentParser
import CakedClient

/// Lists the loaded models.
struct Models: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "List the models that the daemon has loaded.",
        discussion: "  cakectl models")

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    func run() async throws {
        let models = try await client().models()
        if printsJSON { return try Terminal.print(json: ObjectList(data: models)) }
        // Documents are listed as models for clients that can name nothing else; "ls" shows them.
        let rows = models.filter { ModelName.document(of: $0.id) == nil }.map { model in
            [model.id, Formats.count(model.contextLength), Formats.count(model.parameters)]
        }
        Table(rows: [["MODEL", "CONTEXT", "PARAMETERS"]] + rows).print()
    }
}
