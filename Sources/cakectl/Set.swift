// cakectl set and mv: what of a stored document can be changed without reading it again.
import API
import ArgumentParser
import CakedClient

/// Changes how long a document lives.
struct Change: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Change how long a document lives, and whether it may be reclaimed.",
        discussion: """
              cakectl set manual --pin
              cakectl set manual --unpin --ttl 7d
              cakectl set manual --no-ttl
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    @Flag(help: "Never reclaim it, and never let it expire.")
    var pin = false

    @Flag(help: "Reclaim it where room is needed.")
    var unpin = false

    @Option(help: ArgumentHelp("Forget it after this time without use: 90s, 30m, 12h or 7d.", valueName: "time"))
    var ttl: TimeToLive?

    @Flag(name: .customLong("no-ttl"), help: "Keep it for ever.")
    var noTTL = false

    func validate() throws {
        guard !(pin && unpin) else { throw ValidationError("Give --pin or --unpin, not both.") }
        guard ttl == nil || !noTTL else { throw ValidationError("Give --ttl or --no-ttl, not both.") }
        guard pin || unpin || ttl != nil || noTTL else {
            throw ValidationError("Nothing to change; give --pin, --unpin, --ttl or --no-ttl.")
        }
    }

    func run() async throws {
        let ttl: Int?? = noTTL ? .some(nil) : ttl.map { .some($0.seconds) }
        let document = try await client()
            .update(name, DocumentChange(ttlSeconds: ttl, pinned: pin ? true : unpin ? false : nil))
        if printsJSON {
            try Terminal.print(json: document)
        } else if !isQuiet {
            Terminal.print("\(document.id): expires \(Formats.expiry(of: document))")
        }
    }
}

/// Gives a document another name.
struct Move: DaemonCommand {
    static let configuration = CommandConfiguration(
        commandName: "mv", abstract: "Give a document another name.",
        discussion: """
            Another document of that name stays: remove it first.

              cakectl mv draft manual
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    @Argument(help: "What to call it from now on.")
    var newName: String

    func run() async throws {
        let document = try await client().update(name, DocumentChange(name: newName))
        if printsJSON {
            try Terminal.print(json: document)
        } else if !isQuiet {
            Terminal.print("\(document.id): was \(name)")
        }
    }
}
