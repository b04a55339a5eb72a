// What a client asks of the engine, and what it hears back while the work goes on.

import Tokenizers

/// How much of a document's cache to keep.
public enum Keep: Codable, Equatable, Sendable {
    /// A share of all entries, more than 0 and at most 100.
    case percent(Double)
    /// The average number of entries for each layer and KV head, the observation window and protected entries included.
    case budget(Int)
    /// As little as recalls the configured share of what the document's check asks for, and at most half.
    case auto
}

/// A document to read once and cache.
public struct PutRequest: Codable, Equatable, Sendable {
    /// The uid whose namespace the name lives in.
    public var owner: UInt32
    /// The document's name, `[A-Za-z0-9._-]{1,128}`.
    public var name: String
    /// The text, UTF-8.
    public var text: [UInt8]
    /// How much to keep; nil: the configured default.
    public var keep: Keep?
    /// The CAKE preset; nil: the configured default.
    public var method: String?
    /// What observing may cost, "fast", "balanced" or "best"; nil: the configured default.
    public var effort: String?
    /// Questions like those that will be asked: they help to judge the entries, and are not kept.
    public var probes: [String]
    /// How rows are stored, "f16", "q8_0" or "q4"; nil: the configured default.
    public var rows: String?
    /// Seconds from now after which the document expires; nil: never.
    public var ttlSeconds: Int?
    /// Whether the store may never reclaim it.
    public var pinned: Bool
    /// Whether the reading goes on when nobody waits for it, and survives a restart.
    public var detached: Bool
    /// Whether the cache is compared with the full one before it is stored; nil: where keep or configuration need it.
    public var check: Bool?
    /// The uid that asks, which may wait in the queue for no more than its share; `owner` where namespaces are not shared.
    public var user: UInt32

    /// A request with the defaults for everything but the text.
    public init(
        owner: UInt32, name: String, text: [UInt8], keep: Keep? = nil, method: String? = nil, effort: String? = nil,
        probes: [String] = [], rows: String? = nil, ttlSeconds: Int? = nil, pinned: Bool = false,
        detached: Bool = false, check: Bool? = nil, user: UInt32? = nil
    ) {
        self.owner = owner
        self.name = name
        self.text = text
        self.check = check
        self.keep = keep
        self.method = method
        self.effort = effort
        self.probes = probes
        self.rows = rows
        self.ttlSeconds = ttlSeconds
        self.pinned = pinned
        self.detached = detached
        self.user = user ?? owner
    }
}

/// How far a document has been read.
public struct PutProgress: Codable, Equatable, Sendable {
    /// "prefill", perhaps "check", then "store".
    public var phase: String
    /// The layer at work, from 1.
    public var layer: Int
    /// The model's layers.
    public var layers: Int
    /// The share of the work that is done, 0 to 1.
    public var fraction: Double

    /// All four fields.
    public init(phase: String, layer: Int, layers: Int, fraction: Double) {
        self.phase = phase
        self.layer = layer
        self.layers = layers
        self.fraction = fraction
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
    /// Makes a draw repeatable; nil: a random one.
    public var seed: UInt64?

    /// Greedy, unless told otherwise.
    public init(
        temperature: Float = 0, topK: Int = 0, topP: Float = 1, minP: Float = 0, repetitionPenalty: Float = 1,
        seed: UInt64? = nil
    ) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
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
    /// The entries to read of the document, on average for each layer and KV head; nil: all that are stored.
    public var budget: Int?
    /// The uid that asks, which may wait in the queue for no more than its share; `owner` where namespaces are not shared.
    public var user: UInt32
    /// The most tokens to generate; nil: the configured limit.
    public var maxTokens: Int?
    /// How tokens are drawn.
    public var sampling: SamplingRequest
    /// Texts that end the answer and are not part of it; at most 16.
    public var stop: [String]

    /// A greedy answer unless told otherwise.
    public init(
        owner: UInt32, document: String?, prompt: Prompt, budget: Int? = nil, maxTokens: Int? = nil,
        sampling: SamplingRequest = SamplingRequest(), stop: [String] = [], user: UInt32? = nil
    ) {
        self.owner = owner
        self.document = document
        self.prompt = prompt
        self.budget = budget
        self.user = user ?? owner
        self.maxTokens = maxTokens
        self.sampling = sampling
        self.stop = stop
    }
}

/// Why an answer ended, as OpenAI names it.
public enum FinishReason: String, Codable, Sendable {
    /// The model ended its turn, or a stop text came.
    case stop
    /// The token limit or the model's context was reached.
    case length
}

/// What an answer cost.
public struct Usage: Equatable, Sendable {
    /// Tokens of the document and the question.
    public var promptTokens: Int
    /// Document tokens that were served from the cache instead of being read again.
    public var cachedTokens: Int
    /// Tokens generated.
    public var completionTokens: Int
    /// Seconds spent on reading the question.
    public var prefillSeconds: Double
    /// Seconds from the first token to the last.
    public var decodeSeconds: Double

    /// All five fields.
    public init(
        promptTokens: Int, cachedTokens: Int, completionTokens: Int, prefillSeconds: Double, decodeSeconds: Double
    ) {
        self.promptTokens = promptTokens
        self.cachedTokens = cachedTokens
        self.completionTokens = completionTokens
        self.prefillSeconds = prefillSeconds
        self.decodeSeconds = decodeSeconds
    }
}

/// What happens while a question is answered, in order; `finished` is the last.
public enum CompletionEvent: Sendable {
    /// The question has been accepted and understood.
    case started(promptTokens: Int, cachedTokens: Int)
    /// More of the answer, never half a character.
    case text(String)
    /// The answer is complete.
    case finished(reason: FinishReason, usage: Usage)
}
