// The chat formats known by name, as data: for files without a template of their own.

import Jinja

/// How one model family writes a chat.
///
/// The strings are facts about the models' own templates (as published with them; see also llama.cpp,
/// `src/llama-chat.cpp`).
struct ChatTemplateForm: Sendable, Equatable {
    /// What stands before and after a message.
    struct Turn: Sendable, Equatable {
        var open: String
        var close: String
    }

    /// Name in the configuration.
    var name: String
    var system: Turn
    /// The family has no turn for the system: its text stands at the head of the user's message.
    var putsSystemInUserTurn = false
    var user: Turn
    /// Opening of the user's later turns, where it differs: a format that begins each exchange with begin-of-text.
    var laterUserOpen: String?
    var assistant: Turn
    /// What asks for an answer; for most formats the opening of the assistant's turn.
    var generationPrompt: String
    /// The family's template strips the whitespace around each message.
    var trims = false
}

extension ChatTemplateForm {
    static let all = [
        chatml, llama2, llama3, mistral, mistralV1, mistralV3, mistralV3Tekken, mistralV7, zephyr, zephyrEndOfText,
        gemma, phi3,
    ]

    static let chatml = tagged("chatml", { "<|im_start|>\($0)\n" }, close: "<|im_end|>\n")
    static let llama3 = tagged(
        "llama3", { "<|start_header_id|>\($0)<|end_header_id|>\n\n" }, close: "<|eot_id|>", trims: true)
    static let phi3 = tagged("phi3", { "<|\($0)|>\n" }, close: "<|end|>\n")
    /// Zephyr 7B and TinyLlama close a turn with `</s>`, StableLM Zephyr with `<|endoftext|>`.
    static let zephyr = tagged("zephyr", { "<|\($0)|>\n" }, close: "</s>\n")
    static let zephyrEndOfText = tagged("zephyr-endoftext", { "<|\($0)|>\n" }, close: "<|endoftext|>\n")

    static let gemma: ChatTemplateForm = {
        var form = tagged(
            "gemma", { "<start_of_turn>\($0 == "assistant" ? "model" : $0)\n" }, close: "<end_of_turn>\n", trims: true)
        form.system = Turn(open: "", close: "\n\n")
        form.putsSystemInUserTurn = true
        return form
    }()

    static let llama2 = ChatTemplateForm(
        name: "llama2", system: Turn(open: "<<SYS>>\n", close: "\n<</SYS>>\n\n"), putsSystemInUserTurn: true,
        user: Turn(open: "[INST] ", close: " [/INST]"), laterUserOpen: "<s>[INST] ",
        assistant: Turn(open: " ", close: " </s>"), generationPrompt: "", trims: true)

    /// Mistral 7B Instruct v0.1 and v0.2 as their first templates had it.
    static let mistral = instruction(
        "mistral", user: Turn(open: "[INST] ", close: " [/INST]"), assistant: Turn(open: "", close: "</s>"))
    static let mistralV1 = instruction(
        "mistral-v1", user: Turn(open: " [INST] ", close: " [/INST]"), assistant: Turn(open: " ", close: "</s>"))
    static let mistralV3 = instruction(
        "mistral-v3", user: Turn(open: "[INST] ", close: "[/INST]"), assistant: Turn(open: " ", close: "</s>"))
    static let mistralV3Tekken = instruction(
        "mistral-v3-tekken", user: Turn(open: "[INST]", close: "[/INST]"), assistant: Turn(open: "", close: "</s>"))
    static let mistralV7: ChatTemplateForm = {
        var form = mistralV3
        form.name = "mistral-v7"
        form.system = Turn(open: "[SYSTEM_PROMPT] ", close: "[/SYSTEM_PROMPT]")
        form.putsSystemInUserTurn = false
        return form
    }()

    /// Formats in which every role has a turn of the same shape.
    private static func tagged(
        _ name: String, _ open: (String) -> String, close: String, trims: Bool = false
    ) -> ChatTemplateForm {
        ChatTemplateForm(
            name: name, system: Turn(open: open("system"), close: close), user: Turn(open: open("user"), close: close),
            assistant: Turn(open: open("assistant"), close: close), generationPrompt: open("assistant"), trims: trims)
    }

    /// Mistral's formats, in which the user's turn asks for the answer.
    private static func instruction(_ name: String, user: Turn, assistant: Turn) -> ChatTemplateForm {
        ChatTemplateForm(
            name: name, system: Turn(open: "", close: "\n\n"), putsSystemInUserTurn: true, user: user,
            assistant: assistant, generationPrompt: "")
    }
}

extension ChatTemplateForm {
    /// User and assistant alternate, the user first and last; one system message may stand before each of the user's.
    func check(_ messages: [ChatMessage]) throws(TokenizerError) {
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

    /// Writes the turns, and what asks for the answer.
    func text(_ turns: [(ChatMessage.Role, Text)]) -> Text {
        var text = Text("")
        var hasAnswer = false
        var isTurnOpen = false
        for (role, content) in turns {
            let turn =
                switch role {
                case .system: system
                case .user: user
                case .assistant: assistant
                }
            var open = turn.open
            if role == .user || (role == .system && putsSystemInUserTurn), !isTurnOpen {
                let userOpen = hasAnswer ? laterUserOpen ?? user.open : user.open
                open = role == .user ? userOpen : userOpen + open
            } else if role == .user {
                open = ""
            }
            isTurnOpen = role == .system && putsSystemInUserTurn
            if role == .assistant { hasAnswer = true }
            text = text + Text(open) + (trims ? content.stripped() : content) + Text(turn.close)
        }
        return text + Text(generationPrompt)
    }
}
