// Files that are whole or not there: written beside their place, flushed, renamed; read only when their checksum holds.

import CXXHash
import Glibc

/// What went wrong with a file of the state directory.
package struct FileFailure: Error, Equatable, CustomStringConvertible {
    package var call: String
    package var path: String
    package var code: Int32

    package var description: String { "\(call) \(path): \(unsafe String(cString: strerror(code)))" }

    /// The disk has no room.
    package var isFull: Bool { code == ENOSPC || code == EDQUOT }
}

/// Writes a file that appears under its name only when all of it is on the disk.
///
/// The last 32 bytes are the XXH3-128 of what came before, in hexadecimal digits.
package struct ChecksummedWriter: ~Copyable {
    /// Small pieces are gathered.
    private static let bufferBytes = 64 << 10

    private let path: String
    private let descriptor: Int32
    private var hash = Hash128()
    private var buffer: [UInt8] = []
    private var isFinished = false
    private(set) package var byteCount = 0

    private static func temporary(_ path: String) -> String { path + ".new" }

    /// Begins the file that will be at `path`.
    package init(path: String) throws(FileFailure) {
        self.path = path
        let name = Self.temporary(path)
        descriptor = unsafe open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw FileFailure(call: "open", path: name, code: errno) }
        buffer.reserveCapacity(Self.bufferBytes)
    }

    deinit {
        close(descriptor)
        if !isFinished { unsafe unlink(Self.temporary(path)) }
    }

    /// Appends bytes.
    package mutating func write(_ bytes: UnsafeRawBufferPointer) throws(FileFailure) {
        unsafe hash.update(bytes)
        byteCount += bytes.count
        try unsafe append(bytes)
    }

    /// Appends bytes.
    package mutating func write(_ bytes: [UInt8]) throws(FileFailure) {
        try unsafe bytes.withUnsafeBufferPointer { bytes throws(FileFailure) in
            try unsafe write(UnsafeRawBufferPointer(bytes))
        }
    }

    /// Ends the file and puts it into its place, durably.
    package mutating func finish() throws(FileFailure) {
        let digits = Array(hash.hex.utf8)
        try unsafe digits.withUnsafeBufferPointer { bytes throws(FileFailure) in
            try unsafe append(UnsafeRawBufferPointer(bytes))
        }
        try flush()
        guard fsync(descriptor) == 0 else { throw FileFailure(call: "fsync", path: path, code: errno) }
        guard unsafe rename(Self.temporary(path), path) == 0 else {
            throw FileFailure(call: "rename", path: path, code: errno)
        }
        isFinished = true
        try Directory.flush(of: path)
    }

    private mutating func append(_ bytes: UnsafeRawBufferPointer) throws(FileFailure) {
        if buffer.count + bytes.count <= Self.bufferBytes {
            unsafe buffer.append(contentsOf: bytes)
            return
        }
        try flush()
        if bytes.count < Self.bufferBytes {
            unsafe buffer.append(contentsOf: bytes)
        } else {
            try unsafe put(bytes)
        }
    }

    private mutating func flush() throws(FileFailure) {
        try unsafe buffer.withUnsafeBufferPointer { bytes throws(FileFailure) in
            try unsafe put(UnsafeRawBufferPointer(bytes))
        }
        buffer.removeAll(keepingCapacity: true)
    }

    private func put(_ bytes: UnsafeRawBufferPointer) throws(FileFailure) {
        var rest = unsafe bytes[...]
        while let start = unsafe UnsafeRawBufferPointer(rebasing: rest).baseAddress, unsafe !rest.isEmpty {
            // The kernel writes at most 2 GiB at a time.
            let count = unsafe Glibc.write(descriptor, start, min(rest.count, 1 << 30))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileFailure(call: "write", path: path, code: count < 0 ? errno : ENOSPC) }
            unsafe rest = rest.dropFirst(count)
        }
    }
}

/// Reads what a `ChecksummedWriter` wrote; what is not whole cannot be opened.
package struct ChecksummedReader: ~Copyable {
    private static let chunkBytes = 1 << 20
    private static let checksumBytes = 32

    private let path: String
    private let descriptor: Int32
    /// Bytes not read yet.
    private(set) package var remainingBytes: Int

    /// Opens a file; nil when there is none, or it is not what was written.
    package init?(path: String) {
        self.path = path
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        remainingBytes = 0
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_size >= Self.checksumBytes else { return nil }
        remainingBytes = Int(status.st_size) - Self.checksumBytes
        guard let digits = checksum(), digits.stored == digits.computed else { return nil }
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { return nil }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL)
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private func checksum() -> (stored: String, computed: String)? {
        var hash = Hash128()
        var left = remainingBytes
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        while left > 0 {
            let wanted = min(left, chunk.count)
            let got = unsafe chunk.withUnsafeMutableBytes {
                unsafe fill(UnsafeMutableRawBufferPointer(rebasing: $0[..<wanted]))
            }
            guard got else { return nil }
            hash.update(chunk[..<wanted])
            left -= wanted
        }
        var digits = [UInt8](repeating: 0, count: Self.checksumBytes)
        guard unsafe digits.withUnsafeMutableBytes({ unsafe fill($0) }) else { return nil }
        return (String(decoding: digits, as: UTF8.self), hash.hex)
    }

    /// Fills a buffer with the next bytes; false when there are too few, or they cannot be read.
    package mutating func read(into bytes: UnsafeMutableRawBufferPointer) -> Bool {
        guard bytes.count <= remainingBytes, unsafe fill(bytes) else { return false }
        remainingBytes -= bytes.count
        return true
    }

    /// The next `count` bytes.
    package mutating func read(_ count: Int) -> [UInt8]? {
        guard count >= 0, count <= remainingBytes else { return nil }
        var bytes = [UInt8](repeating: 0, count: count)
        guard unsafe bytes.withUnsafeMutableBytes({ unsafe fill($0) }) else { return nil }
        remainingBytes -= count
        return bytes
    }

    private func fill(_ bytes: UnsafeMutableRawBufferPointer) -> Bool {
        var rest = unsafe bytes[...]
        while let start = unsafe UnsafeMutableRawBufferPointer(rebasing: rest).baseAddress, unsafe !rest.isEmpty {
            let count = unsafe Glibc.read(descriptor, start, min(rest.count, 1 << 30))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            unsafe rest = rest.dropFirst(count)
        }
        return true
    }
}

/// Directories as files see them.
package enum Directory {
    /// Makes what happened to the names in the directory of `path` durable.
    package static func flush(of path: String) throws(FileFailure) {
        let name = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        let descriptor = unsafe open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileFailure(call: "open", path: name, code: errno) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileFailure(call: "fsync", path: name, code: errno) }
    }

    /// The names in a directory, in order.
    package static func names(in path: String) throws(FileFailure) -> [String] {
        guard let directory = unsafe opendir(path) else { throw FileFailure(call: "opendir", path: path, code: errno) }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Bytes that may still be written on the disk of `path`.
    package static func availableBytes(at path: String) -> Int? {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return nil }
        return Int(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize)).partialValue)
    }
}
