// Which program reads which kind of file, and how it is called.

/// The programs that read files.
enum Conversion {
    /// The program that writes a file's text, in UTF-8, to its standard output.
    static func program(
        for kind: FileKind, path: String, name: String, encoding: String?
    ) throws(TextFileError) -> BoundedProgram {
        switch kind {
        case .pdf:
            // Form feeds stand between pages, so that a place in the text tells its page.
            return BoundedProgram(
                name: "pdftotext", package: "poppler-utils", arguments: ["-layout", "-enc", "UTF-8", path, "-"])
        case .html: return pandoc("html", path)
        case .rtf: return pandoc("rtf", path)
        case .docx: return pandoc("docx", path)
        case .odt: return pandoc("odt", path)
        case .epub: return pandoc("epub", path)
        case .marked:
            return BoundedProgram(name: "tail", package: "coreutils", arguments: ["-c", "+4", "--", path])
        case .utf16(let isLittleEndian): return iconv(isLittleEndian ? "UTF-16LE" : "UTF-16BE", path)
        // What is not UTF-8 and has no control characters is most likely what Windows wrote in the West.
        case .text: return iconv(encoding ?? "WINDOWS-1252", path)
        case .gzip: throw .noText(name, kind: "compressed twice; unpack it first")
        case .unreadable(let what): throw .noText(name, kind: what)
        }
    }

    /// Markdown, whose headings say where sections begin; nothing but the file is read.
    private static func pandoc(_ format: String, _ path: String) -> BoundedProgram {
        BoundedProgram(
            name: "pandoc", package: "pandoc",
            arguments: ["--sandbox", "--from=\(format)", "--to=gfm-raw_html", "--wrap=none", path])
    }

    private static func iconv(_ encoding: String, _ path: String) -> BoundedProgram {
        BoundedProgram(name: "iconv", package: "libc-bin", arguments: ["-f", encoding, "-t", "UTF-8", "--", path])
    }
}

extension BoundedProgram {
    static func gunzip(_ path: String) -> BoundedProgram {
        BoundedProgram(name: "gzip", package: "gzip", arguments: ["-dc", "--", path])
    }

    /// Gives pages that are pictures their text, which takes seconds for each; those that have some keep it.
    static func ocr(_ path: String, into output: String) -> BoundedProgram {
        BoundedProgram(
            name: "ocrmypdf", package: "ocrmypdf",
            arguments: ["--skip-text", "--output-type", "pdf", "--quiet", "--", path, output], seconds: 3600)
    }
}
