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
            skipped. When the conversation nears the model's context, its older half is left out.

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
        var conversation = Conversation()
        while let line = nextLine(prompting: isConversation) {
            switch ChatLine(line) {
            case .exit: return
            case .help: Terminal.note(ChatLine.commands)
            case .reset: conversation = Conversation()
            case .document(let other):
                do {
                    try await greet(other, client)
                    (document, conversation) = (other, Conversation())
                } catch {
                    guard isConversation else { throw error }
                    Terminal.fail(error.description)
                }
            case .unknown(let word): Terminal.fail("\(word) is no command here; /help lists them")
            case .question(let question):
                await measure(&conversation, about: document, client)
                if conversation.isNearlyFull { leaveOutOldest(of: &conversation) }
                conversation.ask(question)
                do {
                    try await answer(document, &conversation, client)
                } catch {
                    guard isConversation, Self.leavesConversation(error) else { throw error }
                    conversation.takeBack()
                    if error == .cancelled { Terminal.control("\n") } else { Terminal.fail(error.description) }
                }
            }
        }
    }

    /// Answers the last question, without the oldest turns where all of them are too much.
    private func answer(
        _ document: String, _ conversation: inout Conversation, _ client: DaemonClient
    ) async throws(ClientError) {
        while true {
            do throws(ClientError) {
                let answer = try await answer(document, conversation.messages, client)
                return conversation.take(answer.text, usedTokens: answer.usage?.totalTokens)
            } catch {
                guard case .api(_, "context_length_exceeded", _, _, _) = error, leaveOutOldest(of: &conversation)
                else { throw error }
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

    /// Finds out how much there is room for, once there is something to leave out; what is not said is left to the
    /// daemon.
    private func measure(_ conversation: inout Conversation, about document: String, _ client: DaemonClient) async {
        guard !conversation.messages.isEmpty, conversation.contextLength == nil else { return }
        conversation.contextLength = (try? await client.status().contextLength) ?? .max
        conversation.documentTokens = (try? await client.document(document).tokens) ?? 0
    }

    /// Says how much is left out; false where there is nothing left.
    @discardableResult
    private func leaveOutOldest(of conversation: inout Conversation) -> Bool {
        let turns = conversation.leaveOutOldest()
        guard turns > 0 else { return false }
        if !isQuiet {
            let oldest = turns == 1 ? "oldest question is" : "\(turns) oldest questions are"
            Terminal.note("The conversation nears the model's context: its \(oldest) left out from here on.")
        }
        return true
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
