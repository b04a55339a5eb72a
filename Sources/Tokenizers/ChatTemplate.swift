// Renders a chat as the prompt its model was trained on.

import Jinja

/// The prompt format of a model: the jinja template in its file, or a form that is known by name.
///
/// A document stands in the first turn of the user, before the first question and a blank line away from it, so that
/// the part up to the question never changes: `documentPrefix` followed by `continuation` is `render` of the same
/// chat with the document put before its first question.
///
/// Only the template's own words may become control tokens. So every letter of a document and of a message is marked
/// before the template sees it, and keeps its mark whatever the template does with it.
public struct ChatTemplate: Sendable {
    private enum Format: Sendable {
        case jinja(Template, beginOfText: String, endOfText: String)
        case form(ChatTemplateForm)
    }

    /// Who wrote a letter.
    private enum Author {
        static let message: Text.Mark = 1
        static let document: Text.Mark = 2
        static let argument: Text.Mark = 3
    }

    /// What stands between a document and the first question.
    private static let separator = "\n\n"

    /// What stands for any document and any question where they make no difference.
    private static let anyText = "text"

    /// What templates are given where nobody says anything: those that can reason do not.
    private static let standardArguments = [Datum.Entry("enable_thinking", .bool(false))]

    /// Names that `named` takes.
    public static var names: [String] { ChatTemplateForm.all.map(\.name) }

    /// Name of the format; that of a file's own template is `jinja`.
    public let name: String
    /// The jinja of the model's file; empty for a format known by name.
    public let source: String
    private let format: Format
    /// What it is given beside the chat unless a request says otherwise.
    private var arguments = Self.standardArguments

    /// The template in a model's file (`tokenizer.chat_template`), with the texts of its special tokens.
    public init(jinja source: String, beginOfText: String, endOfText: String) throws(TokenizerError) {
        do throws(JinjaError) {
            format = .jinja(try Template(source), beginOfText: beginOfText, endOfText: endOfText)
        } catch {
            throw .unusableTemplate(error)
        }
        (name, self.source) = ("jinja", source)
    }

    /// The format of this name.
    public static func named(_ name: String) throws(TokenizerError) -> ChatTemplate {
        guard let form = ChatTemplateForm.all.first(where: { $0.name == name }) else {
            throw .unknownTemplate(name: name)
        }
        return ChatTemplate(form: form)
    }

    private init(form: ChatTemplateForm) { (format, name, source) = (.form(form), form.name, "") }

    /// The same, given these beside the chat unless a request says otherwise.
    public func with(_ arguments: [Datum.Entry]) -> ChatTemplate {
        var template = self
        template.arguments += Self.marked(arguments)
        return template
    }

    // MARK: Rendering

    /// Everything before the first question: what opens the chat and the user's turn, the document, and a blank line.
    public func documentPrefix(_ document: String, now: Moment) throws(TokenizerError) -> [PromptSegment] {
        let parts = try partsAbout(document, then: [Self.question], arguments: [], now: now)
        return Self.segments(parts.head)
    }

    /// What follows `documentPrefix`: the first question and the end of its turn, further turns, and what asks for
    /// the answer.
    ///
    /// `arguments` are what a request gives the template beside the messages. A system message before the first
    /// question stands there too, a blank line before the question. Throws where the template has what comes later
    /// change what stands before the first question, since that has been read.
    public func continuation(
        _ messages: [ChatMessage], arguments: [Datum.Entry] = [], now: Moment
    ) throws(TokenizerError) -> [PromptSegment] {
        try check(messages)
        let firstUser = messages.firstIndex { $0.role == .user }
        guard let firstUser, messages[..<firstUser].allSatisfy({ $0.role == .system }) else {
            throw .documentWithoutQuestion
        }
        let opening = messages[...firstUser].map(\.content).joined(separator: Self.separator)
        let chat = [ChatMessage(role: .user, content: opening)] + messages[(firstUser + 1)...]
        let parts = try partsAbout(Self.anyText, then: chat, arguments: arguments, now: now)
        let read = try partsAbout(Self.anyText, then: [Self.question], arguments: [], now: now)
        // Of an empty question a template may strip the blank line, which has been read all the same.
        let (common, rest) = read.head.split(at: parts.head.count)
        guard common == parts.head, rest.string.allSatisfy(\.isNewline) else { throw .changedPrefix }
        return Self.segments(parts.tail)
    }

    /// The prompt of a chat without a document; `arguments` are what a request gives the template beside the
    /// messages.
    public func render(
        _ messages: [ChatMessage], arguments: [Datum.Entry] = [], now: Moment
    ) throws(TokenizerError) -> [PromptSegment] {
        try check(messages)
        let turns = messages.map { ($0.role, Text($0.content, mark: Author.message)) }
        return Self.segments(try text(turns, arguments: arguments, now: now))
    }

    /// A template of a file says itself what it takes.
    private func check(_ messages: [ChatMessage]) throws(TokenizerError) {
        if messages.isEmpty { throw .emptyMessages }
        if case .form(let form) = format { try form.check(messages) }
    }

    private static let question = ChatMessage(role: .user, content: anyText)

    /// A chat with a document before its first message, up to the end of the document and from there.
    private func partsAbout(
        _ document: String, then messages: [ChatMessage], arguments: [Datum.Entry], now: Moment
    ) throws(TokenizerError) -> (head: Text, tail: Text) {
        var turns = messages.map { ($0.role, Text($0.content, mark: Author.message)) }
        turns[0].1 = Text(document + Self.separator, mark: Author.document) + turns[0].1
        let whole = try text(turns, arguments: arguments, now: now)
        // Of a document of nothing but white space a template may leave nothing.
        guard let end = whole.end(of: Author.document) ?? whole.start(of: Author.message) else { throw .changedPrefix }
        let parts = whole.split(at: end)
        guard parts.head.end(of: Author.message) == nil else { throw .changedPrefix }
        return parts
    }

    private func text(
        _ turns: [(ChatMessage.Role, Text)], arguments: [Datum.Entry], now: Moment
    ) throws(TokenizerError) -> Text {
        switch format {
        case .form(let form): return form.text(turns)
        case .jinja(let template, let beginOfText, let endOfText):
            let messages = turns.map { role, content in
                Datum.dict([.init("role", .text(role.rawValue)), .init("content", .text(content))])
            }
            do throws(JinjaError) {
                return try template.render(
                    self.arguments + Self.marked(arguments) + [
                        .init("messages", .list(messages)), .init("add_generation_prompt", .bool(true)),
                        .init("bos_token", .text(beginOfText)), .init("eos_token", .text(endOfText)),
                    ], now: now)
            } catch {
                throw error.kind == .raised ? .refusedByTemplate(error.message) : .unusableTemplate(error)
            }
        }
    }

    /// The words of a request are nobody's special tokens, in its arguments neither.
    private static func marked(_ arguments: [Datum.Entry]) -> [Datum.Entry] {
        arguments.map { Datum.Entry($0.key, $0.value.marked(Author.argument)) }
    }

    private static func segments(_ text: Text) -> [PromptSegment] {
        text.stretches.map { $0.mark == 0 ? .template($0.text) : .text($0.text) }
    }
}
