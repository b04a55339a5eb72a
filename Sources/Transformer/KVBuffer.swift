// Memory for KV rows: mapped pages, counted by a meter, whose end can be given back to the system.

import Glibc

/// Bytes of KV rows in private pages of their own.
///
/// Shrinking returns whole pages at once, which a heap would keep.
@safe final class KVBuffer: @unchecked Sendable {
    // Unchecked: tasks write rows of their own; it grows and shrinks between regions.
    private let base: UnsafeMutableRawPointer
    /// Bytes in use; the mapping is this rounded up to pages.
    private(set) var count: Int
    private let meter: KVMeter

    private static let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))

    private static func mapped(_ count: Int) -> Int {
        (max(count, 1) + pageBytes - 1) / pageBytes * pageBytes
    }

    /// `count` zeroed bytes, page-aligned.
    init(_ count: Int, meter: KVMeter) throws(ModelError) {
        guard count >= 0, count < Int.max / 2 else { throw .outOfMemory(bytes: count) }
        let length = Self.mapped(count)
        let address = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else { throw .outOfMemory(bytes: count) }
        unsafe base = unsafe address
        self.count = count
        self.meter = meter
        meter.add(length)
    }

    deinit {
        let length = Self.mapped(count)
        unsafe munmap(base, length)
        meter.add(-length)
    }

    /// Gives back everything beyond the first `count` bytes.
    func shrink(to count: Int) {
        precondition(count >= 0 && count <= self.count, "a KV buffer only shrinks")
        let old = Self.mapped(self.count)
        let new = Self.mapped(count)
        if new < old { unsafe munmap(base + new, old - new) }
        self.count = count
        meter.add(new - old)
    }

    /// Moves bytes inside the buffer; the ranges may overlap.
    func move(from source: Int, to destination: Int, bytes: Int) {
        unsafe at(destination, bytes: bytes).copyMemory(from: at(source, bytes: bytes), byteCount: bytes)
    }

    /// The address of `bytes` bytes from `offset` on, checked to lie inside.
    @unsafe func at(_ offset: Int, bytes: Int) -> UnsafeMutableRawPointer {
        precondition(offset >= 0 && bytes >= 0 && offset <= count - bytes, "outside the KV buffer")
        return unsafe base + offset
    }
}
