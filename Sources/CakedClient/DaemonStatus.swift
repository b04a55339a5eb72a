// The daemon's state and its models, as the API describes them.

/// `GET /v1/status`.
public struct DaemonStatus: Codable, Equatable, Sendable {
    /// Work by kind.
    public struct Work: Codable, Equatable, Sendable {
        /// Documents being cached, or waiting for it.
        public var documents: Int
        /// Questions being answered, or waiting for it.
        public var questions: Int
    }

    /// Unfinished documents that survive a restart.
    public struct Jobs: Codable, Equatable, Sendable {
        /// Those that wait or are being read.
        public var durable: Int
        /// Those that go on when they are put again.
        public var interrupted: Int
    }

    /// What was done to documents for the sake of space, since the start.
    public struct Reclaimed: Codable, Equatable, Sendable {
        /// Acts of a kind.
        public struct Acts: Codable, Equatable, Sendable {
            /// How many.
            public var count: Int
            /// Bytes freed.
            public var bytes: Int
        }

        /// Their time to live was over.
        public var expired: Acts
        /// They keep less than they did.
        public var shrunk: Acts
        /// They had been used least recently.
        public var deleted: Acts
    }

    /// The daemon's version.
    public var version: String
    /// The loaded model.
    public var model: String
    /// Tokens of the longest prompt, document included.
    public var contextLength: Int?
    /// Threads that compute.
    public var threads: Int?
    /// Since the start.
    public var uptimeSeconds: Double?
    /// Documents in the store.
    public var documents: Int?
    /// Bytes of their compact caches.
    public var storeBytes: Int?
    /// Bytes of address space that the store may grow to.
    public var mapBytes: Int?
    /// Bytes of the store's file.
    public var fileBytes: Int?
    /// Bytes of the file that later documents will use.
    public var freeBytes: Int?
    /// The most that documents may take in the store; nil without a quota.
    public var quotaBytes: Int?
    /// Documents that were found damaged.
    public var quarantinedDocuments: Int?
    /// Documents open for reading.
    public var openDocuments: Int?
    /// How long the oldest of them has been open.
    public var oldestReaderSeconds: Double?
    /// Readers that had died without ending and were cleared.
    public var clearedReaders: Int?
    /// What was done to documents for the sake of space, since the start.
    public var reclaimed: Reclaimed?
    /// What waits.
    public var queue: Work?
    /// What is being worked on.
    public var running: Work?
    /// What survives a restart.
    public var jobs: Jobs?
}

/// One model of `GET /v1/models`.
public struct ModelCard: Codable, Equatable, Sendable {
    /// What requests call it.
    public var id: String
    /// Always "model".
    public var object: String?
    /// When its file was made, Unix seconds.
    public var created: Int?
    /// Who provides it.
    public var ownedBy: String?
    /// Tokens of the longest prompt.
    public var contextLength: Int?
    /// Weights.
    public var parameters: Int?
}
