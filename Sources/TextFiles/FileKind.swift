// What a file is, from its bytes: names lie, and a PDF without a letter above ASCII is valid UTF-8.

/// A kind of file that a document's text can be got from.
public enum FileKind: Equatable, Sendable {
    /// Text, in UTF-8 unless it turns out to be something older.
    case text
    /// UTF-16, with a mark of its byte order or by its zeros.
    case utf16(littleEndian: Bool)
    /// UTF-8 behind a byte order mark, which is no part of the text.
    case marked
    case pdf
    case html
    case rtf
    case docx
    case odt
    case epub
    case gzip
    /// Something of which no text is to be had, and what it seems to be.
    case unreadable(String)

    /// How many bytes at the beginning of a file are looked at.
    public static let headBytes = 4096
    /// How many at its end: the directory of a ZIP file with some hundred entries.
    public static let tailBytes = 65_536

    /// Recognises a file by its first and its last bytes, which may be the same.
    public init(head: [UInt8], tail: [UInt8]) {
        func starts(_ text: String) -> Bool { head.starts(with: text.utf8) }
        // Some writers put something before the header; readers look for it in the first 1,024 bytes (ISO 32000, H.3).
        if Self.find("%PDF-", in: head.prefix(1024)) {
            self = .pdf
        } else if head.starts(with: [0x1F, 0x8B]) {
            self = .gzip
        } else if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
            self = Self.zip(head: head, tail: tail)
        } else if starts("{\\rtf") {
            self = .rtf
        } else if head.starts(with: [0xEF, 0xBB, 0xBF]) {
            self = Self.isHTML(head) ? .html : .marked
        } else if head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF]) {
            self = .utf16(littleEndian: head[0] == 0xFF)
        } else if let isLittleEndian = Self.zeroHalves(head) {
            self = .utf16(littleEndian: isLittleEndian)
        } else if let name = Self.signatures.first(where: { head.starts(with: $0.bytes) })?.name {
            self = .unreadable(name)
        } else if head.contains(where: { $0 < 7 || (14..<27).contains($0) || (28..<32).contains($0) }) {
            self = .unreadable("a binary file")
        } else {
            self = Self.isHTML(head) ? .html : .text
        }
    }

    /// What people try, and what it is called.
    private static let signatures: [(bytes: [UInt8], name: String)] = [
        ([0x89, 0x50, 0x4E, 0x47], "a PNG image"), ([0xFF, 0xD8, 0xFF], "a JPEG image"),
        (Array("GIF8".utf8), "a GIF image"), ([0x7F, 0x45, 0x4C, 0x46], "a program"),
        ([0xD0, 0xCF, 0x11, 0xE0], "an old Office file; save it as DOCX"), (Array("GGUF".utf8), "a model"),
        ([0x28, 0xB5, 0x2F, 0xFD], "a zstd archive"), ([0xFD, 0x37, 0x7A, 0x58, 0x5A], "an xz archive"),
        (Array("BZh".utf8), "a bzip2 archive"), (Array("%!PS".utf8), "PostScript; make it a PDF with ps2pdf"),
    ]

    // ODF and EPUB say what they are in a first entry "mimetype" that is not compressed; Office files name their parts
    // in the directory at the end.
    private static func zip(head: [UInt8], tail: [UInt8]) -> FileKind {
        if find("mimetypeapplication/epub+zip", in: head[...]) { return .epub }
        if find("mimetypeapplication/vnd.oasis.opendocument.text", in: head[...]) { return .odt }
        if find("word/document.xml", in: tail[...]) { return .docx }
        if find("xl/workbook.xml", in: tail[...]) { return .unreadable("a spreadsheet; save it as CSV") }
        if find("ppt/presentation.xml", in: tail[...]) { return .unreadable("a presentation; save it as PDF") }
        return .unreadable("a ZIP archive; unpack it first")
    }

    /// Whether nearly every other byte is zero, as where Latin text is UTF-16, and which half it is.
    private static func zeroHalves(_ head: [UInt8]) -> Bool? {
        guard head.count >= 16 else { return nil }
        let even = stride(from: 0, to: head.count, by: 2).count { head[$0] == 0 }
        let odd = stride(from: 1, to: head.count, by: 2).count { head[$0] == 0 }
        let most = head.count / 2 * 9 / 10
        if odd >= most, even == 0 { return true }
        return even >= most && odd == 0 ? false : nil
    }

    private static func isHTML(_ head: [UInt8]) -> Bool {
        var text = String(decoding: head, as: UTF8.self).lowercased()[...]
        if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
        // Comments and a declaration of XML may stand before.
        while true {
            text = text.drop { $0.isWhitespace }
            if text.hasPrefix("<!--"), let end = text.firstRange(of: "-->") {
                text = text[end.upperBound...]
            } else if text.hasPrefix("<?xml"), let end = text.firstRange(of: "?>") {
                text = text[end.upperBound...]
            } else {
                return text.hasPrefix("<!doctype html") || text.hasPrefix("<html")
            }
        }
    }

    private static func find(_ text: String, in bytes: ArraySlice<UInt8>) -> Bool {
        let wanted = Array(text.utf8)
        return bytes.firstRange(of: wanted) != nil
    }
}
