// What a client may say about how a document is read and kept: as JSON, as a query, and what of it is refused.

/// What observing a document may cost.
public enum Effort: String, OptionWord {
    /// The daemon chooses.
    case auto
    /// One reading: what a second would say is predicted.
    case learned
    /// Two readings, of which the second reads less or more of the document with each of its parts.
    case fast, balanced, best

    static let refusal = (code: "unknown_effort", noun: "effort", param: "effort")
}

/// How the rows of a stored document are kept: the fewer bits, the smaller.
public enum StoredRows: String, OptionWord {
    /// `q4`, which keeps most in the bytes that there are; `q8_0`, which loses least, where everything is kept.
    case auto
    case f16, q8_0, q4

    static let refusal = (code: "unknown_rows", noun: "row type", param: "rows")
}

/// An option that is one of a few words.
public protocol OptionWord: RawRepresentable<String>, CaseIterable, Sendable {}

extension OptionWord {
    /// The words, for error messages: "f16, q8_0 or q4".
    public static var wanted: String {
        let words = allCases.map(\.rawValue)
        return words.dropLast().joined(separator: ", ") + " or " + (words.last ?? "")
    }
}

/// The fields of a request about a document, by their names in JSON.
enum OptionKey: String, CodingKey, CaseIterable {
    case text, keep, budget, method, effort, probes, rows
    case ttlSeconds = "ttl_seconds"
    case pin, detach, check, name

    /// Those that change a stored document.
    static let change: [OptionKey] = [.ttlSeconds, .pin, .keep, .budget, .name]
}

/// How a document is to be read and kept; what is nil is the daemon's choice.
public struct DocumentOptions: Equatable, Sendable {
    /// The longest time to live: a hundred years, so that no sum of times overflows.
    public static let maximumTTLSeconds = 100 * 366 * 86400

    /// How much of the cache to keep.
    public var keep: Keep?
    /// The CAKE preset that chooses the entries.
    public var method: String?
    /// What observing may cost, one of `Effort`.
    public var effort: String?
    /// Questions like those that will be asked: they help to judge the entries, and are not kept.
    public var probes: [String]
    /// How rows are stored, one of `StoredRows`.
    public var rows: String?
    /// Seconds after which the document expires; nil: never.
    public var ttlSeconds: Int?
    /// Whether the store may never reclaim it.
    public var pinned: Bool
    /// Whether the answer comes as soon as the request is safe: it is read whether anybody waits or not, also after a
    /// restart.
    public var detached: Bool
    /// Whether the cache is compared with the full one before it is stored; nil: where keep or configuration need it.
    public var check: Bool?

    /// The defaults for everything that is not given.
    public init(
        keep: Keep? = nil, method: String? = nil, effort: String? = nil, probes: [String] = [], rows: String? = nil,
        ttlSeconds: Int? = nil, pinned: Bool = false, detached: Bool = false, check: Bool? = nil
    ) {
        (self.keep, self.method, self.effort, self.probes) = (keep, method, effort, probes)
        (self.rows, self.ttlSeconds, self.pinned, self.detached) = (rows, ttlSeconds, pinned, detached)
        self.check = check
    }
}

// MARK: What is refused

extension DocumentOptions {
    /// Throws what cannot be meant, whatever the document and the model are.
    public func validate() throws(RequestError) {
        try keep?.check()
        if let effort { try Self.check(effort, isOneOf: Effort.self, Effort.refusal) }
        if let rows { try Self.check(rows, isOneOf: StoredRows.self, StoredRows.refusal) }
        if let ttlSeconds { try Self.check(ttlSeconds: ttlSeconds, param: OptionKey.ttlSeconds.rawValue) }
    }

    private static func check<Word: OptionWord>(
        _ word: String, isOneOf words: Word.Type, _ refusal: (code: String, noun: String, param: String)
    ) throws(RequestError) {
        guard Word(rawValue: word) == nil else { return }
        throw RequestError(
            refusal.code, "unknown \(refusal.noun) \"\(word)\"; use \(words.wanted)", param: refusal.param)
    }

    /// What a time to live must be, for error messages.
    static let wantedTTL = "a whole number of seconds from 1 to \(maximumTTLSeconds)"

    static func check(ttlSeconds: Int, param: String) throws(RequestError) {
        guard (1...maximumTTLSeconds).contains(ttlSeconds) else {
            throw .invalid("`\(param)` must be \(wantedTTL)", param: param)
        }
    }
}

// MARK: JSON

