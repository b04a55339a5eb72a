// The query of a request about a document: its options where the body is the document itself.

/// The items of a query, by their names.
enum QueryName: String, CaseIterable {
    case keep, budget, method, effort, probe, rows, ttl, pin, detach, check, name

    /// Those of a document that is put.
    static let put = allCases.filter { $0 != .name }
    /// Those of one that is imported.
    static let importing: [QueryName] = [.name, .ttl, .pin]
}

extension DocumentOptions {
    /// Reads `keep=10%&method=…&effort=…&probe=…&rows=…&ttl=SECONDS&pin=true&check=true` or `budget=512`; `probe` may
    /// repeat.
    ///
    /// Other items are `RequestFields`' to judge.
    public init(query: String) throws(RequestError) {
        self.init()
        var share: Keep?
        var budget: Int?
        for (name, value) in QueryText.items(query) {
            switch QueryName(rawValue: name) {
            case .keep: share = try Keep.share(value)
            case .budget:
                guard let number = Int(value) else { throw Keep.wrongBudget }
                budget = number
            case .method: method = value
            case .effort: effort = value
            case .probe: probes.append(value)
            case .rows: rows = value
            case .ttl: ttlSeconds = try Self.ttl(value)
            case .pin: pinned = try Self.flag(value, .pin)
            case .detach: detached = try Self.flag(value, .detach)
            case .check: check = try Self.flag(value, .check)
            case .name, nil: break
            }
        }
        keep = try Keep.either(share: share, budget: budget)
        try validate()
    }

    private static func ttl(_ value: String) throws(RequestError) -> Int {
        let name = QueryName.ttl.rawValue
        guard let seconds = Int(value) else {
            throw .invalid("`\(name)` must be \(wantedTTL)", param: name)
        }
        try check(ttlSeconds: seconds, param: name)
        return seconds
    }

    private static func flag(_ value: String, _ name: QueryName) throws(RequestError) -> Bool {
        guard let on = ["true": true, "1": true, "": true, "false": false, "0": false][value] else {
            throw .invalid("`\(name.rawValue)` must be true or false", param: name.rawValue)
        }
        return on
    }

    /// The options as a query, without what is not given.
    public var query: String { QueryText.query(queryItems) }

    private var queryItems: [(name: String, value: String)] {
        var items: [(QueryName, String)] = []
        switch keep {
        case .percent(let percent):
            items.append((.keep, (Int(exactly: percent).map(String.init) ?? "\(percent)") + "%"))
        case .budget(let budget): items.append((.budget, String(budget)))
        case .auto: items.append((.keep, "auto"))
        case nil: break
        }
        if let method { items.append((.method, method)) }
        if let effort { items.append((.effort, effort)) }
        items += probes.map { (.probe, $0) }
        if let rows { items.append((.rows, rows)) }
        if let ttlSeconds { items.append((.ttl, String(ttlSeconds))) }
        if pinned { items.append((.pin, "true")) }
        if detached { items.append((.detach, "true")) }
        if let check { items.append((.check, "\(check)")) }
        return items.map { ($0.rawValue, $1) }
    }
}

/// A document as a file that another caked with the same model can read.
public enum ExportedDocument {
    /// What it is called in headers.
    public static let mediaType = "application/x-caked-document"
}

/// What an import sets itself.
public struct ImportOptions: Equatable, Sendable {
    /// The document's name here; nil: the one it had.
    public var name: String?
    /// Seconds from now after which the document expires; nil: never.
    public var ttlSeconds: Int?
    /// Whether the store may never reclaim it.
    public var pinned: Bool

    /// The name it had, for ever, unless told otherwise.
    public init(name: String? = nil, ttlSeconds: Int? = nil, pinned: Bool = false) {
        (self.name, self.ttlSeconds, self.pinned) = (name, ttlSeconds, pinned)
    }

    /// Reads `name=…&ttl=SECONDS&pin=true`: time to live and pin are what a put's are.
    public init(query: String) throws(RequestError) {
        let put = try DocumentOptions(query: query)
        self.init(ttlSeconds: put.ttlSeconds, pinned: put.pinned)
        for (name, value) in QueryText.items(query) where name == QueryName.name.rawValue {
            self.name = try DocumentName.checked(value, param: name)
        }
    }

    /// The options as a query, without what is not given.
    public var query: String {
        let rest = DocumentOptions(ttlSeconds: ttlSeconds, pinned: pinned).query
        let first = name.map { QueryText.query([(QueryName.name.rawValue, $0)]) } ?? ""
        return first + (first.isEmpty || rest.isEmpty ? rest : "&" + rest)
    }
}

/// The text of queries.
public enum QueryText {
    /// The items of a query, decoded.
    static func items(_ query: String) -> [(name: String, value: String)] {
        query.split(separator: "&").map { item in
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return (decoded(parts[0]), parts.count == 2 ? decoded(parts[1]) : "")
        }
    }

    /// The items as a query, values encoded.
    static func query(_ items: [(name: String, value: String)]) -> String {
        items.map { $0.name + "=" + encoded($0.value) }.joined(separator: "&")
    }

    /// Percent-decodes `text`; a sign that begins no escape stands for itself, so that `keep=10%` means what it says.
    static func decoded(_ text: Substring) -> String {
        let bytes = Array(text.utf8)
        var decoded: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count, let high = digit(bytes[index + 1]),
                let low = digit(bytes[index + 2])
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index] == UInt8(ascii: "+") ? UInt8(ascii: " ") : bytes[index])
                index += 1
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// `text` as a value in a query: all but what RFC 3986, section 2.3, calls unreserved is escaped.
    static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { encoded, byte in
            if isUnreserved(byte) {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                encoded += "%" + String(digits[Int(byte >> 4)]) + String(digits[Int(byte & 15)])
            }
        }
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        DocumentName.isAllowed(byte) || byte == UInt8(ascii: "~")
    }
}
