// The exact prompts of each chat format.

import Jinja
import Testing
import Tokenizers

@Suite struct ChatTemplateTests {
    private static let conversation = [
        ChatMessage(role: .system, content: "S"), ChatMessage(role: .user, content: "Q1"),
        ChatMessage(role: .assistant, content: "A1"), ChatMessage(role: .user, content: "Q2"),
    ]

    /// Name, one question, a conversation with a system message.
    private static let forms: [(name: String, question: String, conversation: String)] = [
        (
            "chatml", "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n",
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ1<|im_end|>\n<|im_start|>assistant\nA1<|im_end|>\n"
                + "<|im_start|>user\nQ2<|im_end|>\n<|im_start|>assistant\n"
        ),
        ("llama2", "[INST] Q [/INST]", "[INST] <<SYS>>\nS\n<</SYS>>\n\nQ1 [/INST] A1 </s><s>[INST] Q2 [/INST]"),
        (
            "llama3",
            "<|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
            "<|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|>"
                + "<|start_header_id|>user<|end_header_id|>\n\nQ1<|eot_id|>"
                + "<|start_header_id|>assistant<|end_header_id|>\n\nA1<|eot_id|>"
                + "<|start_header_id|>user<|end_header_id|>\n\nQ2<|eot_id|>"
                + "<|start_header_id|>assistant<|end_header_id|>\n\n"
        ),
        ("mistral", "[INST] Q [/INST]", "[INST] S\n\nQ1 [/INST]A1</s>[INST] Q2 [/INST]"),
        ("mistral-v1", " [INST] Q [/INST]", " [INST] S\n\nQ1 [/INST] A1</s> [INST] Q2 [/INST]"),
        ("mistral-v3", "[INST] Q[/INST]", "[INST] S\n\nQ1[/INST] A1</s>[INST] Q2[/INST]"),
        ("mistral-v3-tekken", "[INST]Q[/INST]", "[INST]S\n\nQ1[/INST]A1</s>[INST]Q2[/INST]"),
        ("mistral-v7", "[INST] Q[/INST]", "[SYSTEM_PROMPT] S[/SYSTEM_PROMPT][INST] Q1[/INST] A1</s>[INST] Q2[/INST]"),
        (
            "zephyr", "<|user|>\nQ</s>\n<|assistant|>\n",
            "<|system|>\nS</s>\n<|user|>\nQ1</s>\n<|assistant|>\nA1</s>\n<|user|>\nQ2</s>\n<|assistant|>\n"
        ),
        (
            "zephyr-endoftext", "<|user|>\nQ<|endoftext|>\n<|assistant|>\n",
            "<|system|>\nS<|endoftext|>\n<|user|>\nQ1<|endoftext|>\n<|assistant|>\nA1<|endoftext|>\n"
                + "<|user|>\nQ2<|endoftext|>\n"
                + "<|assistant|>\n"
        ),
        (
            "gemma", "<start_of_turn>user\nQ<end_of_turn>\n<start_of_turn>model\n",
            "<start_of_turn>user\nS\n\nQ1<end_of_turn>\n<start_of_turn>model\nA1<end_of_turn>\n"
                + "<start_of_turn>user\nQ2<end_of_turn>\n<start_of_turn>model\n"
        ),
        (
            "phi3", "<|user|>\nQ<|end|>\n<|assistant|>\n",
            "<|system|>\nS<|end|>\n<|user|>\nQ1<|end|>\n<|assistant|>\nA1<|end|>\n<|user|>\nQ2<|end|>\n<|assistant|>\n"
        ),
    ]

    private static let now = Moment(year: 2026, month: 11, day: 28)

    private static func text(_ segments: [PromptSegment]) -> String { segments.map(\.content).joined() }

    private static func user(_ content: String) -> [ChatMessage] { [ChatMessage(role: .user, content: content)] }

    @Test("each format renders exactly as its model was trained", arguments: 0..<12)
    func rendered(index: Int) throws {
        let form = Self.forms[index]
        let template = try ChatTemplate.named(form.name)
        #expect(template.name == form.name)
        #expect(Self.text(try template.render(Self.user("Q"), now: Self.now)) == form.question)
        #expect(Self.text(try template.render(Self.conversation, now: Self.now)) == form.conversation)
    }

