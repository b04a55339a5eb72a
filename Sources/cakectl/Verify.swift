// cakectl verify and rebuild: whether documents are what was written, and the mend where one is not.
import API
import ArgumentParser
import CakedClient

/// Compares what is stored with its checksums.
struct Verify: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check that documents are stored as they were written; all of yours if none is named.",
        discussion: """
            Reads every byte and compares checksums. A damaged document is set aside, and "rebuild" reads it again \
            from its \
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

/// Reads documents again from what is stored of their text.
struct Rebuild: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Read a document again from its stored text, with the options it was put with.",
        discussion: """
            The mend for a document that is damaged, or that another model or another version of caked has read. With \
            --all: \
            for all of yours that are, one after the other; one that cannot be read again does not stop the others.

              cakectl rebuild manual
              cakectl rebuild --all
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String?
    @Flag(help: "Every document of yours that is damaged or outdated.")
    var all = false

    func validate() throws {
        guard all == (name == nil) else { throw ValidationError("name a document, or say --all") }
    }

    func run() async throws {
        if let name { return try await rebuild(name) }
        let mended = try await client().documents(everything: true).filter { Self.needsMending($0) }.map(\.id).sorted()
        if mended.isEmpty, !isQuiet { Terminal.note("every document can answer") }
        var failures = 0
        for name in mended {
            do { try await rebuild(name) } catch let error as ClientError {
                failures += 1
                Terminal.note("\(name): \(error)")
            }
        }
        if failures > 0 { throw ExitCode(1) }
    }

    private static func needsMending(_ document: Document) -> Bool {
        document.state == .damaged || document.state == .outdated
    }

    private func rebuild(_ name: String) async throws {
        let showsProgress = !isQuiet
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
