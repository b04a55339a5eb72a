// What a line of a chat asks of cakectl rather than of the model.

/// A line of a conversation.
enum ChatLine: Equatable {
    /// A question.
    case question(String)
    /// Say what there is.
    case help
    /// Forget what was said.
    case reset
    /// Go on with another document, and forget what was said about this one.
    case document(String)
    /// Leave.
    case exit
    /// A word after a slash that means nothing here.
    case unknown(String)

    /// Reads a line; a path or anything else of more words than a command's is a question.
    init(_ line: String) {
        let words = line.split(whereSeparator: \.isWhitespace).map(String.init)
        switch (words.first ?? "", words.count) {
        case ("/help", 1), ("/?", 1): self = .help
        case ("/reset", 1): self = .reset
        case ("/exit", 1), ("/quit", 1): self = .exit
        case ("/doc", 2): self = .document(words[1])
        case (let word, 1) where word.hasPrefix("/") && word.dropFirst().allSatisfy(\.isLetter): self = .unknown(word)
        default: self = .question(line)
        }
    }

    static let commands = """
        /doc NAME  go on with another document
        /reset     forget what was said
        /exit      leave (or Ctrl-D)
        Ctrl-C ends an answer, and between answers the chat.
        """
}
