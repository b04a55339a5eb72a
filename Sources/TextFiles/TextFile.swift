// From a file of any common kind to its text: recognised by content, converted by the program that does it best.

import CakedClient

/// A file's text, ready to be sent; what was written on the way goes with it.
public struct TextFile: Sendable {
    /// The text.
    public let text: DocumentText
    /// How it was got, where that was more than reading it: "by pdftotext".
    public let way: String?
    private let folder: TemporaryFolder?

    /// How the text is got.
    public struct Options: Sendable {
        /// The encoding of a text, as iconv calls it; nil: UTF-8, UTF-16 or Windows-1252, whichever it is.
        public var encoding: String?
        /// Whether pictures of pages are read (ocrmypdf).
        public var readsPictures: Bool
        /// The most bytes of text: what a daemon takes is for the daemon to say.
        public var maximumBytes: Int

        /// States how.
        public init(
            encoding: String? = nil, readsPictures: Bool = false, maximumBytes: Int = DocumentText.maximumPipedBytes
        ) {
            (self.encoding, self.readsPictures, self.maximumBytes) = (encoding, readsPictures, maximumBytes)
        }
    }

    /// Reads a file; "-" is standard input.
    public init(path: String, options: Options = Options()) async throws(TextFileError) {
        guard path != "-" else {
            self = try await Self(piped: options)
            return
        }
        guard FileReading.isFile(path) else {
            // A pipe, or nothing at all: that is said, or read once.
            text = try Self.sending { () throws(ClientError) in try DocumentText(path: path) }
            (way, folder) = (nil, nil)
            return
        }
        self = try await Self(file: path, name: path, options)
    }

    private init(piped options: Options) async throws(TextFileError) {
        let bytes = try Self.sending { () throws(ClientError) in try DocumentText.standardInput() }
        let kind = FileKind(
            head: Array(bytes.prefix(FileKind.headBytes)), tail: Array(bytes.suffix(FileKind.tailBytes)))
        let name = "standard input"
        if kind == .text, options.encoding == nil,
            let text = try Self.utf8({ () throws(ClientError) in try DocumentText(bytes, name: name) })
        {
            (self.text, way, folder) = (text, nil, nil)
            return
        }
        let folder = try TemporaryFolder()
        let file = folder.path + "/input"
        try FileWriting.write(bytes, to: file)
        self = try await Self(file: file, name: name, options)
    }

    /// A regular file.
    private init(file: String, name: String, _ options: Options) async throws(TextFileError) {
        let folder = try TemporaryFolder()
        // Programs run in the folder.
        var (path, ways): (String, [String]) = (try FileReading.absolute(file), [])
        // A gzip file holds another; one in that is not looked for.
        if try Self.kind(of: path) == .gzip {
            path = try await Self.run(.gunzip(path), in: folder, options, step: ways.count)
            ways.append("gzip")
        }
        var kind = try Self.kind(of: path)
        if options.encoding != nil { kind = .text }
        if kind == .pdf, options.readsPictures {
            let readable = folder.path + "/readable.pdf"
            _ = try await Self.run(.ocr(path, into: readable), in: folder, options, step: ways.count)
            path = readable
            ways.append("ocrmypdf")
        }
        if kind == .text, options.encoding == nil {
            let source = path
            if let text = try Self.utf8({ () throws(ClientError) in try DocumentText(path: source, calling: name) }) {
                (self.text, way) = (text, ways.first.map { "by \($0)" })
                self.folder = ways.isEmpty ? nil : folder
                return
            }
        }
        let program = try Conversion.program(for: kind, path: path, name: name, encoding: options.encoding)
        path = try await Self.run(program, in: folder, options, step: ways.count)
        ways.append(program.name)
        let converted = path
        guard try !FileReading.isBlank(converted) else { throw .emptyText(name, isPDF: kind == .pdf) }
        text = try Self.sending { () throws(ClientError) in try DocumentText(path: converted, calling: name) }
        (way, self.folder) = ("by " + ways.joined(separator: " and "), folder)
    }

    private static func kind(of path: String) throws(TextFileError) -> FileKind {
        let size = try FileReading.size(of: path)
        return FileKind(
            head: try FileReading.bytes(of: path, from: 0, count: min(size, FileKind.headBytes)),
            tail: try FileReading.bytes(
                of: path, from: max(0, size - FileKind.tailBytes), count: min(size, FileKind.tailBytes)))
    }

    /// Runs a program and returns the file with what it wrote.
    private static func run(
        _ program: BoundedProgram, in folder: TemporaryFolder, _ options: Options, step: Int
    ) async throws(TextFileError) -> String {
        let output = folder.path + "/step\(step)"
        try await program.run(in: folder, output: output, maximumBytes: options.maximumBytes)
        return output
    }

    /// The text where it is UTF-8; nil where it is not.
    private static func utf8(_ body: () throws(ClientError) -> DocumentText) throws(TextFileError) -> DocumentText? {
        do throws(ClientError) { return try body() } catch .notUTF8 { return nil } catch { throw .client(error) }
    }

    private static func sending<Result>(_ body: () throws(ClientError) -> Result) throws(TextFileError) -> Result {
        do throws(ClientError) { return try body() } catch { throw .client(error) }
    }
}
