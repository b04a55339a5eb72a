// cakectl show: one document.
import API
import ArgumentParser
import CakedClient

/// Shows what was kept of a document.
struct Show: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a document: its size, how it was cached, and what each layer kept.",
        discussion: """
              cakectl show manual
              cakectl --json show manual | jq .layers
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    func run() async throws {
        let document = try await client().document(name)
        if printsJSON { return try Terminal.print(json: document) }
        if let state = Formats.state(of: document) { return Self.printUnfinished(document, state) }
        let fields = Self.fields(of: document)
        let width = fields.map(\.0.count).max() ?? 0
        for (label, value) in fields {
            Terminal.print(label + String(repeating: " ", count: width - label.count + 2) + value)
        }
        guard let layers = document.layers, !layers.isEmpty, !isQuiet else { return }
        Terminal.print("")
        let rows = layers.enumerated().map { index, layer in
            let (least, most) = (layer.entries.min() ?? 0, layer.entries.max() ?? 0)
            return [
                String(index), Formats.decimal(layer.budget), "\(Float(layer.preference))",
                least == most ? Formats.count(least) : "\(Formats.count(least)) to \(Formats.count(most))",
            ]
        }
        Table(rows: [["LAYER", "BUDGET", "PREFERENCE", "ENTRIES PER HEAD"]] + rows).print()
    }

    private static func printUnfinished(_ document: Document, _ state: String) {
        let layer = document.progress.map { ", layer \($0.layer) of \($0.layers)" } ?? ""
        Terminal.print("\(document.id): \(counted(document.tokens, "token")), \(state)\(layer)")
        if let problem = document.problem { Terminal.print(problem) }
        if document.canRebuild == false {
            Terminal.print("its text cannot be read: \"cakectl rm \(document.id)\" removes it; then put it again")
        } else if document.state == .damaged || document.state == .outdated {
            Terminal.print("\"cakectl rebuild \(document.id)\" reads it again from its stored text")
        }
    }

    private static func fields(of document: Document) -> [(String, String)] {
        var fields = [
            ("name", document.id),
            ("tokens", Formats.count(document.tokens)),
            (
                "kept",
                "\(Formats.count(document.entries)) of \(Formats.count(document.entriesFull)) entries"
                    + " (\(Formats.percent(document.kept)))"
            ),
            ("size", "\(Formats.bytes(document.bytes)) of \(Formats.bytes(document.bytesFull))"),
            ("text", Formats.bytes(document.textBytes)),
            ("method", "\(document.method), \(document.rows) rows, budget \(document.budget)"),
        ]
        if let budget = document.shrunkFrom {
            let reason = document.shrunkFor == "quota" ? ", to make room for another of your documents" : ""
            fields.append(("shrunk", "from budget \(budget), \(Formats.age(document.shrunkAt)) ago\(reason)"))
        }
        if document.preferenceFellBack {
            fields.append(("note", "preferences were degenerate; the layers share the budget evenly"))
        }
        if let change = document.promptChange {
            fields.append(("prompt", "reads \"\(change.read)\" before it; read now, it would be \"\(change.now)\""))
        }
        if let check = document.check {
            let isSmaller = document.budget < check.budget
            let since = isSmaller ? " (checked at a budget of \(Formats.count(check.budget)), shrunk since)" : ""
            fields.append(("check", Formats.check(check) + since))
        }
        fields.append(("model", document.model))
        fields.append(("read in", Formats.duration(document.prefillSeconds)))
        fields.append(("cached", Formats.age(document.created) + " ago"))
        let since = document.hits > 0 ? ", \(Formats.age(document.lastUsed)) ago" : ""
        fields.append(("used", counted(document.hits, "time") + since))
        fields.append(
            (
                "expires",
                (!document.pinned && document.expires != nil ? "in " : "") + Formats.expiry(of: document)
            ))
        return fields
    }
}