extension DocumentOptions: Codable {
    /// `{"keep": "10%" | 0.1 | "auto", "budget": 512, …}`.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: OptionKey.self)
        self.init()
        keep = try fields.keep()
        method = try fields.decodeIfPresent(String.self, forKey: .method)
        effort = try fields.decodeIfPresent(String.self, forKey: .effort)
        probes = try fields.decodeIfPresent([String].self, forKey: .probes) ?? []
        rows = try fields.decodeIfPresent(String.self, forKey: .rows)
        ttlSeconds = try fields.number(Int.self, forKey: .ttlSeconds, wanted: DocumentOptions.wantedTTL)
        pinned = try fields.decodeIfPresent(Bool.self, forKey: .pin) ?? false
        detached = try fields.decodeIfPresent(Bool.self, forKey: .detach) ?? false
        check = try fields.decodeIfPresent(Bool.self, forKey: .check)
        try validate()
    }

    /// Only what is not the default.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: OptionKey.self)
        try fields.encode(keep)
        try fields.encodeIfPresent(method, forKey: .method)
        try fields.encodeIfPresent(effort, forKey: .effort)
        if !probes.isEmpty { try fields.encode(probes, forKey: .probes) }
        try fields.encodeIfPresent(rows, forKey: .rows)
        try fields.encodeIfPresent(ttlSeconds, forKey: .ttlSeconds)
        if pinned { try fields.encode(true, forKey: .pin) }
        if detached { try fields.encode(true, forKey: .detach) }
        try fields.encodeIfPresent(check, forKey: .check)
    }
}

extension KeyedDecodingContainer<OptionKey> {
    /// `"keep": "10%" | 0.1 | "auto"` or `"budget": 512`.
    func keep() throws -> Keep? {
        let budget = try number(Int.self, forKey: .budget, wanted: Keep.wantedBudget)
        var share: Keep?
        if let text = try? decodeIfPresent(String.self, forKey: .keep) {
            share = try Keep.share(text)
        } else if let number = try number(Double.self, forKey: .keep, wanted: Keep.wanted) {
            share = try Keep.share("\(number)")
        }
        return try Keep.either(share: share, budget: budget)
    }
}

extension KeyedEncodingContainer<OptionKey> {
    mutating func encode(_ keep: Keep?) throws {
        switch keep {
        case .percent(let percent): try encode("\(percent)%", forKey: .keep)
        case .budget(let entries): try encode(entries, forKey: .budget)
        case .auto: try encode("auto", forKey: .keep)
        case nil: break
        }
    }
}

/// The body of `PUT /v1/documents/{id}` as JSON: a text and its options.
public struct PutBody: Codable, Equatable, Sendable {
    /// The document.
    public var text: String
    /// How it is to be read and kept.
    public var options: DocumentOptions

    /// Both parts.
    public init(text: String, options: DocumentOptions) {
        (self.text, self.options) = (text, options)
    }

    /// Throws when a text is not UTF-8, or has nothing but white space.
    public static func check(text: [UInt8]) throws(RequestError) {
        let param = OptionKey.text.rawValue
        guard text.contains(where: { $0 > UInt8(ascii: " ") }) else {
            throw RequestError("empty_document", "the document is empty; send some text", param: param)
        }
        do {
            _ = try UTF8Span(validating: text.span)
        } catch {
            let place = error.byteOffsets.lowerBound
            throw RequestError(
                "not_utf8",
                "the document is not UTF-8 (first wrong byte at \(place)); convert it first, for example with iconv",
                param: param)
        }
    }

    /// Text and options stand side by side.
    public init(from decoder: any Decoder) throws {
        text = try decoder.container(keyedBy: OptionKey.self).decode(String.self, forKey: .text)
        options = try DocumentOptions(from: decoder)
    }

    /// Text and options stand side by side.
    public func encode(to encoder: any Encoder) throws {
        try options.encode(to: encoder)
        var fields = encoder.container(keyedBy: OptionKey.self)
        try fields.encode(text, forKey: .text)
    }
}

/// The body of `PATCH /v1/documents/{id}`: what becomes of a stored document; nil leaves a field as it is.
public struct DocumentChange: Codable, Equatable, Sendable {
    /// Seconds to live from the last use; `.some(nil)`: for ever.
    public var ttlSeconds: Int??
    /// Whether the store may never reclaim it.
    public var pinned: Bool?
    /// How much of it to keep, no more than now.
    public var keep: Keep?
    /// What it is called from now on.
    public var name: String?

    /// Changes nothing unless told.
    public init(ttlSeconds: Int?? = nil, pinned: Bool? = nil, keep: Keep? = nil, name: String? = nil) {
        (self.ttlSeconds, self.pinned, self.keep, self.name) = (ttlSeconds, pinned, keep, name)
    }

    /// Throws what cannot be meant, whatever the document is.
    public func validate() throws(RequestError) {
        try DocumentOptions(keep: keep, ttlSeconds: ttlSeconds ?? nil).validate()
        if let name { _ = try DocumentName.checked(name, param: OptionKey.name.rawValue) }
    }

    /// A time to live of null is none.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: OptionKey.self)
        self.init()
        if fields.contains(.ttlSeconds) {
            ttlSeconds = .some(try fields.number(Int.self, forKey: .ttlSeconds, wanted: DocumentOptions.wantedTTL))
        }
        pinned = try fields.decodeIfPresent(Bool.self, forKey: .pin)
        keep = try fields.keep()
        name = try fields.decodeIfPresent(String.self, forKey: .name)
        try validate()
    }

    /// Only what changes.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: OptionKey.self)
        if let ttlSeconds { try fields.encode(ttlSeconds, forKey: .ttlSeconds) }
        try fields.encodeIfPresent(pinned, forKey: .pin)
        try fields.encode(keep)
        try fields.encodeIfPresent(name, forKey: .name)
    }
}
