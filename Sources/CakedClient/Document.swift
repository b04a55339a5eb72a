// A cached document as the API describes it.

/// A document and its compact cache.
public struct Document: Codable, Equatable, Sendable {
    /// One layer of the compact cache.
    public struct Layer: Codable, Equatable, Sendable {
        /// Entries per KV head granted to this layer, before rounding.
        public var budget: Double
        /// CAKE's preference score of this layer.
        public var preference: Double
        /// Entries kept, per KV head.
        public var entries: [Int]
    }

    /// How the compact cache compared with the full one at places of the document, when it was written.
    public struct Check: Codable, Equatable, Sendable {
        /// The budget that was checked.
        public var budget: Int
        /// Places of the document that were asked for; 0: it is too short to be checked.
        public var places: Int
        /// Tokens compared.
        public var tokens: Int
        /// Those of them that the full cache knows and nobody would guess.
        public var known: Int
        /// The share of the known ones that the compact cache knows too; nil when they are too few.
        public var recall: Double?
        /// The share of all at which both caches find the same token likeliest.
        public var agreement: Double?
        /// The mean Kullback-Leibler divergence, in nats.
        public var kl: Double?
        /// How often the compact cache finds the document's own token likeliest.
        public var right: Double?
        /// How often the full cache does.
        public var rightFull: Double?
        /// The recall that was asked for.
        public var target: Double?
    }

    /// How far a document has been read.
    public struct Progress: Codable, Equatable, Sendable {
        /// "prefill", perhaps "check", then "store".
        public var phase: String
        /// The layer at work, from 1.
        public var layer: Int
        /// The model's layers.
        public var layers: Int
        /// The share of the work that is done, 0 to 1.
        public var fraction: Double
    }

    /// The document's name.
    public var id: String
    /// Always "document".
    public var object: String?
    /// "ready", "queued", "reading", "interrupted" or "damaged".
    public var state: String?
    /// How far it has been read, while it is.
    public var progress: Progress?
    /// Why it is interrupted or damaged.
    public var problem: String?
    /// When it was cached, Unix seconds.
    public var created: Int?
    /// Tokens of the document, with the template's prefix.
    public var tokens: Int
    /// Tokens of the template before the document's first.
    public var prefixTokens: Int?
    /// Entries kept, over all layers and KV heads.
    public var entries: Int
    /// Entries of the full cache.
    public var entriesFull: Int
    /// `entries / entriesFull`, 0...1.
    public var kept: Double?
    /// Average entries per layer and KV head.
    public var budget: Int?
    /// The preset that chose the entries.
    public var method: String?
    /// The type of the stored rows, "f16", "q8_0" or "q4".
    public var rows: String?
    /// Size of the compact cache.
    public var bytes: Int
    /// Size of the full cache with rows of the same type.
    public var bytesFull: Int
    /// Size of the text.
    public var textBytes: Int?
    /// How long reading the document took.
    public var prefillSeconds: Double?
    /// The model that read it.
    public var model: String?
    /// Pinned documents are never reclaimed.
    public var pinned: Bool?
    /// Seconds to live, counted from the last use or from `created`; nil without a limit.
    public var ttlSeconds: Int?
    /// When it is removed, Unix seconds; nil for never.
    public var expires: Int?
    /// When a question last used it, Unix seconds.
    public var lastUsed: Int?
    /// Questions answered over it.
    public var hits: Int?
    /// The preferences were degenerate and the layers share the budget evenly.
    public var preferenceFellBack: Bool?
    /// The budget it was written with, if it has been shrunk since.
    public var shrunkFrom: Int?
    /// When it was shrunk last, Unix seconds.
    public var shrunkAt: Int?
    /// How the compact cache compared with the full one; nil when it was not checked.
    public var check: Check?
    /// Layer by layer; absent in lists.
    public var layers: [Layer]?
    /// After a put: false when the same text and options were already cached.
    public var wasCreated: Bool?
}

/// Which entries of a document were kept.
public struct Retention: Codable, Equatable, Sendable {
    /// One layer.
    public struct Layer: Codable, Equatable, Sendable {
        /// One KV head.
        public struct Head: Codable, Equatable, Sendable {
            /// Document positions of the entries kept, ascending.
            public var positions: [Int]
        }

