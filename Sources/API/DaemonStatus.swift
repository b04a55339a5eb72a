// The daemon's state and its model, as the API describes them.

/// The version of caked.
public enum CakedVersion {
    /// Of the daemon and its API.
    public static let current = "0.2.0"
}

/// `GET /v1/status`.
public struct DaemonStatus: Codable, Equatable, Sendable {
    /// Work by kind.
    public struct Work: Codable, Equatable, Sendable {
        /// Documents being read, or waiting for it.
        public var documents = 0
        /// Questions being answered, or waiting for it.
        public var questions = 0
    }

    /// Unfinished documents that survive a restart.
    public struct Jobs: Codable, Equatable, Sendable {
        /// All of them.
        public var durable = 0
        /// Those that were interrupted or failed, and wait to be put again.
        public var interrupted = 0
    }

    /// The instruction set that is computed with.
    public struct Kernels: Codable, Equatable, Sendable {
        /// Its name, such as "avx2".
        public var set = ""
        /// Whether quantised weights are multiplied as integers.
        public var multipliesBytes = false
        /// Whether attention multiplies bfloats while many rows are read.
        public var multipliesBfloats = false

        /// Unknown.
        public init() {}

        enum CodingKeys: String, CodingKey {
            case set
            case multipliesBytes = "multiplies_bytes"
            case multipliesBfloats = "multiplies_bfloats"
        }
    }

    /// What is learned of the second reading of documents, for the effort `learned`.
    public struct Learning: Codable, Equatable, Sendable {
        /// Documents that taught it.
        public var documents = 0
        /// Whether enough is known.
        public var isFinished = false

        /// Nothing yet.
        public init() {}

        enum CodingKeys: String, CodingKey {
            case documents
            case isFinished = "finished"
        }
    }

    /// What was done to documents for the sake of space, since the start.
    public struct Reclaimed: Codable, Equatable, Sendable {
        /// Acts of a kind and the bytes they freed.
        public struct Acts: Codable, Equatable, Sendable {
            /// How many.
            public var count = 0
            /// Bytes freed.
            public var bytes = 0
        }

        /// Documents whose time to live was over.
        public var expired = Acts()
        /// Documents that were shrunk.
        public var shrunk = Acts()
        /// Documents that had been used least recently and were deleted.
        public var deleted = Acts()

        /// Nothing yet.
        public init() {}
    }

    /// What is kept of conversations that have ended, so that those who go on read only what is new.
    public struct Tails: Codable, Equatable, Sendable {
        /// How many there are.
        public var count = 0
        /// Bytes of their rows and tokens.
        public var bytes = 0
        /// The most that they may take; 0: none is kept.
        public var limitBytes = 0
        /// Questions since the start that went on from one.
        public var hits = 0
        /// Tokens that those did not read.
        public var savedTokens = 0

        /// Nothing yet.
        public init() {}

        enum CodingKeys: String, CodingKey {
            case count, bytes
            case limitBytes = "limit_bytes"
            case hits
            case savedTokens = "saved_tokens"
        }
    }

    /// The daemon's version.
    public var version = CakedVersion.current
    /// The loaded model.
    public var model: String
    /// The most tokens a document, its question and the answer may have together.
    public var contextLength: Int
    /// Compute threads.
    public var threads = 0
    /// What they compute with.
    public var kernels = Kernels()
    /// Seconds since the start.
    public var uptimeSeconds = 0.0
    /// Documents in the store.
    public var documents = 0
    /// Bytes of their records.
    public var storeBytes = 0
    /// Bytes of the store's address space.
    public var mapBytes = 0
    /// Bytes of the store's file.
    public var fileBytes = 0
    /// Bytes of the file that later documents will use.
    public var freeBytes = 0
    /// The most that documents may take in the store; nil: as much as the map holds.
    public var quotaBytes: Int?
    /// Documents that were found damaged.
    public var quarantinedDocuments = 0
    /// Documents open for reading.
    public var openDocuments = 0
    /// How long the oldest of them has been open.
    public var oldestReaderSeconds = 0.0
    /// Readers that had died without ending and were cleared.
    public var clearedReaders = 0
    /// What was reclaimed since the start.
    public var reclaimed = Reclaimed()
    /// What is learned of the second reading.
    public var learning = Learning()
    /// What is kept of ended conversations.
    public var tails = Tails()
    /// What waits.
    public var queue = Work()
    /// What is being worked on.
    public var running = Work()
    /// What survives a restart.
    public var jobs = Jobs()

    /// Nothing yet, of a model.
    public init(model: String, contextLength: Int) {
        (self.model, self.contextLength) = (model, contextLength)
    }

    enum CodingKeys: String, CodingKey {
        case version, model
        case contextLength = "context_length"
        case threads, kernels
        case uptimeSeconds = "uptime_seconds"
        case documents
        case storeBytes = "store_bytes"
        case mapBytes = "map_bytes"
        case fileBytes = "file_bytes"
        case freeBytes = "free_bytes"
        case quotaBytes = "quota_bytes"
        case quarantinedDocuments = "quarantined_documents"
        case openDocuments = "open_documents"
        case oldestReaderSeconds = "oldest_reader_seconds"
        case clearedReaders = "cleared_readers"
        case reclaimed, learning, tails, queue, running, jobs
    }
}

/// The loaded model: one of `GET /v1/models`.
public struct ModelCard: Codable, Equatable, Sendable {
    /// The name clients may give as `model`.
    public var id: String
    /// Always "model".
    public var object = "model"
    /// When the file was made, Unix seconds.
    public var created: Int
    /// Who provides it.
    public var ownedBy = "caked"
    /// The most tokens a document, its question and the answer may have together.
    public var contextLength: Int
    /// Weights.
    public var parameters: Int

    /// All that differs from model to model.
    public init(id: String, created: Int, contextLength: Int, parameters: Int) {
        (self.id, self.created) = (id, created)
        (self.contextLength, self.parameters) = (contextLength, parameters)
    }

    /// The same model, answering about a document: what clients name who can choose nothing but a model.
    public func answering(about document: Document) -> ModelCard {
        var card = self
        (card.id, card.created) = (ModelName.name(ofDocument: document.id), document.created)
        return card
    }

    enum CodingKeys: String, CodingKey {
        case id, object, created
        case ownedBy = "owned_by"
        case contextLength = "context_length"
        case parameters
    }
}
