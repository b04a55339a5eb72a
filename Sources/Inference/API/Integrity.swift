// What is asked of documents that are stored, and what is said of their integrity.

/// What becomes of a stored document; nil leaves a field as it is.
public struct DocumentChange: Equatable, Sendable {
    /// Seconds to live from the last use; `.some(nil)`: for ever.
    public var ttlSeconds: Int??
    /// Whether the store may never reclaim it.
    public var pinned: Bool?
    /// How much of it to keep, no more than now.
    public var keep: Keep?

    /// Changes nothing unless told.
    public init(ttlSeconds: Int?? = nil, pinned: Bool? = nil, keep: Keep? = nil) {
        (self.ttlSeconds, self.pinned, self.keep) = (ttlSeconds, pinned, keep)
    }
}

/// A document that was compared with its checksums.
public struct VerifiedDocument: Codable, Equatable, Sendable {
    /// Its name.
    public var id: String
    /// Bytes that were read and compared.
    public var bytes: Int
    /// What is damaged; nil when it is as it was written.
    public var problem: String?

    /// All three fields.
    public init(id: String, bytes: Int, problem: String?) {
        (self.id, self.bytes, self.problem) = (id, bytes, problem)
    }
}

/// The outcome of a verification.
public struct Verification: Codable, Equatable, Sendable {
    /// Always "verification".
    public var object = "verification"
    /// Documents that were checked.
    public var documents = 0
    /// Bytes that were read and compared.
    public var bytes = 0
    /// The documents that are damaged.
    public var damaged: [VerifiedDocument] = []

    /// Nothing checked yet.
    public init() {}

    /// Adds a document's outcome.
    public mutating func add(_ document: VerifiedDocument) {
        documents += 1
        bytes += document.bytes
        if document.problem != nil { damaged.append(document) }
    }
}

/// What happens while documents are verified, in order; `finished` is the last.
public enum VerifyEvent: Sendable {
    /// One more is checked, the `number`th of so many; a reader that falls behind misses some.
    case checked(VerifiedDocument, number: Int, total: Int)
    /// All are checked.
    case finished(Verification)
}