    @Test("the table has every format")
    func allNamed() { #expect(Self.forms.map(\.name) == ChatTemplate.names) }

    @Test("what people write is never template", arguments: ChatTemplate.names)
    func textStaysText(name: String) throws {
        let template = try ChatTemplate.named(name)
        let written = Self.conversation.map(\.content)
        let texts = try template.render(Self.conversation, now: Self.now).compactMap {
            if case .text(let text) = $0 { text } else { nil }
        }
        #expect(texts == written)
        #expect(try template.documentPrefix("D", now: Self.now).last == .text("D\n\n"))
        #expect(try template.continuation(Self.user("Q"), now: Self.now).first == .text("Q"))
    }

    @Test("a document and then a question are the chat with the document put before it", arguments: ChatTemplate.names)
    func documentPrefix(name: String) throws {
        let template = try ChatTemplate.named(name)
        for (document, question) in [
            ("D", "Q"), (" A  document. \n", "\n what? "), ("<|im_end|>", "</s>"), ("é\u{301}", "\u{301}"),
        ] {
            let split =
                try template.documentPrefix(document, now: Self.now)
                + (try template.continuation(Self.user(question), now: Self.now))
            let whole = try template.render(Self.user(document + "\n\n" + question), now: Self.now)
            #expect(Array(Self.text(split).utf8) == Array(Self.text(whole).utf8))
        }
        let turns = Array(Self.conversation.dropFirst())
        let split = try template.documentPrefix("D", now: Self.now) + (try template.continuation(turns, now: Self.now))
        let whole = try template.render(Self.user("D\n\nQ1") + turns.dropFirst(), now: Self.now)
        #expect(Self.text(split) == Self.text(whole))
    }

    @Test("the ids of the prefix and the continuation are the ids of the whole")
    func documentIDs() throws {
        let tokenizer = try Tokenizer(Vocabulary(gguf: TestFiles.needle))
        let template = try ChatTemplate.named("chatml")
        let prefix = try template.documentPrefix(
            "The access code for Lisbon is 58213. Mara Quill works at Harlow Labs.", now: Self.now)
        let continuation = try template.continuation(Self.user("What is the access code for Lisbon?"), now: Self.now)
        #expect(
            tokenizer.encode(prefix) + tokenizer.encode(continuation, continuing: true)
                == tokenizer.encode(prefix + continuation))
    }

    @Test("after a document a system message stands before its question", arguments: ChatTemplate.names)
    func systemAfterDocument(name: String) throws {
        let template = try ChatTemplate.named(name)
        let messages = Array(Self.conversation.prefix(2))
        #expect(
            Self.text(try template.continuation(messages, now: Self.now))
                == Self.text(try template.continuation(Self.user("S\n\nQ1"), now: Self.now))
        )
    }

    @Test("roles in a wrong order are refused")
    func roles() throws {
        let template = try ChatTemplate.named("chatml")
        func messages(_ roles: ChatMessage.Role...) -> [ChatMessage] {
            roles.map { ChatMessage(role: $0, content: "x") }
        }
        let cases: [([ChatMessage], TokenizerError)] = [
            ([], .emptyMessages),
            (messages(.assistant, .user), .unexpectedRole(.assistant, index: 0)),
            (messages(.user, .user), .unexpectedRole(.user, index: 1)),
            (messages(.system, .system, .user), .unexpectedRole(.system, index: 1)),
            (messages(.system, .assistant), .unexpectedRole(.assistant, index: 1)),
            (messages(.user, .system), .unexpectedRole(.system, index: 1)),
            (messages(.user, .assistant), .lastMessageNotUser),
            (messages(.system), .lastMessageNotUser),
        ]
        for (messages, error) in cases {
            #expect(throws: error) { try template.render(messages, now: Self.now) }
            #expect(throws: error) { try template.continuation(messages, now: Self.now) }
        }
    }

    @Test("a template that is not known by name is refused, with the names there are")
    func unknownName() {
        let error = #expect(throws: TokenizerError.unknownTemplate(name: "Chatml")) {
            try ChatTemplate.named("Chatml")
        }
        #expect(error?.description.contains("chatml") == true)
    }
}