        /// Entries per KV head granted to this layer, before rounding.
        public var budget: Double
        /// CAKE's preference score of this layer.
        public var preference: Double
        /// The KV heads, in order.
        public var heads: [Head]
    }

    /// Tokens of the document.
    public var tokens: Int
    /// The layers, in order.
    public var layers: [Layer]
}

/// A document's text, and where its tokens stand in it.
public struct DocumentSource: Codable, Equatable, Sendable {
    /// Tokens of the document, the template's included.
    public var tokens: Int
    /// The text as it was put.
    public var text: String
    /// Token i is the bytes `offsets[i]..<offsets[i + 1]` of the text; nil when the loaded model has another tokenizer.
    public var offsets: [Int]?
}

/// How a document is to be cached; what is nil is the daemon's choice.
public struct PutOptions: Equatable, Sendable {
    /// How much of the cache to keep.
    public enum Keep: Equatable, Sendable {
        /// This share of the document's entries, above 0 and at most 100.
        case percent(Double)
        /// This many entries per layer and KV head, on average.
        case budget(Int)
        /// As little as the document's check allows.
        case auto
    }

    /// How much of the cache to keep.
    public var keep: Keep?
    /// The preset that chooses the entries.
    public var method: String?
    /// What choosing them may cost: "fast", "balanced" or "best".
    public var effort: String?
    /// Questions like those that will be asked.
    public var probes: [String]
    /// The type of the stored rows, "f16", "q8_0" or "q4".
    public var rows: String?
    /// Seconds until the document is removed.
    public var ttlSeconds: Int?
    /// Never reclaim the document.
    public var pinned: Bool
    /// Answer as soon as the request is safe; it is read whether anybody waits or not, also after a restart.
    public var detached: Bool
    /// Compare the compact cache with the full one.
    public var checked: Bool

    /// Options for a put.
    public init(
        keep: Keep? = nil, method: String? = nil, effort: String? = nil, probes: [String] = [], rows: String? = nil,
        ttlSeconds: Int? = nil, pinned: Bool = false, detached: Bool = false, checked: Bool = false
    ) {
        (self.keep, self.method, self.effort, self.probes) = (keep, method, effort, probes)
        (self.rows, self.ttlSeconds, self.pinned, self.detached) = (rows, ttlSeconds, pinned, detached)
        self.checked = checked
    }

    /// The options as items of a query, values not yet percent-encoded.
    var queryItems: [(name: String, value: String)] {
        var items: [(name: String, value: String)] = []
        switch keep {
        case .percent(let percent):
            items.append(("keep", (Int(exactly: percent).map(String.init) ?? "\(percent)") + "%"))
        case .budget(let budget): items.append(("budget", String(budget)))
        case .auto: items.append(("keep", "auto"))
        case nil: break
        }
        if let method { items.append(("method", method)) }
        if let effort { items.append(("effort", effort)) }
        items += probes.map { ("probe", $0) }
        if let rows { items.append(("rows", rows)) }
        if let ttlSeconds { items.append(("ttl", String(ttlSeconds))) }
        if pinned { items.append(("pin", "true")) }
        if detached { items.append(("detach", "true")) }
        if checked { items.append(("check", "true")) }
        return items
    }
}

/// What the daemon reports while it caches a document.
public enum PutProgress: Equatable, Sendable {
    /// Waiting behind this many other documents.
    case queued(ahead: Int)
    /// At work: `fraction` 0...1 of the whole job, `layer` of `layers` begun.
    case working(phase: String, layer: Int, layers: Int, fraction: Double)
}

/// A document that was compared with its checksums.
public struct VerifiedDocument: Codable, Equatable, Sendable {
    /// Its name.
    public var id: String
    /// Bytes that were read and compared.
    public var bytes: Int
    /// What is damaged; nil when it is as it was written.
    public var problem: String?
}

/// The outcome of a verification.
public struct Verification: Codable, Equatable, Sendable {
    /// Always "verification".
    public var object: String?
    /// Documents that were checked.
    public var documents: Int
    /// Bytes that were read and compared.
    public var bytes: Int
    /// The documents that are damaged.
    public var damaged: [VerifiedDocument]
}
