// The chat formats known here, as data.

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

    /// The format of a model's jinja template, told by the strings in it in the order in which llama.cpp looks for them.
    static func recognised(inJinja source: String) -> ChatTemplateForm? {
        let text = Array(source.utf8)
        func has(_ part: String) -> Bool { position(of: Array(part.utf8), in: text[...]) != nil }
        if has("<|im_start|>") {
            // Phi-4 and SmolVLM use the same token in formats of their own.
            return has("<|im_sep|>") || has("<end_of_utterance>") ? nil : chatml
        }
        if has("[INST]") {
            if has("[SYSTEM_PROMPT]") { return mistralV7 }
            if has("' [INST] ' + system_message") || has("[AVAILABLE_TOOLS]") {
                if has(" [INST]") { return mistralV1 }
                return has("\"[INST]\"") ? mistralV3Tekken : mistralV3
            }
            return has("<<SYS>>") ? llama2 : mistral
        }
        if has("<|assistant|>"), has("<|end|>") { return phi3 }
        if has("<|user|>"), has("<|endoftext|>") { return zephyrEndOfText }
        if closesUserTurnWithEndOfText(text) { return zephyr }
        if has("<start_of_turn>") { return gemma }
        if has("<|start_header_id|>"), has("<|end_header_id|>") { return llama3 }
        return nil
    }

    /// Zephyr's mark: the expression that writes the user's turn ends it with `eos_token`.
    ///
    /// (Falcon 3 and GLM Edge have the same tags and do not.)
    private static func closesUserTurnWithEndOfText(_ text: [UInt8]) -> Bool {
        guard let tag = position(of: Array("<|user|>".utf8), in: text[...]) else { return false }
        let rest = text[tag...]
        let expression = rest[..<(position(of: Array("}}".utf8), in: rest) ?? rest.endIndex)]
        return position(of: Array("eos_token".utf8), in: expression) != nil
            || position(of: Array("</s>".utf8), in: expression) != nil
    }

    private static func position(of part: [UInt8], in text: ArraySlice<UInt8>) -> Int? {
        text.indices.first { text[$0] == part[0] && text[$0...].starts(with: part) }
    }
}
