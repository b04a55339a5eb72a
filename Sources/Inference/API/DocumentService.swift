// The engine as its callers see it: documents in, questions answered.

/// The loaded model, as the API lists it.
public struct ModelCard: Equatable, Sendable {
    /// The name clients may give as `model`.
    public var id: String
    /// When the file was made, Unix seconds.
    public var createdSeconds: Int
    /// The most tokens a document, its question and the answer may have together.
    public var contextLength: Int
    /// Layers.
    public var layers: Int
    /// KV heads of a layer.
    public var kvHeads: Int
    /// Weights.
    public var parameters: Int

    /// All six fields.
    public init(id: String, createdSeconds: Int, contextLength: Int, layers: Int, kvHeads: Int, parameters: Int) {
        self.id = id
        self.createdSeconds = createdSeconds
        self.contextLength = contextLength
        self.layers = layers
        self.kvHeads = kvHeads
        self.parameters = parameters
    }
}

/// A snapshot of what the engine has and does.
public struct EngineStatus: Equatable, Sendable {
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
    public var reclaimed = ReclaimedTotals()
    /// Documents that wait to be read.
    public var queuedDocuments = 0
    /// Questions that wait.
    public var queuedQuestions = 0
    /// Documents being read.
    public var runningDocuments = 0
    /// Questions being answered.
    public var runningQuestions = 0
    /// Compute threads.
    public var threads = 0
    /// Seconds since the start.
    public var uptimeSeconds = 0.0
    /// Document tokens read since the start.
    public var prefilledTokens = 0
    /// Question tokens read since the start.
    public var questionTokens = 0
    /// Tokens generated since the start.
    public var generatedTokens = 0
    /// Questions answered since the start.
    public var answeredQuestions = 0
    /// Documents written since the start.
    public var writtenDocuments = 0

    /// Checkpoints of documents being read, written since the start.
    public var writtenCheckpoints = 0
    /// Seconds spent on them.
    public var checkpointSeconds = 0.0
    /// Documents whose reading went on where an earlier daemon had stopped.
    public var resumedDocuments = 0
    /// Requests that joined the reading of the same document.
    public var joinedRequests = 0
    /// Readings on disk, and those of them that wait to be put again.
    public var durableJobs = 0
    /// Readings that were interrupted or failed, and wait to be put again.
    public var interruptedJobs = 0

    /// Nothing yet.
    public init() {}
}

/// What was done to documents for the sake of space.
public struct ReclaimedTotals: Equatable, Sendable {
    /// Acts of a kind and the bytes they freed.
    public struct Acts: Equatable, Sendable {
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

/// Caches documents and answers questions about them.
///
/// All methods may be called from any thread.
public protocol DocumentService: Sendable {
    /// The loaded model.
    var modelCard: ModelCard { get }
    /// A count that grows while the engine is able to work, for the watchdog.
    var heartbeat: UInt64 { get }
    /// What the engine has and does.
    func status() -> EngineStatus
    /// Reads and caches a document. Dropping the stream cancels the work; what was not acknowledged is then gone.
    func put(_ request: PutRequest) -> EventStream<PutEvent>
    /// The caller's documents, by name, without layers; with `unfinished` also those that are not there yet, or not sound.
    func documents(owner: UInt32, unfinished: Bool) throws(EngineError) -> [Document]
    /// One document.
    func document(_ name: String, owner: UInt32) throws(EngineError) -> Document
    /// Forgets a document. An answer that reads it runs to its end.
    func delete(_ name: String, owner: UInt32) throws(EngineError)
    /// Changes what a document's owner may change.
    func update(_ name: String, owner: UInt32, _ change: DocumentChange) throws(EngineError) -> Document
    /// Reads a document again from its stored text, with the options it has.
    func rebuild(_ name: String, owner: UInt32, user: UInt32) -> EventStream<PutEvent>
    /// Compares everything that is stored of the caller's documents, or of one, with what was written.
    func verify(_ name: String?, owner: UInt32, user: UInt32) -> EventStream<VerifyEvent>
    /// Which positions were kept.
    func retention(_ name: String, owner: UInt32) throws(EngineError) -> DocumentRetention
    /// The document's text and where its tokens stand in it.
    func source(_ name: String, owner: UInt32) throws(EngineError) -> DocumentSource
    /// Writes a document as a file that another caked with the same model can read.
    func export(_ name: String, owner: UInt32) throws(EngineError) -> DocumentExport
    /// Begins to read such a file; dropping the import stores nothing.
    func importing(_ options: ImportOptions, owner: UInt32, user: UInt32) throws(EngineError) -> DocumentImport
    /// Answers a question. Dropping the stream cancels it.
    func complete(_ request: CompletionRequest) -> EventStream<CompletionEvent>
    /// Finishes what can be finished within the grace, fails the rest with `shuttingDown`, and ends the engine's thread.
    func shutdown(graceSeconds: Double) async
}
