// cakectl chat: a conversation about a document.
import API
import ArgumentParser
import CakedClient

/// Asks question after question and keeps what was said.
struct Chat: DaemonCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hold a conversation about a document: one question per line.",
        discussion: """
            End with Ctrl-D. Questions may also come from a pipe, one per line; blank lines are skipped.

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
        let printer = AnswerPrinter(
            document: name, printsJSON: printsJSON, streams: !printsJSON, isQuiet: isQuiet,
            isVerbose: answering.verbose,
            hidesThoughts: answering.hideThoughts || isQuiet)
        let isConversation = Terminal.inputIsTerminal && Terminal.errorIsTerminal
        if isConversation {
            // A wrong name is better said now than after the first question.
            let document = try await client.document(name)
            if !isQuiet { Terminal.note("\(name), \(counted(document.tokens, "token")). Ctrl-D ends.") }
        }

        var messages: [ChatMessage] = []
        while let question = nextQuestion(prompting: isConversation) {
            messages.append(ChatMessage(.user, question))
            do {
                let answer = try await printer.answer(
                    answering.request(document: name, messages: messages), from: client)
                messages.append(ChatMessage(.assistant, answer.text))
            } catch {
                guard isConversation, Self.leavesConversation(error) else { throw error }
                messages.removeLast()
                Terminal.fail(error.description)
            }
        }
    }

    /// Whether another question may fare better.
    private static func leavesConversation(_ error: ClientError) -> Bool {
        if case .api(_, let code, _, _, _) = error { return code != "document_not_found" }
        return false
    }

    /// The next line with something on it, nil at the end of the input.
    private func nextQuestion(prompting: Bool) -> String? {
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
