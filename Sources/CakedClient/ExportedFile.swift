// A document as a file: written whole or not at all, read in pieces.
import Glibc

/// The file of an export.
final class ExportedFile: RequestBody, @unchecked Sendable {
    // Unchecked: written by one task, or only read.
    private static let chunkBytes = 1 << 20

    private let path: String
    private let temporary: String?
    private let descriptor: CInt
    private var isFinished = false
    private(set) var byteCount: Int

    /// Begins a file that will be at `path`.
    init(creating path: String) throws(ClientError) {
        self.path = path
        let name = path + ".part"
        temporary = name
        byteCount = 0
        descriptor = unsafe open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unwritable(path: path, reason: systemMessage(errno)) }
    }

    /// Opens a file to be sent.
    init(_ path: String) throws(ClientError) {
        self.path = path
        temporary = nil
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        byteCount = 0
        guard descriptor >= 0 else { throw .unreadable(path: path, reason: systemMessage(errno)) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw .unreadable(path: path, reason: "it is not a file")
        }
        byteCount = Int(status.st_size)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
        if let temporary, !isFinished { unsafe unlink(temporary) }
    }

    func chunk(at offset: Int) throws(ClientError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: min(Self.chunkBytes, byteCount - offset))
        let count = unsafe pread(descriptor, &bytes, bytes.count, off_t(offset))
        guard count > 0 else {
            throw .unreadable(path: path, reason: count < 0 ? systemMessage(errno) : "it changed while it was read")
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    func append(_ bytes: [UInt8]) throws(ClientError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .unwritable(path: path, reason: systemMessage(errno)) }
            rest = rest.dropFirst(count)
        }
        byteCount += bytes.count
    }

    /// Puts the file into its place.
    func finish() throws(ClientError) {
        guard let temporary, fsync(descriptor) == 0, unsafe rename(temporary, path) == 0 else {
            throw .unwritable(path: path, reason: systemMessage(errno))
        }
        isFinished = true
    }
}
