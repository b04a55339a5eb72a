// A cached document as the API shows it, and what of it was kept.

import CacheStore

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
}

/// A cached document: the API's `document` object, encoded with snake-case keys.
public struct Document: Codable, Equatable, Sendable {
    /// The name it was put under.
    public var id: String
    /// Always "document".
    public var object = "document"
    /// Where it stands.
    public var state = DocumentState.ready
    /// How far it is, while it is read: also of a document that is read again while the older one answers.
    public var progress: PutProgress?
    /// Why it is interrupted or damaged.
    public var problem: String?
    /// When it was committed, Unix seconds; when it was asked for, as long as it is not.
    public var created: Int
    /// Document tokens, the template's prefix included: the position a question starts at.
    public var tokens: Int
    /// Tokens of the template before the document.
    public var prefixTokens: Int
    /// Entries kept over all layers and KV heads.
    public var entries: Int
    /// Entries of the full cache.
    public var entriesFull: Int
    /// `entries / entriesFull`.
    public var kept: Double
    /// The budget asked for: average entries for each layer and KV head.
    public var budget: Int
    /// The CAKE preset.
    public var method: String
    /// How rows are stored.
    public var rows: String
    /// Bytes of the compact cache in the store.
    public var bytes: Int
    /// Bytes the full cache would take in the same row type.
    public var bytesFull: Int
    /// Bytes of the text.
    public var textBytes: Int
    /// Seconds it took to read.
    public var prefillSeconds: Double
    /// The model it was read with.
    public var model: String
    /// Whether the store may never reclaim it.
    public var pinned: Bool
    /// Its time to live from `created`; nil: for ever.
    public var ttlSeconds: Int?
    /// When it expires, Unix seconds; nil: never.
    public var expires: Int?
    /// When a question last read it, Unix seconds.
    public var lastUsed: Int
    /// Questions that read it.
    public var hits: Int
    /// Whether the layer preferences were unusable and budgets fell back to uniform.
    public var preferenceFellBack: Bool
    /// The budget it was written with, if it has been shrunk since.
    public var shrunkFrom: Int?
    /// When it was shrunk last, Unix seconds.
    public var shrunkAt: Int?
    /// How its cache compared with the full one when it was written; nil when it was not checked.
    public var check: CheckFigures?
    /// Layer by layer; nil in lists.
    public var layers: [DocumentLayer]?

    /// All fields but `object`, of a document that is ready.
    public init(
        id: String, created: Int, tokens: Int, prefixTokens: Int, entries: Int, entriesFull: Int, budget: Int,
        method: String, rows: String, bytes: Int, bytesFull: Int, textBytes: Int, prefillSeconds: Double,
        model: String, pinned: Bool, ttlSeconds: Int?, expires: Int?, lastUsed: Int, hits: Int,
        preferenceFellBack: Bool, layers: [DocumentLayer]?
    ) {
        self.id = id
        self.created = created
        self.tokens = tokens
        self.prefixTokens = prefixTokens
        self.entries = entries
        self.entriesFull = entriesFull
        self.kept = entriesFull > 0 ? Double(entries) / Double(entriesFull) : 0
        self.budget = budget
        self.method = method
        self.rows = rows
        self.bytes = bytes
        self.bytesFull = bytesFull
        self.textBytes = textBytes
        self.prefillSeconds = prefillSeconds
        self.model = model
        self.pinned = pinned
        self.ttlSeconds = ttlSeconds
        self.expires = expires
        self.lastUsed = lastUsed
        self.hits = hits
        self.preferenceFellBack = preferenceFellBack
        self.layers = layers
    }

    enum CodingKeys: String, CodingKey {
        case id, object, state, progress, problem, created, tokens
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
        case check, layers
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
