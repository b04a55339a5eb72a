// The bytes of a model file, mapped read-only: the only place of the module that touches raw memory.

import Glibc

/// An immutable run of bytes, little-endian integers and UTF-8 strings in it; every access is bounds-checked.
///
/// A file that another process truncates while it is mapped raises SIGBUS on access, like any mapping: model files are
/// to be replaced by rename, and `identity` tells when one was not.
@safe final class FileBytes: Sendable {
    let count: Int
    /// Which file was mapped, in which state; nil for bytes in memory.
    let identity: FileIdentity?
    private nonisolated(unsafe) let base: UnsafeRawPointer
    private let isMapped: Bool

    /// Maps the regular file at `path`; nothing is read yet.
    init(mapping path: String) throws(GGUFError) {
        // O_NONBLOCK: a FIFO with no writer must be refused, not waited for.
        let descriptor = unsafe path.withCString { unsafe open($0, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK) }
        guard descriptor >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw .cannotOpen(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
        count = Int(status.st_size)
        identity = FileIdentity(path: path, status)
        guard count > 0 else {
            throw .truncated(offset: 0, neededBytes: 4, fileBytes: 0, reading: "the magic number")
        }
        let address = unsafe mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw .cannotOpen(path: path, errno: errno)
        }
        unsafe base = UnsafeRawPointer(address)
        isMapped = true
    }

    /// Copies bytes that are in memory already, into an allocation of just their size.
    init(copying bytes: [UInt8]) {
        count = bytes.count
        identity = nil
        // 64: tensors are as aligned in memory as a mapping would have them, up to a vector register.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: max(count, 1), alignment: 64)
        unsafe copy.copyBytes(from: bytes)
        // Never nil: at least one byte was allocated.
        unsafe base = UnsafeRawPointer(copy.baseAddress.unsafelyUnwrapped)
        isMapped = false
    }

    deinit {
        let memory = unsafe UnsafeMutableRawPointer(mutating: base)
        if isMapped {
            unsafe munmap(memory, count)
        } else {
            unsafe memory.deallocate()
        }
    }

    /// Lets the system forget a mapping's pages, which lie in the file.
    func releasePages() {
        // Of memory that is no mapping this would lose the contents.
        if isMapped { unsafe madvise(UnsafeMutableRawPointer(mutating: base), count, MADV_DONTNEED) }
    }

    /// The little-endian integer at `offset`, which need not be aligned.
    func integer<Integer: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Integer.Type) -> Integer {
        precondition(offset >= 0 && offset <= count - MemoryLayout<Integer>.size)
        return Integer(littleEndian: unsafe base.loadUnaligned(fromByteOffset: offset, as: type))
    }

    /// The UTF-8 string in `range`, or nil when it is not UTF-8.
    func string(in range: Range<Int>) -> String? {
        unsafe String(validating: buffer(in: range), as: UTF8.self)
    }

    /// The bytes in `range`, valid while this object lives.
    @unsafe func buffer(in range: Range<Int>) -> UnsafeRawBufferPointer {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return unsafe UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
    }
}

/// The system's words for an errno.
func systemMessage(_ code: Int32) -> String {
    unsafe String(cString: strerror(code))
}
