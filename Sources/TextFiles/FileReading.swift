// Reading parts of files, and what is in folders.

import Glibc

/// Small reads of the file system.
enum FileReading {
    /// Bytes of a file from an offset on, fewer at its end; throws `.unreadable`.
    static func bytes(of path: String, from offset: Int, count: Int) throws(TextFileError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .unreadable(path, reason: TextFileError.message(errno)) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let read = unsafe bytes.withUnsafeMutableBytes { room in
                let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[filled...])
                return unsafe pread(descriptor, rest.baseAddress, rest.count, offset + filled)
            }
            if read < 0, errno == EINTR { continue }
            guard read >= 0 else { throw .unreadable(path, reason: TextFileError.message(errno)) }
            if read == 0 { break }
            filled += read
        }
        return Array(bytes.prefix(filled))
    }

    /// A file's path from the root on; throws `.unreadable`.
    static func absolute(_ path: String) throws(TextFileError) -> String {
        guard let resolved = unsafe realpath(path, nil) else {
            throw .unreadable(path, reason: TextFileError.message(errno))
        }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// A file's size; throws `.unreadable`.
    static func size(of path: String) throws(TextFileError) -> Int {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { throw .unreadable(path, reason: TextFileError.message(errno)) }
        return Int(status.st_size)
    }

    static func isFolder(_ path: String, followingLinks: Bool = true) -> Bool {
        var status = stat()
        let code = unsafe followingLinks ? stat(path, &status) : lstat(path, &status)
        return code == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The names in a folder, sorted; none where it cannot be read.
    static func names(in path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

extension FileReading {
    /// Whether a file has nothing but white space, form feeds included.
    static func isBlank(_ path: String) throws(TextFileError) -> Bool {
        let (size, step) = (try size(of: path), 1 << 20)
        for offset in stride(from: 0, to: size, by: step) {
            let bytes = try bytes(of: path, from: offset, count: min(step, size - offset))
            if bytes.contains(where: { $0 > 32 }) { return false }
        }
        return true
    }
}

/// Small writes.
enum FileWriting {
    /// Writes a file that only its owner may read.
    static func write(_ bytes: [UInt8], to path: String) throws(TextFileError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .unreadable(path, reason: TextFileError.message(errno)) }
        defer { close(descriptor) }
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { source in
                let rest = unsafe UnsafeRawBufferPointer(rebasing: source[written...])
                return unsafe Glibc.write(descriptor, rest.baseAddress, rest.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .unreadable(path, reason: TextFileError.message(errno)) }
            written += count
        }
    }
}
