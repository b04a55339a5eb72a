// What files are taken for, by their bytes.

import Testing
import TextFiles

@Suite struct FileKindTests {
    private static func utf16(_ text: String, littleEndian: Bool) -> [UInt8] {
        text.utf16.flatMap { unit in
            let (high, low) = (UInt8(unit >> 8), UInt8(truncatingIfNeeded: unit))
            return littleEndian ? [low, high] : [high, low]
        }
    }

    private static func zip(_ first: String, _ last: String) -> [UInt8] {
        [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: 26) + Array(first.utf8) + Array(last.utf8)
    }

    @Test(
        "a file is recognised by its content",
        arguments: [
            (Array("plain text".utf8), FileKind.text),
            (Array("# A heading\n\n<html> is a tag.".utf8), .text),
            (Array("%PDF-1.4\n% only ASCII".utf8), .pdf),
            (Array("noise before\n%PDF-1.7".utf8), .pdf),
            (Array(" \n<!-- c -->\n<!DOCTYPE html><p>".utf8), .html),
            (Array("<?xml version=\"1.0\"?>\n<html xmlns=\"x\">".utf8), .html),
            ([0xEF, 0xBB, 0xBF] + Array("<html>".utf8), .html),
            ([0xEF, 0xBB, 0xBF] + Array("text".utf8), .marked),
            (Array("{\\rtf1\\ansi".utf8), .rtf),
            ([0xFF, 0xFE] + utf16("text", littleEndian: true), .utf16(littleEndian: true)),
            ([0xFE, 0xFF] + utf16("text", littleEndian: false), .utf16(littleEndian: false)),
            (utf16("text without a mark", littleEndian: true), .utf16(littleEndian: true)),
            (utf16("text without a mark", littleEndian: false), .utf16(littleEndian: false)),
            ([0x1F, 0x8B, 8, 0], .gzip),
            (zip("mimetypeapplication/epub+zip", ""), .epub),
            (zip("mimetypeapplication/vnd.oasis.opendocument.text", ""), .odt),
            (zip("[Content_Types].xml", "word/document.xml"), .docx),
            (zip("a.txt", "a.txt"), .unreadable("a ZIP archive; unpack it first")),
            (zip("[Content_Types].xml", "xl/workbook.xml"), .unreadable("a spreadsheet; save it as CSV")),
            ([0x89, 0x50, 0x4E, 0x47, 13, 10], .unreadable("a PNG image")),
            (Array("Gr\u{FC}n".unicodeScalars.map { UInt8($0.value) }), .text),
            (Array("a\u{0}b\u{1}c".utf8), .unreadable("a binary file")),
            ([], .text),
        ] as [([UInt8], FileKind)])
    func kinds(_ bytes: [UInt8], _ kind: FileKind) {
        #expect(FileKind(head: bytes, tail: bytes) == kind)
    }

    @Test(
        "a file's name becomes a document's",
        arguments: [
            ("contract.pdf", "contract.pdf"), ("My contract (final).pdf", "My-contract-final-.pdf"),
            (".hidden", "hidden"), ("Größe.txt", "Gr-e.txt"), ("…", "document"),
            (String(repeating: "a", count: 200), String(repeating: "a", count: 128)),
        ])
    func names(_ file: String, _ name: String) {
        #expect(NamedFile.documentName(of: file) == name)
    }
}
