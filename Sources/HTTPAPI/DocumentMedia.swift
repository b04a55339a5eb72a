// What a document's request may hold: text. Anything else is refused by name, rather than stored as its bytes.

import API
import HTTPTypes

/// The media types of documents.
enum DocumentMedia {
    /// How the body of a put is meant.
    enum Kind {
        case text
        case json
    }

    private static let mend = "send its text, or let \"cakectl put FILE\" convert it"

    /// What a request's `Content-Type` says; none is text.
    static func kind(_ header: String?) throws -> Kind {
        let type = (header ?? "text/plain").lowercased().prefix { $0 != ";" }.filter { !$0.isWhitespace }
        switch type {
        case "application/json": return .json
        // What curl says of `-d` and `-F` unless it is told otherwise: JSON would be stored as the text itself.
        case "application/x-www-form-urlencoded",
            _ where type.hasPrefix("multipart/"):
            throw RequestError.unsupported(
                """
                a form is no document: send JSON with -H 'Content-Type: application/json', or the text itself with \
                -H 'Content-Type: text/plain' --data-binary @FILE
                """, param: "Content-Type")
        // Whatever a text's markup is, and what programs say that do not know; the bytes must be UTF-8 all the same.
        case "", "application/octet-stream",
            _ where type.hasPrefix("text/"):
            return .text
        case "application/xml", "application/yaml", "application/toml", "application/x-ndjson", "application/jsonl",
            _ where type.hasSuffix("+xml") || type.hasSuffix("+json"):
            return .text
        default:
            throw APIError(
                .unsupportedMediaType, "unsupported_media_type",
                "documents of type \(String(type.prefix(80))) are not read here: \(mend)", param: "Content-Type")
        }
    }

    /// Refuses what is valid UTF-8 and yet no text.
    static func check(_ text: [UInt8]) throws {
        let head = text.prefix(1024)
        guard head.firstRange(of: Array("%PDF-".utf8)) == nil else {
            throw APIError(
                .unsupportedMediaType, "unsupported_media_type", "this is a PDF, not its text: \(mend)", param: "text")
        }
        guard !head.starts(with: "{\\rtf".utf8) else {
            throw APIError(
                .unsupportedMediaType, "unsupported_media_type", "this is RTF, not its text: \(mend)", param: "text")
        }
    }
}
