// What a client asks of the engine, and what it hears back while the work goes on.

import API

/// A document to read once and cache.
public struct PutRequest: Codable, Equatable, Sendable {
    /// The uid whose namespace the name lives in.
    public var owner: UInt32
    /// The document's name, `[A-Za-z0-9._-]{1,128}`.
    public var name: String
    /// The text, UTF-8.
    public var text: [UInt8]
    /// How it is to be read and kept.
    public var options: DocumentOptions
    /// The uid that asks, which may wait in the queue for no more than its share; `owner` where namespaces are not
    /// shared.
    public var user: UInt32

    /// A request with the defaults for everything but the text.
    public init(
        owner: UInt32, name: String, text: [UInt8], options: DocumentOptions = DocumentOptions(), user: UInt32? = nil
    ) {
        (self.owner, self.name, self.text, self.options) = (owner, name, text, options)
        self.user = user ?? owner
    }
}

/// What happens while a document is put, in order; `finished` is the last.
public enum PutEvent: Sendable {
    /// The document waits for others to be read first.
    case queued(ahead: Int)
    /// The document is being read.
    case progress(PutProgress)
    /// The request is durable and will be worked on, also across restarts: all that a detached request hears.
    case accepted(Document)
    /// The document is durable. `created` is false when the same text and options were there already.
    case finished(Document, created: Bool)
}

/// How the next token is drawn.
public struct SamplingRequest: Equatable, Sendable {
    /// 0: greedy.
    public var temperature: Float
    /// Only the k likeliest tokens; 0: all.
    public var topK: Int
    /// The smallest set of tokens whose probability reaches this; 1: all.
    public var topP: Float
    /// Only tokens at least this likely relative to the likeliest; 0: all.
    public var minP: Float
    /// Divides the logits of recent tokens; 1: none.
    public var repetitionPenalty: Float
    /// Taken from the logits of the answer's tokens so far; 0: nothing.
    public var presencePenalty: Float
    /// Taken from them as often as they are there; 0: nothing.
    public var frequencyPenalty: Float
    /// Added to the logits of tokens of the model's vocabulary.
    public var biases: [Int32: Float]
    /// Makes a draw repeatable; nil: a random one.
    public var seed: UInt64?

    /// Greedy, unless told otherwise.
    public init(
        temperature: Float = 0, topK: Int = 0, topP: Float = 1, minP: Float = 0, repetitionPenalty: Float = 1,
        presencePenalty: Float = 0, frequencyPenalty: Float = 0, biases: [Int32: Float] = [:], seed: UInt64? = nil
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.biases = biases
        self.seed = seed
    }
}

/// What to answer.
public enum Prompt: Equatable, Sendable {
    /// A conversation, rendered with the model's chat template; with a document it follows the document.
    case messages([ChatMessage])
    /// Text to be continued as it is; with a document it follows the document.
    case text(String)
}

/// A question, about a document or not.
public struct CompletionRequest: Sendable {
    /// The uid whose documents are meant.
    public var owner: UInt32
    /// The document's name; nil: a plain chat.
    public var document: String?
    /// What to answer.
    public var prompt: Prompt
    /// What the model's chat template is given beside the messages.
    public var templateArguments: [String: TemplateValue]
    /// The entries to read of the document, on average for each layer and KV head; nil: all that are stored.
    public var budget: Int?
    /// The uid that asks, which may wait in the queue for no more than its share; `owner` where namespaces are not
    /// shared.
    public var user: UInt32
    /// The most tokens to generate; nil: the configured limit.
    public var maxTokens: Int?
    /// How tokens are drawn.
    public var sampling: SamplingRequest
    /// Texts that end the answer and are not part of it; at most 16.
    public var stop: [String]
    /// The likeliest tokens to tell with each of the answer's, and how likely they are; nil: nothing of it.
    public var alternatives: Int?

    /// A greedy answer unless told otherwise.
    public init(
        owner: UInt32, document: String?, prompt: Prompt, templateArguments: [String: TemplateValue] = [:],
        budget: Int? = nil, maxTokens: Int? = nil, sampling: SamplingRequest = SamplingRequest(), stop: [String] = [],
        user: UInt32? = nil
    ) {
        self.owner = owner
        self.document = document
        self.prompt = prompt
        self.templateArguments = templateArguments
        self.budget = budget
        self.user = user ?? owner
        self.maxTokens = maxTokens
        self.sampling = sampling
        self.stop = stop
    }
}

/// What happens while a question is answered, in order; `finished` is the last.
public enum CompletionEvent: Sendable {
    /// The question has been accepted and understood.
    case started(promptTokens: Int, cachedTokens: Int)
    /// The tokens of the text that comes next, where they were asked for.
    case tokens([TokenProbability])
    /// More of the answer, never half a character.
    case text(String)
    /// The same of what the model thinks before it answers, where it does.
    case reasoning(String)
    /// The answer is complete.
    case finished(reason: FinishReason, usage: Usage)
}

/// What happens while documents are verified, in order; `finished` is the last.
public enum VerifyEvent: Sendable {
    /// One more is checked; a reader that falls behind misses some.
    case checked(CheckedDocument)
    /// All are checked.
    case finished(Verification)
}
