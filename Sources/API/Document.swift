// A cached document as the API shows it, and what of it was kept.

/// One layer of a cached document.
public struct DocumentLayer: Codable, Equatable, Sendable {
    /// Average entries for each KV head, as allocated before rounding.
    public var budget: Double
    /// CAKE's preference of the layer.
    public var preference: Double
    /// Entries kept by each KV head.
    public var entries: [Int]

    /// All three fields.
    public init(budget: Double, preference: Double, entries: [Int]) {
        self.budget = budget
        self.preference = preference
        self.entries = entries
    }
}

/// How the prompt that a document was read behind differs from today's: some templates write the date there.
public struct PromptChange: Codable, Equatable, Sendable {
    /// The words that stood there when it was read, and stand there in every question about it.
    public var read: String
    /// The words that would stand there now.
    public var now: String

    /// The lines in which two prompts differ; nil where they are the same.
    public init?(read: String, now: String) {
        if read == now { return nil }
        let (old, new) = (read.split(separator: "\n"), now.split(separator: "\n"))
        let same = zip(old, new).prefix { $0 == $1 }.count
        let sameEnd = zip(old[same...].reversed(), new[same...].reversed()).prefix { $0 == $1 }.count
        self.read = old[same..<(old.count - sameEnd)].joined(separator: "\n")
        self.now = new[same..<(new.count - sameEnd)].joined(separator: "\n")
    }
}

/// Where a document stands.
public enum DocumentState: String, Codable, Sendable {
    /// It is stored and can be asked about.
    case ready
    /// It waits to be read.
    case queued
    /// It is being read.
    case reading
    /// Reading it stopped; putting it again goes on where that was.
    case interrupted
    /// What is stored of it is not what was written; put it again, or rebuild it from its stored text.
    case damaged
    /// Another model read it, or another version of caked; put it again, rebuild it from its stored text, or go back.
    case outdated
    /// The store deleted it; it can be put again.
    case deleted
}

/// A cached document: the API's `document` object.
public struct Document: Codable, Equatable, Sendable {
    /// The name it was put under.
    public var id: String
    /// Always "document".
    public var object = "document"
    /// Where it stands.
    public var state = DocumentState.ready
    /// How far it is, while it is read: also of a document that is read again while the older one answers.
    public var progress: PutProgress?
    /// Why it is interrupted, damaged, outdated or deleted.
    public var problem: String?
    /// Of a damaged one: whether it can be read again from its stored text; nil elsewhere, and in lists.
    public var canRebuild: Bool?
    /// When it was committed, Unix seconds; when it was asked for, as long as it is not.
    public var created = 0
    /// Document tokens, the template's prefix included: the position a question starts at.
    public var tokens = 0
    /// Tokens of the template before the document.
    public var prefixTokens = 0
    /// Entries kept over all layers and KV heads.
    public private(set) var entries = 0
    /// Entries of the full cache.
    public private(set) var entriesFull = 0
    /// `entries / entriesFull`.
    public private(set) var kept = 0.0
    /// The budget asked for: average entries for each layer and KV head.
    public var budget = 0
    /// The CAKE preset.
    public var method = ""
    /// How rows are stored.
    public var rows = ""
    /// Bytes that the document takes in the store, and of its owner's share of the quota; that it took, when it is
    /// deleted.
    public var bytes = 0
    /// Bytes the full cache would take in `q8_0`: what `keep` is a share of, whatever the rows.
    public var bytesFull = 0
    /// Bytes of the text.
    public var textBytes = 0
    /// Seconds it took to read.
    public var prefillSeconds = 0.0
    /// The model it was read with.
    public var model: String
    /// Whether the store may never reclaim it.
    public var pinned = false
    /// Its time to live from the last use; nil: for ever.
    public var ttlSeconds: Int?
    /// When it expires, Unix seconds; nil: never.
    public var expires: Int?
    /// When a question last read it, Unix seconds.
    public var lastUsed = 0
    /// Questions that read it.
    public var hits = 0
    /// Whether the layer preferences were unusable and budgets fell back to uniform.
    public var preferenceFellBack = false
    /// The budget it was written with, if it has been shrunk since.
    public var shrunkFrom: Int?
    /// When it was shrunk last, Unix seconds.
    public var shrunkAt: Int?
    /// Why it was shrunk last: "quota", for another of its owner's documents, or "request"; nil where it is not known.
    public var shrunkFor: String?
    /// When the store deleted it, Unix seconds.
    public var deletedAt: Int?
    /// How its cache compared with the full one when it was written; nil when it was not checked.
    public var check: CheckFigures?
    /// What of the prompt before it would be another if it were read now; nil where nothing is, and in lists.
    public var promptChange: PromptChange?
    /// Layer by layer; nil in lists.
    public var layers: [DocumentLayer]?
    /// In the last event of a put: false when the same text and options were there already.
    public var wasCreated: Bool?
    /// What of the request that it answers had no effect.
    public var warnings: [String]?

    /// A document of which only the name is known; what else is known is set field by field.
    public init(id: String, model: String) {
        (self.id, self.model) = (id, model)
    }

    /// Sets how many of the full cache's entries are kept, and the share that this is.
    public mutating func setEntries(_ count: Int, of full: Int) {
        (entries, entriesFull, kept) = (count, full, full > 0 ? Double(count) / Double(full) : 0)
    }

    enum CodingKeys: String, CodingKey {
        case id, object, state, progress, problem
        case canRebuild = "can_rebuild"
        case created, tokens
        case prefixTokens = "prefix_tokens"
        case entries
        case entriesFull = "entries_full"
        case kept, budget, method, rows, bytes
        case bytesFull = "bytes_full"
        case textBytes = "text_bytes"
        case prefillSeconds = "prefill_seconds"
        case model, pinned
        case ttlSeconds = "ttl_seconds"
        case expires
        case lastUsed = "last_used"
        case hits
        case preferenceFellBack = "preference_fell_back"
        case shrunkFrom = "shrunk_from"
        case shrunkAt = "shrunk_at"
        case shrunkFor = "shrunk_for"
        case deletedAt = "deleted_at"
        case check
        case promptChange = "prompt_change"
        case layers
        case wasCreated = "was_created"
        case warnings
    }
}

/// What was kept of a document, for inspection: the API's retention object.
public struct DocumentRetention: Codable, Equatable, Sendable {
    /// One KV head.
    public struct Head: Codable, Equatable, Sendable {
        /// Positions kept, ascending.
        public var positions: [UInt32]

        /// The positions.
        public init(positions: [UInt32]) { self.positions = positions }
    }

    /// One layer.
    public struct Layer: Codable, Equatable, Sendable {
        /// Average entries for each KV head.
        public var budget: Double
        /// CAKE's preference.
        public var preference: Double
        /// Every KV head.
        public var heads: [Head]

        /// All three fields.
        public init(budget: Double, preference: Double, heads: [Head]) {
            self.budget = budget
            self.preference = preference
            self.heads = heads
        }
    }

    /// Document tokens.
    public var tokens: Int
    /// Every layer.
    public var layers: [Layer]

    /// Both fields.
    public init(tokens: Int, layers: [Layer]) {
        self.tokens = tokens
        self.layers = layers
    }
}
