// cakectl verify and rebuild: whether documents are what was written, and the mend where one is not.
import API
import ArgumentParser
import CakedClient

/// Compares what is stored with its checksums.
struct Verify: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that documents are stored as they were written; all of yours if none is named.",
        discussion: """
            Reads every byte and compares checksums. A damaged document is set aside, and "rebuild" reads it again from its \
            text. The exit code is 1 when one is damaged.

              cakectl verify
              cakectl verify manual
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String?

    func run() async throws {
        let showsProgress = !isQuiet
        let verification = try await client().verify(name) { checked in
            if showsProgress {
                ProgressLine.shared.show(checked.number, of: checked.total, "checked \(checked.document.id)")
            }
        }
        ProgressLine.shared.clear()
        if printsJSON {
            try Terminal.print(json: verification)
        } else {
            for document in verification.damaged {
                Terminal.print("\(document.id): damaged, \(document.problem ?? "unknown")")
            }
            if !isQuiet {
                let damaged = verification.damaged.isEmpty ? "all sound" : "\(verification.damaged.count) damaged"
                Terminal.print(
                    "\(counted(verification.documents, "document")), \(Formats.bytes(verification.bytes)): \(damaged)")
            }
        }
        if !verification.damaged.isEmpty { throw ExitCode(1) }
    }
}

/// Reads a document again from what is stored of its text.
struct Rebuild: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a document again from its stored text, with the options it was put with.",
        discussion: """
            The mend for a document that is damaged, or that another model has read.

              cakectl rebuild manual
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    func run() async throws {
        let (name, showsProgress) = (name, !isQuiet)
        let document = try await client().rebuild(name) { progress in
            if showsProgress { ProgressLine.shared.show(progress, of: name) }
        }
        ProgressLine.shared.clear()
        if printsJSON {
            try Terminal.print(json: document)
        } else if !isQuiet {
            for line in Put.summary(of: document) { Terminal.print(line) }
        }
    }
}
