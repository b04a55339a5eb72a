// The text of a document on its way to the daemon: checked before anything is sent, then read in chunks.
import Glibc

/// A text that is known to be non-empty UTF-8, in memory or in an open file.
public final class DocumentText: Sendable {
    /// Text without a size of its own (a pipe) is held in memory to be checked before it is sent.
    public static let maximumPipedBytes = 256 << 20
    /// One read, one piece of the request's body.
    static let chunkBytes = 256 << 10

    private enum Storage: Sendable { case memory([UInt8]), file(descriptor: CInt) }

    /// What to call the text in messages: the path, or "standard input".
    public let name: String
    /// The length of the text.
    public let byteCount: Int
    private let storage: Storage

    /// Text in memory.
    ///
    /// Throws ``ClientError/emptyDocument(path:)`` or ``ClientError/notUTF8(path:offset:)``.
    public convenience init(_ bytes: [UInt8], name: String = "the document") throws(ClientError) {
        try self.init(name: name, byteCount: bytes.count, storage: .memory(bytes))
    }

    /// Text in memory.
    ///
    /// Throws ``ClientError/emptyDocument(path:)`` when there is none.
    public convenience init(_ text: String) throws(ClientError) {
        try self.init(Array(text.utf8))
    }

    /// The text of the file at `path`, or of standard input when `path` is "-".
    ///
    /// A regular file is read twice, to check and to send, and never held; anything else is read once into memory,
    /// ``maximumPipedBytes`` at most.
    ///
    /// - Parameter calling: what to call it in messages; its path if not given.
    public convenience init(path: String, calling: String? = nil) throws(ClientError) {
        let isStandardInput = path == "-"
        let name = calling ?? (isStandardInput ? "standard input" : path)
        let descriptor = isStandardInput ? dup(STDIN_FILENO) : unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path: name, reason: systemMessage(errno)) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            let reason = systemMessage(errno)
            close(descriptor)
            throw .unreadable(path: name, reason: reason)
        }
        let kind = status.st_mode & S_IFMT
        // Files of /proc are regular and claim to be empty; standard input may stand in the middle of its file.
        if kind == S_IFREG, status.st_size > 0, !isStandardInput {
            try self.init(name: name, byteCount: Int(status.st_size), storage: .file(descriptor: descriptor))
        } else {
            defer { close(descriptor) }
            guard kind != S_IFDIR else { throw .unreadable(path: name, reason: "it is a directory, not a text file") }
            try self.init(Self.readAll(descriptor, name: name), name: name)
        }
    }

    /// All bytes of standard input, whatever they are, ``maximumPipedBytes`` at most.
    public static func standardInput() throws(ClientError) -> [UInt8] {
        try readAll(STDIN_FILENO, name: "standard input")
    }

    private init(name: String, byteCount: Int, storage: Storage) throws(ClientError) {
        (self.name, self.byteCount, self.storage) = (name, byteCount, storage)
        guard byteCount > 0 else { throw .emptyDocument(path: name) }
        var validator = UTF8Validator()
        var offset = 0
        var badOffset: Int?
        while badOffset == nil, offset < byteCount {
            let chunk = try chunk(at: offset)
            badOffset = validator.append(chunk.span)
            offset += chunk.count
        }
        if let badOffset = badOffset ?? validator.finish() { throw .notUTF8(path: name, offset: badOffset) }
    }

    deinit {
        if case .file(let descriptor) = storage { close(descriptor) }
    }

    /// The next bytes from `offset` on, 1 to ``chunkBytes`` of them.
    ///
    /// Throws when the file has become shorter meanwhile.
    package func chunk(at offset: Int) throws(ClientError) -> [UInt8] {
        let count = min(Self.chunkBytes, byteCount - offset)
        switch storage {
        case .memory(let bytes):
            return Array(bytes[offset..<offset + count])
        case .file(let descriptor):
            var failure: CInt = 0
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
                let got = unsafe pread(descriptor, buffer.baseAddress, count, off_t(offset))
                if got < 0 { failure = errno }
                initialized = max(got, 0)
            }
            guard failure == 0 else { throw .unreadable(path: name, reason: systemMessage(failure)) }
            guard !chunk.isEmpty else { throw .unreadable(path: name, reason: "it changed while it was being read") }
            return chunk
        }
    }

    /// Everything up to the end of a pipe, a terminal or a device.
    private static func readAll(_ descriptor: CInt, name: String) throws(ClientError) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            var got = 0
            let chunk = unsafe [UInt8](unsafeUninitializedCapacity: chunkBytes) { buffer, initialized in
                repeat { got = unsafe read(descriptor, buffer.baseAddress, chunkBytes) } while got < 0 && errno == EINTR
                initialized = max(got, 0)
            }
            guard got >= 0 else { throw .unreadable(path: name, reason: systemMessage(errno)) }
            guard got > 0 else { return bytes }
            guard bytes.count + got <= maximumPipedBytes else {
                throw .unreadable(
                    path: name, reason: "more than \(maximumPipedBytes >> 20) MiB came from a pipe; put it in a file")
            }
            bytes.append(contentsOf: chunk)
        }
    }
}

/// The C library's words for an error number.
func systemMessage(_ code: CInt) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    guard unsafe strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
