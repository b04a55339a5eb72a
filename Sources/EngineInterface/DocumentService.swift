// The engine as its callers see it: documents in, questions answered.

import API

/// A snapshot of what the engine has and does.
public struct EngineStatus: Equatable, Sendable {
    /// What the API tells of it.
    public var daemon: DaemonStatus
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

    /// Nothing yet, of a model.
    public init(_ card: ModelCard) {
        daemon = DaemonStatus(model: card.id, contextLength: card.contextLength)
    }
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
    /// A page of the caller's documents, by name, without layers.
    func documents(owner: UInt32, _ query: ListQuery) throws(EngineError) -> ObjectList<Document>
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
    /// Finishes what can be finished within the grace, fails the rest with `shuttingDown`, and ends the engine's
    /// thread.
    func shutdown(graceSeconds: Double) async
}
