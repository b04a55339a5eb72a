// The small objects around documents and models: lists, deletions, and the events of long work.

/// The answer to `DELETE /v1/documents/{id}`.
public struct DeletedDocument: Codable, Equatable, Sendable {
    /// The document's name.
    public var id: String
    /// Always "document.deleted".
    public var object = "document.deleted"
    /// Always true.
    public var deleted = true

    /// Of a name.
    public init(id: String) { self.id = id }
}

/// The names of the events that tell how long work gets on.
public enum EventName: String, Sendable {
    /// A document waits: `QueuedDocument`.
    case queued
    /// It is being read: `PutProgress`.
    case progress
    /// It will be read, whether anybody waits or not: `Document`.
    case accepted
    /// It is stored: `Document`; the last event of its request.
    case document
    /// One more is verified: `CheckedDocument`.
    case checked
    /// All are: `Verification`; the last event of its request.
    case verification
    /// The work failed: `ErrorBody`; the last event of its request.
    case error
}

/// The data of a `queued` event.
public struct QueuedDocument: Codable, Equatable, Sendable {
    /// Documents that are read first.
    public var ahead: Int

    /// Of so many.
    public init(ahead: Int) { self.ahead = ahead }
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
