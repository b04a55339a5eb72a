// The fields of requests by name, and what becomes of others: none changes an answer, or fails to, without a word.

/// What becomes of a field that is unknown and looks like no known one.
public enum UnknownFields: String, CaseIterable, Sendable {
    /// The answer says that it has no effect.
    case warn
    /// The request is refused, as it is for a field that looks like a known one.
    case refuse
}

/// The fields that a kind of request has.
public struct RequestFields: Sendable {
    /// Unknown fields that are looked at one by one; a request with more is none of a client's that means well.
    private static let maximumUnknown = 64
    /// Bytes of a name that is compared with others: far more than the longest known one.
    private static let maximumComparedBytes = 64

    private let known: [String]
    /// Fields of OpenAI's that change nothing here.
    private let withoutEffect: Set<String>
    /// Fields of other engines that look like known ones, and mean something else.
    private let foreign: Set<String>
    /// Whether a field that begins as a known one does, or the other way round, is taken for it.
    private let comparesBeginnings: Bool

    init(
        _ known: [String], withoutEffect: Set<String> = [], foreign: Set<String> = [], comparesBeginnings: Bool = true
    ) {
        (self.known, self.withoutEffect, self.foreign) = (known, withoutEffect, foreign)
        self.comparesBeginnings = comparesBeginnings
    }

    /// Those of a question.
    public static let completion = RequestFields(
        CompletionBody.fieldNames + UnsupportedFields.names, withoutEffect: UnsupportedFields.withoutEffect,
        foreign: ["top_a", "n_keep"], comparesBeginnings: false)
    /// Those of its `stream_options`.
    static let streamOptions = RequestFields(["include_usage"], withoutEffect: ["include_obfuscation"])
    /// Those of a document as JSON.
    public static let put = RequestFields(OptionKey.allCases.filter { $0 != .name }.map(\.rawValue))
    /// Those of a document's query.
    public static let putQuery = RequestFields(QueryName.put.map(\.rawValue))
    /// Those of a change to a document.
    public static let change = RequestFields(OptionKey.change.map(\.rawValue))
    /// Those of an import's query.
    public static let importQuery = RequestFields(QueryName.importing.map(\.rawValue))
    /// Those of a list's query.
    public static let listQuery = RequestFields(["state", "after", "limit"])

    /// A warning for each name that is unknown; throws where one looks like a known field, or all are to be refused.
    public func warnings(about names: [String], _ policy: UnknownFields) throws(RequestError) -> [String] {
        let unknown = names.filter { !known.contains($0) && !withoutEffect.contains($0) }
        guard unknown.count <= Self.maximumUnknown else {
            throw RequestError("unknown_parameter", "\(unknown.count) fields of the request are unknown")
        }
        for name in unknown {
            let shown = Self.shown(name)
            if let meant = meant(by: name) {
                throw RequestError(
                    "unknown_parameter", "`\(shown)` is unknown: is `\(meant)` meant?", param: shown)
            }
            if policy == .refuse {
                throw RequestError(
                    "unknown_parameter", "`\(shown)` is unknown: known are \(known.joined(separator: ", "))",
                    param: shown)
            }
        }
        return unknown.map { "`\(Self.shown($0))` is unknown and has no effect" }
    }

    /// The same of the names in a query.
    public func warnings(query: String, _ policy: UnknownFields) throws(RequestError) -> [String] {
        try warnings(about: QueryText.items(query).map(\.name), policy)
    }

    /// The known field that a name looks like; nil where it looks like none.
    private func meant(by name: String) -> String? {
        guard name.utf8.count <= Self.maximumComparedBytes, !foreign.contains(name) else { return nil }
        let plain = Self.plain(name)
        // Whoever speaks of a document must not be answered as if there were none.
        if plain.contains("doc") || plain.contains("dok"), known.contains("document") { return "document" }
        let known = known.map { (name: $0, plain: Self.plain($0)) }
        if comparesBeginnings,
            let begun = known.first(where: { $0.plain.hasPrefix(plain) || plain.hasPrefix($0.plain) }),
            min(begun.plain.utf8.count, plain.utf8.count) >= 3
        {
            return begun.name
        }
        guard let nearest = EditDistance.nearest(to: plain, among: known.map(\.plain)) else { return nil }
        let allowed =
            switch plain.utf8.count {
            case ...2: 0
            case ...5: 1
            default: 2
            }
        return nearest.distance <= allowed ? known.first { $0.plain == nearest.word }?.name : nil
    }

    /// A name without what clients write in different ways.
    private static func plain(_ name: String) -> String { name.lowercased().filter { $0 != "_" && $0 != "-" } }

    private static func shown(_ name: String) -> String { String(name.prefix(60)) }
}

/// A field by whatever name it has.
struct AnyKey: CodingKey {
    var stringValue: String
    var intValue: Int? { nil }
    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
