// Files as people have them, made here by the programs that make such files, and what text is got from them.

import CakedClient
import Foundation
import Testing
import TextFiles

/// Files of every kind, made of one text where the programs for it are installed.
@Suite struct TextFileTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "textfiles-\(UUID().uuidString)")

    private static func isInstalled(_ program: String) -> Bool {
        ["/usr/bin/", "/bin/"].contains { FileManager.default.isExecutableFile(atPath: $0 + program) }
    }

    private func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let url = folder.appending(path: name)
        try Data(bytes).write(to: url)
        return url.path
    }

    private func run(_ program: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(program) \(arguments)")
    }

    private func text(
        _ path: String, _ options: TextFile.Options = .init()
    ) async throws -> (text: String, way: String?) {
        let file = try await TextFile(path: path, options: options)
        var bytes: [UInt8] = []
        while bytes.count < file.text.byteCount { bytes += try file.text.chunk(at: bytes.count) }
        return (String(decoding: bytes, as: UTF8.self), file.way)
    }

    /// A PDF of one page a text, with nothing but ASCII in it.
    private static func pdf(_ pages: [String]) -> [UInt8] {
        var (body, offsets) = ("%PDF-1.4\n", [Int]())
        func add(_ object: String) {
            offsets.append(body.utf8.count)
            body += "\(offsets.count) 0 obj\n\(object)\nendobj\n"
        }
        let kids = pages.indices.map { "\(4 + 2 * $0) 0 R" }.joined(separator: " ")
        add("<< /Type /Catalog /Pages 2 0 R >>")
        add("<< /Type /Pages /Kids [\(kids)] /Count \(pages.count) >>")
        add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
        for (index, page) in pages.enumerated() {
            add(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents \(5 + 2 * index) 0 R "
                    + "/Resources << /Font << /F1 3 0 R >> >> >>")
            let stream = page.isEmpty ? "" : "BT /F1 12 Tf 72 720 Td (\(page)) Tj ET"
            add("<< /Length \(stream.utf8.count) >>\nstream\n\(stream)\nendstream")
        }
        let start = body.utf8.count
        body += "xref\n0 \(offsets.count + 1)\n0000000000 65535 f \n"
        for offset in offsets { body += String(repeating: "0", count: 10 - "\(offset)".count) + "\(offset) 00000 n \n" }
        body += "trailer << /Size \(offsets.count + 1) /Root 1 0 R >>\nstartxref\n\(start)\n%%EOF\n"
        return Array(body.utf8)
    }

    @Test("text comes as it is in UTF-8, and from UTF-16, Windows-1252, a byte order mark, gzip and a named encoding")
    func encodings() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let wanted = "Grün, naïve, “quoted”.\n"
        let bytes = Array(wanted.utf8)
        let plain = try file("plain.txt", bytes)
        #expect(try await text(plain) == (wanted, nil))
        #expect(try await text(file("marked.txt", [0xEF, 0xBB, 0xBF] + bytes)) == (wanted, "by tail"))
        let windows = try #require(wanted.data(using: .windowsCP1252))
        #expect(try await text(file("old.txt", Array(windows))) == (wanted, "by iconv"))
        for encoding in [String.Encoding.utf16LittleEndian, .utf16BigEndian] {
            let long = String(repeating: "plain words ", count: 20)
            let data = try #require(long.data(using: encoding))
            #expect(try await text(file("wide.txt", Array(data))) == (long, "by iconv"))
        }
        try run("gzip", ["-k", plain])
        #expect(try await text(plain + ".gz") == (wanted, "by gzip"))
        let named = try file("greek.txt", [0xE1, 0xE2, 0xE3, 0x0A])
        #expect(try await text(named, TextFile.Options(encoding: "ISO-8859-7")).text == "αβγ\n")
    }

    @Test("the text of a PDF is what is on its pages, one after the other, and never its source")
    func pdf() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = try file("two.txt", Self.pdf(["The harbour closes at nine.", "It opens at five."]))
        guard Self.isInstalled("pdftotext") else {
            await #expect(throws: TextFileError.missingProgram("pdftotext", package: "poppler-utils")) {
                _ = try await TextFile(path: path)
            }
            return
        }
        let found = try await text(path)
        let pages = found.text.split(separator: "\u{C}", omittingEmptySubsequences: false).map {
            $0.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        #expect(pages == ["The harbour closes at nine.", "It opens at five.", ""] && found.way == "by pdftotext")
        // Compressed once more, and of pages that are pictures.
        try run("gzip", [path])
        #expect(try await text(path + ".gz").text == found.text)
        let empty = try file("empty.pdf", Self.pdf(["", ""]))
        await #expect(throws: TextFileError.emptyText(empty, isPDF: true)) { _ = try await TextFile(path: empty) }
    }

    @Test(
        "HTML, RTF, DOCX, ODT and EPUB become text with their headings",
        arguments: ["html", "rtf", "docx", "odt", "epub"])
    func pandoc(_ format: String) async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        guard Self.isInstalled("pandoc") else {
            print("pandoc is not installed, so \(format) is not tried")
            return
        }
        let markdown = "---\ntitle: T\n---\n\n# Opening hours\n\nThe harbour closes at *nine*.\n"
        let source = try file("source.md", Array(markdown.utf8))
        let made = folder.appending(path: "made").path
        try run("pandoc", ["-s", "-t", format, "-o", made, source])
        let found = try await text(made)
        #expect(found.text.contains("Opening hours") && found.text.contains("The harbour closes at *nine*."))
        #expect(!found.text.contains("<p>") && found.way == "by pandoc", "\(found)")
    }

    @Test("what has no text is refused by what it is, and so is a program that fails or takes too much")
    func refusals() async throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let picture = try file("p.txt", [0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10])
        await #expect(throws: TextFileError.noText(picture, kind: "a PNG image")) {
            _ = try await TextFile(path: picture)
        }
        let twice = try file("a", Array("text".utf8))
        try run("gzip", [twice])
        try run("mv", [twice + ".gz", twice])
        try run("gzip", [twice])
        let error = await #expect(throws: TextFileError.self) { _ = try await TextFile(path: twice + ".gz") }
        #expect(error?.description.contains("compressed twice") == true)
        // A small file that unpacks to more than is taken.
        let bomb = try file("bomb", [UInt8](repeating: 65, count: 3 << 20))
        try run("gzip", [bomb])
        await #expect(throws: TextFileError.tooLarge(maximumBytes: 1 << 20)) {
            _ = try await TextFile(path: bomb + ".gz", options: TextFile.Options(maximumBytes: 1 << 20))
        }
        let broken = try file("broken.gz", [0x1F, 0x8B, 8, 0, 1, 2, 3])
        let failure = await #expect(throws: TextFileError.self) { _ = try await TextFile(path: broken) }
        guard case .failed("gzip", let said) = failure else {
            Issue.record("\(String(describing: failure))")
            return
        }
        #expect(!said.isEmpty)
        let nowhere = folder.appending(path: "nowhere").path
        await #expect(throws: TextFileError.self) { _ = try await TextFile(path: nowhere) }
    }

    @Test("files of a folder are called by their paths in it; two that would have one name are refused")
    func folders() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["b.txt", "a b.txt", ".hidden"] { _ = try file(name, [65]) }
        let inner = folder.appending(path: "part/one")
        try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: true)
        try Data([65]).write(to: inner.appending(path: "c.md"))
        let files = try NamedFile.files(at: folder.path)
        #expect(files.map(\.name) == ["a-b.txt", "b.txt", "part-one-c.md"])
        #expect(files.allSatisfy { FileManager.default.fileExists(atPath: $0.path) })
        #expect(throws: TextFileError.sameName("x/a", "y/a", name: "a")) {
            _ = try NamedFile.distinct([NamedFile(name: "a", path: "x/a"), NamedFile(name: "a", path: "y/a")])
        }
    }
}
