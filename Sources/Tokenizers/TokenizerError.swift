// What can be wrong with a vocabulary, a chat template or the messages given to it.

import Jinja

/// An error of this module; its description names the cause and the mend.
public enum TokenizerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The vocabulary has no tokens.
    case emptyVocabulary
    /// The vocabulary has more tokens than `maximum`.
    case tooManyTokens(count: Int, maximum: Int)
    /// A token is longer than `maximum` bytes.
    case tokenTooLong(id: Int32, bytes: Int, maximum: Int)
    /// An array that should have one element for each token has another length.
    case countMismatch(field: String, count: Int, tokens: Int)
    /// A special token's id lies outside the vocabulary.
    case idOutOfRange(field: String, id: Int32, tokens: Int)
    /// The vocabulary asks for a begin-of-text token but does not say which.
    case missingBeginOfText
    /// No token spells this byte, and there is no unknown token to stand in for it.
    case missingByte(UInt8)
    /// A token of kind `byte` is not spelt `<0xHH>`.
    case malformedByteToken(id: Int32, text: String)
    /// A merge is not two parts with one space between them.
    case malformedMerge(index: Int, text: String)
    /// A merge names a part, or makes a result, that is no token.
    case mergeOfUnknownToken(index: Int, text: String)
    /// No template has this name.
    case unknownTemplate(name: String)
    /// The model's file has no chat template.
    case missingTemplate
    /// The model's chat template cannot be run.
    case unusableTemplate(JinjaError)
    /// The model's chat template refuses the messages, in its own words.
    case refusedByTemplate(String)
    /// A conversation about a document has no question to stand behind it.
    case documentWithoutQuestion
    /// The template has the messages change what stands before the first of them, or writes none of it.
    case changedPrefix
    /// A chat has no messages.
    case emptyMessages
    /// A message's role may not stand where it does; `index` counts from 0.
    case unexpectedRole(ChatMessage.Role, index: Int)
    /// The last message is not the user's.
    case lastMessageNotUser

    /// The cause and the mend, in a sentence or two.
    public var description: String {
        switch self {
        case .emptyVocabulary: "the vocabulary has no tokens; the model file lacks its tokenizer"
        case .tooManyTokens(let count, let maximum):
            "the vocabulary has \(count) tokens; at most \(maximum) are supported"
        case .tokenTooLong(let id, let bytes, let maximum):
            "token \(id) is \(bytes) bytes long; at most \(maximum) are supported, so the model file is probably "
                + "damaged"
        case .countMismatch(let field, let count, let tokens):
            "the vocabulary has \(tokens) tokens but \(count) \(field); convert the model again"
        case .idOutOfRange(let field, let id, let tokens):
            "the \(field) token has id \(id), outside the vocabulary of \(tokens) tokens; convert the model again"
        case .missingBeginOfText:
            "the vocabulary wants a begin-of-text token added but names none; convert the model again"
        case .missingByte(let byte):
            "no token spells the byte 0x\(hexadecimal(byte)) and there is no unknown token; convert the model again"
        case .malformedByteToken(let id, let text): "byte token \(id) is spelt \"\(text)\" instead of <0xHH>"
        case .malformedMerge(let index, let text):
            "merge \(index) is \"\(text)\", not two parts with a space between them"
        case .mergeOfUnknownToken(let index, let text):
            "merge \(index) (\"\(text)\") names or makes a token the vocabulary lacks; convert the model again"
        case .unknownTemplate(let name):
            "there is no chat template \"\(name)\"; the known ones are \(ChatTemplate.names.joined(separator: ", "))"
        case .missingTemplate:
            "the model's file has no chat template; name the one to use with the key `template` of the configuration: "
                + ChatTemplate.names.joined(separator: ", ")
        case .unusableTemplate(let error):
            "the model's chat template cannot be run (\(error)); name one to use instead with the key `template` of "
                + "the "
                + "configuration: " + ChatTemplate.names.joined(separator: ", ")
        case .refusedByTemplate(let words): "the model's chat template refuses these messages: \(words)"
        case .documentWithoutQuestion:
            "a conversation about a document begins with a message of the user, or with a system message before it"
        case .changedPrefix:
            "the model's chat template changes what stands before the first question with what comes later, so these "
                + "messages, with what is given in `chat_template_kwargs`, cannot follow a document that was read "
                + "before"
        case .emptyMessages: "there are no messages; send at least one message of the user"
        case .unexpectedRole(let role, let index):
            "message \(index) may not be of role \(role.rawValue): user and assistant alternate, the user begins, "
                + "and a system message stands before a message of the user"
        case .lastMessageNotUser: "the last message must be the user's, since the assistant answers it"
        }
    }
}

private func hexadecimal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return digits.count == 1 ? "0" + digits : digits
}
