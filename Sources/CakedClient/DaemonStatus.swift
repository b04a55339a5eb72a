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
