// Renders a chat as the prompt its model was trained on.

/// The prompt format of a model family.
///
/// A document stands in the first turn of the user, before the first question and a blank line away from it, so that the part up to
/// the question never changes: `documentPrefix` followed by `continuation` is `render` of the same chat with the document put before
/// its first question.
public struct ChatTemplate: Sendable, Equatable {
    private let form: ChatTemplateForm

    /// Names that `named` takes.
    public static var names: [String] { ChatTemplateForm.all.map(\.name) }

    /// Name of the format.
    public var name: String { form.name }

    /// The format of a model file's jinja template (`tokenizer.chat_template`), recognised by the strings in it.
    public static func recognised(inJinja source: String) throws(TokenizerError) -> ChatTemplate {
        guard let form = ChatTemplateForm.recognised(inJinja: source) else {
            throw .unrecognisedTemplate(beginning: String(source.prefix(80)))
        }
        return ChatTemplate(form: form)
    }

    /// The format of this name.
    public static func named(_ name: String) throws(TokenizerError) -> ChatTemplate {
        guard let form = ChatTemplateForm.all.first(where: { $0.name == name }) else {
            throw .unknownTemplate(name: name)
        }
        return ChatTemplate(form: form)
    }

    /// Everything before the first question: the opening of the user's turn, the document, and a blank line.
    public func documentPrefix(_ document: String) -> [PromptSegment] {
        [.template(form.user.open), .text(trimmed(document, end: false) + "\n\n")]
    }

    /// What follows `documentPrefix`: the first question and the end of its turn, further turns, and what asks for the
    /// answer.
    ///
    /// A system message before the first question stands there too, a blank line before the question.
    public func continuation(_ messages: [ChatMessage]) throws(TokenizerError) -> [PromptSegment] {
        try check(messages)
        let firstUser = messages.firstIndex { $0.role == .user } ?? messages.endIndex
        let opening = messages[...firstUser].map(\.content).joined(separator: "\n\n")
        let head: [PromptSegment] = [.text(trimmed(opening, start: false)), .template(form.user.close)]
        return head + turns(messages[(firstUser + 1)...], isFirst: false)
    }

    /// The prompt of a chat without a document.
    public func render(_ messages: [ChatMessage]) throws(TokenizerError) -> [PromptSegment] {
        try check(messages)
        return turns(messages[...], isFirst: true)
    }

    /// Renders whole turns, and what asks for the answer.
    private func turns(_ messages: ArraySlice<ChatMessage>, isFirst: Bool) -> [PromptSegment] {
        var segments: [PromptSegment] = []
        var opensLater = !isFirst
        var isTurnOpen = false
        for message in messages {
            let turn =
                switch message.role {
                case .system: form.system
                case .user: form.user
                case .assistant: form.assistant
                }
            var open = turn.open
            if message.role == .user || (message.role == .system && form.putsSystemInUserTurn), !isTurnOpen {
                let userOpen = opensLater ? form.laterUserOpen ?? form.user.open : form.user.open
                open = message.role == .user ? userOpen : userOpen + open
            } else if message.role == .user {
                open = ""
            }
            isTurnOpen = message.role == .system && form.putsSystemInUserTurn
            if message.role == .assistant { opensLater = true }
            segments += [.template(open), .text(trimmed(message.content)), .template(turn.close)]
        }
        return segments + [.template(form.generationPrompt)]
    }

    /// User and assistant alternate, the user first and last; one system message may stand before each of the user's.
    private func check(_ messages: [ChatMessage]) throws(TokenizerError) {
        if messages.isEmpty { throw .emptyMessages }
        var previous = ChatMessage.Role.assistant
        for (index, message) in messages.enumerated() {
            let isAllowed =
                switch message.role {
                case .system: previous == .assistant
                case .user: previous != .user
                case .assistant: previous == .user
                }
            guard isAllowed else { throw .unexpectedRole(message.role, index: index) }
            previous = message.role
        }
        guard previous == .user else { throw .lastMessageNotUser }
    }

    private func trimmed(_ text: String, start: Bool = true, end: Bool = true) -> String {
        guard form.trims else { return text }
        var scalars = text.unicodeScalars[...]
        if start { scalars = scalars.drop { $0.properties.isWhitespace } }
        while end, let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
        return String(scalars)
    }
}
