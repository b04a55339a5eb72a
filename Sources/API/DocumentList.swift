// Lists, and which part of the list of documents is asked for.

/// A page of the list of documents: `limit=100&after=NAME&state=all`.
public struct ListQuery: Equatable, Sendable {
    /// The most documents of a page, and what a page has where nobody says: some hundreds of kilobytes of JSON.
    public static let maximumLimit = 1_000

    /// The name after which the page begins; nil for the first one.
    public var after: String?
    /// The most documents of the page.
    public var limit: Int
    /// Whether documents are listed that cannot be asked about: unfinished, damaged and deleted ones.
    public var everything: Bool

    /// The first page of the documents that can be asked about.
    public init(after: String? = nil, limit: Int = Self.maximumLimit, everything: Bool = false) {
        (self.after, self.limit, self.everything) = (after, limit, everything)
    }

    /// Reads a query; other items are ignored.
    public init(query: String) throws(RequestError) {
        self.init()
        for (name, value) in QueryText.items(query) {
            switch name {
            case "after": after = try DocumentName.checked(value, param: name)
            case "limit":
                guard let number = Int(value), (1...Self.maximumLimit).contains(number) else {
                    throw .invalid("`limit` must be a whole number from 1 to \(Self.maximumLimit)", param: name)
                }
                limit = number
            case "state":
                guard value == "all" || value == "ready" else {
                    throw .invalid("`state` must be all or ready", param: name)
                }
                everything = value == "all"
            default: break
            }
        }
    }

    /// The same as a query.
    public var query: String {
        QueryText.query(
            [("state", everything ? "all" : nil), ("after", after), ("limit", String(limit))]
                .compactMap { item in item.1.map { (item.0, $0) } })
    }
}

/// A list of objects, as OpenAI's API has them; of its pages where it has more than one.
public struct ObjectList<Element: Codable & Sendable>: Codable, Sendable {
    /// Always "list".
    public var object = "list"
    /// What is listed.
    public var data: [Element]
    /// The first name of a page.
    public var firstID: String?
    /// The last one: `after` of the next page.
    public var lastID: String?
    /// Whether there is a next page.
    public var hasMore: Bool?

    /// A list that is whole.
    public init(data: [Element]) { self.data = data }

    enum CodingKeys: String, CodingKey {
        case object, data
        case firstID = "first_id"
        case lastID = "last_id"
        case hasMore = "has_more"
    }
}

extension ObjectList where Element == Document {
    /// A page of documents.
    public init(page documents: [Document], hasMore: Bool) {
        self.init(data: documents)
        (firstID, lastID, self.hasMore) = (documents.first?.id, documents.last?.id, hasMore)
    }
}
