// What is said of the integrity of documents.

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

/// The data of a `checked` event: the document and its place in the row, side by side.
public struct CheckedDocument: Codable, Equatable, Sendable {
    /// The document.
    public var document: VerifiedDocument
    /// The how manieth it is, from 1.
    public var number: Int
    /// Of how many.
    public var total: Int

    /// All three parts.
    public init(document: VerifiedDocument, number: Int, total: Int) {
        (self.document, self.number, self.total) = (document, number, total)
    }

    enum CodingKeys: CodingKey { case number, total }

    /// Fields of the document and its place stand side by side.
    public init(from decoder: any Decoder) throws {
        document = try VerifiedDocument(from: decoder)
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        number = try fields.decode(Int.self, forKey: .number)
        total = try fields.decode(Int.self, forKey: .total)
    }

    /// Fields of the document and its place stand side by side.
    public func encode(to encoder: any Encoder) throws {
        try document.encode(to: encoder)
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(number, forKey: .number)
        try fields.encode(total, forKey: .total)
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
