// cakectl chat: a conversation about a document.
import API
import ArgumentParser
import CakedClient

/// Asks question after question and keeps what was said.
struct Chat: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hold a conversation about a document: one question per line.",
        discussion: """
            End with Ctrl-D or /exit; Ctrl-C ends an answer. /reset forgets what was said, /doc NAME goes on with \
            another document, /help says so. Questions may also come from a pipe, one per line; blank lines are \
            skipped.

              cakectl chat manual
              cakectl --json chat manual < questions.txt
            """)

    @ParentCommand var root: Cakectl
    @OptionGroup var global: GlobalOptions
    @OptionGroup var answering: AnswerOptions

    @Argument(help: "The document.", completion: .documentNames)
    var name: String

    func run() async throws {
        let client = try client()
        let isConversation = Terminal.inputIsTerminal && Terminal.errorIsTerminal
        var document = name
        if isConversation { try await greet(document, client) }
        var messages: [ChatMessage] = []
        while let line = nextLine(prompting: isConversation) {
            switch ChatLine(line) {
            case .exit: return
            case .help: Terminal.note(ChatLine.commands)
            case .reset: messages = []
            case .document(let other):
                do {
                    try await greet(other, client)
                    (document, messages) = (other, [])
                } catch {
                    guard isConversation else { throw error }
                    Terminal.fail(error.description)
                }
            case .unknown(let word): Terminal.fail("\(word) is no command here; /help lists them")
            case .question(let question):
                messages.append(ChatMessage(.user, question))
                do {
                    let answer = try await answer(document, messages, client)
                    messages.append(ChatMessage(.assistant, answer.text))
                } catch {
                    guard isConversation, Self.leavesConversation(error) else { throw error }
                    messages.removeLast()
                    if error == .cancelled { Terminal.control("\n") } else { Terminal.fail(error.description) }
                }
            }
        }
    }

    private func answer(
        _ document: String, _ messages: [ChatMessage], _ client: DaemonClient
    ) async throws(ClientError) -> Answer {
        let printer = AnswerPrinter(
            document: document, printsJSON: printsJSON, streams: !printsJSON, isQuiet: isQuiet,
            isVerbose: answering.verbose, hidesThoughts: answering.hideThoughts || isQuiet)
        let request = answering.request(document: document, messages: messages)
        return try await Interrupt.cancelling { () async throws(ClientError) in
            try await printer.answer(request, from: client)
        }
    }

    /// Says which document it is: a wrong name is better said now than after the first question.
    private func greet(_ name: String, _ client: DaemonClient) async throws(ClientError) {
        let document = try await client.document(name)
        if !isQuiet { Terminal.note("\(name), \(counted(document.tokens, "token")). /help, or Ctrl-D to end.") }
    }

    /// Whether another question may fare better.
    private static func leavesConversation(_ error: ClientError) -> Bool {
        if case .api(_, let code, _, _, _) = error { return code != "document_not_found" }
        return error == .cancelled
    }

    /// The next line with something on it, nil at the end of the input.
    private func nextLine(prompting: Bool) -> String? {
        while true {
            if prompting { Terminal.control("> ") }
            guard let line = readLine() else {
                if prompting { Terminal.control("\n") }
                return nil
            }
            if line.contains(where: { !$0.isWhitespace }) { return line }
        }
    }
}
