// What a client may say about a document: the text and its options, as JSON or as plain text with a query.

import HTTPTypes
import Hummingbird
import HummingbirdCore
import Inference
import NIOCore

/// The body or query of `PUT /v1/documents/{id}`.
package struct PutOptions: Decodable, Equatable {
    /// The longest time to live: a hundred years, so that no sum of times overflows.
    static let maxTTLSeconds = 100 * 366 * 86400

    var text: String?
    var keep: Keep?
    var method: String?
    var effort: String?
    var probes: [String] = []
    var rows: String?
    var ttlSeconds: Int?
    var pin: Bool = false
    var detach: Bool = false
    /// nil: where `keep` or the configuration need it.
    var check: Bool?

    enum CodingKeys: String, CodingKey {
        case text, keep, budget, method, effort, probes, rows
        case ttlSeconds = "ttl_seconds"
        case pin, detach, check
    }

    /// `{"text": …, "keep": "10%" | 0.1 | "auto", "budget": 512, …}`.
    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        text = try fields.decode(String.self, forKey: .text)
        keep = try Self.keep(fields, keep: .keep, budget: .budget)
        method = try fields.decodeIfPresent(String.self, forKey: .method)
        effort = try fields.decodeIfPresent(String.self, forKey: .effort)
        probes = try fields.decodeIfPresent([String].self, forKey: .probes) ?? []
        rows = try fields.decodeIfPresent(String.self, forKey: .rows)
        ttlSeconds = try Self.ttl(fields.number(Int.self, forKey: .ttlSeconds), param: "ttl_seconds")
        pin = try fields.decodeIfPresent(Bool.self, forKey: .pin) ?? false
        detach = try fields.decodeIfPresent(Bool.self, forKey: .detach) ?? false
        check = try fields.decodeIfPresent(Bool.self, forKey: .check)
    }

    /// `keep=10%&method=…&effort=…&probe=…&rows=…&ttl=SECONDS&pin=true&check=true` or `budget=512`; `probe` may repeat; other items are ignored, as unknown fields are.
    package init(query: String) throws {
        var share: Keep?
        var budget: Int?
        for item in query.split(separator: "&") {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = parts.count == 2 ? QueryText.decoded(parts[1]) : ""
            switch QueryText.decoded(parts[0]) {
            case "keep": share = try Self.share(value)
            case "budget":
                guard let number = Int(value) else { throw Self.badBudget("`budget` must be a whole number", "budget") }
                budget = number
            case "method": method = value
            case "effort": effort = value
            case "probe": probes.append(value)
            case "rows": rows = value
            case "ttl":
                guard let seconds = Int(value) else {
                    throw APIError.invalid("`ttl` must be a whole number of seconds", param: "ttl")
                }
                ttlSeconds = try Self.ttl(seconds, param: "ttl")
            case "pin": pin = try Self.flag(value, param: "pin")
            case "detach": detach = try Self.flag(value, param: "detach")
            case "check": check = try Self.flag(value, param: "check")
            default: break
            }
        }
        keep = try Self.keep(share, budget: budget)
    }

    private static func flag(_ value: String, param: String) throws -> Bool {
        guard let on = ["true": true, "1": true, "": true, "false": false, "0": false][value] else {
            throw APIError.invalid("`\(param)` must be true or false", param: param)
        }
        return on
    }

    private static func share(_ text: String) throws -> Keep {
        guard let keep = KeepText.keep(text) else { throw badBudget("`keep` must be \(KeepText.wanted)", "keep") }
        return keep
    }

    /// `"keep": "10%" | 0.1 | "auto"` or `"budget": 512`.
    static func keep<Key>(_ fields: KeyedDecodingContainer<Key>, keep: Key, budget: Key) throws -> Keep? {
        let budget = try fields.number(Int.self, forKey: budget)
        var share: Keep?
        if let text = try? fields.decodeIfPresent(String.self, forKey: keep) {
            share = try self.share(text)
        } else if let number = try fields.number(Double.self, forKey: keep) {
            share = try self.share("\(number)")
        }
        return try self.keep(share, budget: budget)
    }

    private static func keep(_ share: Keep?, budget: Int?) throws -> Keep? {
        if share != nil, budget != nil { throw badBudget("give either `keep` or `budget`, not both", "budget") }
        guard let budget else { return share }
        guard budget > 0 else { throw badBudget("`budget` must be a positive number of entries", "budget") }
        return .budget(budget)
    }

    private static func badBudget(_ message: String, _ param: String) -> APIError {
        APIError(.badRequest, "invalid_budget", message, param: param)
    }

    static func ttl(_ seconds: Int?, param: String) throws -> Int? {
        guard let seconds else { return nil }
        guard (1...maxTTLSeconds).contains(seconds) else {
            throw APIError.invalid("`\(param)` must be between 1 and \(maxTTLSeconds) seconds", param: param)
        }
        return seconds
    }
}

/// How a share of a cache is written, in requests and in the configuration.
public enum KeepText {
    /// What a value must be, for error messages.
    public static let wanted =
        "a percentage such as 10% or a share such as 0.1, more than nothing and at most all, or auto"

    /// What "10%" or, as a share, "0.1" or "auto" stands for; nil where it is none of them or out of range.
    public static func keep(_ text: String) -> Keep? {
        if text == "auto" { return .auto }
        let percent = text.hasSuffix("%") ? Double(text.dropLast()) : Double(text).map { $0 * 100 }
        return percent.flatMap { $0 > 0 && $0 <= 100 ? .percent($0) : nil }
    }
}

/// The body of `PATCH /v1/documents/{id}`.
package struct PatchOptions: Decodable, Equatable {
    /// nil: as it is; `.some(nil)`: for ever.
    var ttlSeconds: Int??
    var pin: Bool?
    /// How much to keep, less than now.
    var keep: Keep?

    enum CodingKeys: String, CodingKey {
        case ttlSeconds = "ttl_seconds"
        case pin, keep, budget
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        if fields.contains(.ttlSeconds) {
            ttlSeconds = .some(
                try PutOptions.ttl(fields.number(Int.self, forKey: .ttlSeconds), param: "ttl_seconds"))
        }
        pin = try fields.decodeIfPresent(Bool.self, forKey: .pin)
        keep = try PutOptions.keep(fields, keep: .keep, budget: .budget)
    }
}

/// The text of a query item.
enum QueryText {
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
}
