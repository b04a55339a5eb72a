// Quantised weights re-tiled once, when the model is loaded: products then read memory from one end to the other.

import CLinux
import Glibc

/// Whether weights that are multiplied as bytes are re-tiled when the model is loaded.
///
/// Re-tiled weights take memory of their own, about as much as the file; those in the file are read from the page
/// cache, so that they may be larger than memory, but slower.
public enum Repacking: String, CaseIterable, Sendable {
    /// Where that leaves as much memory available as it takes.
    case auto
    /// Always.
    case on
    /// Never.
    case off

    /// Whether weights of so many bytes are re-tiled on this machine, now.
    func applies(bytes: Int) -> Bool {
        switch self {
        case .on: true
        case .off: false
        case .auto: bytes <= AvailableMemory.bytes() / 2
        }
    }
}

/// Memory of the panels of a whole model: pages of their own, large ones where the system has them.
@safe final class RepackedWeights: @unchecked Sendable {
    // Unchecked: filled before the model is used, and read only then.
    let floats: Floats
    private let base: UnsafeMutableRawPointer
    private let length: Int

    /// Room for `count` floats.
    init(_ count: Int) throws(ModelError) {
        length = max(count, 1) * MemoryLayout<Float>.stride
        let address = unsafe mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else { throw .outOfMemory(bytes: length) }
        // Streaming through small pages would translate an address every 4 KiB.
        _ = unsafe madvise(address, length, MADV_HUGEPAGE)
        unsafe base = unsafe address
        unsafe floats = Floats(address.bindMemory(to: Float.self, capacity: max(count, 1)), count: count)
    }

    deinit { unsafe munmap(base, length) }
}

/// What the system could give a process without swapping.
package enum AvailableMemory {
    /// Bytes that the machine has available, or this process's control group if that is less; 0 if nobody says.
    package static func bytes() -> Int {
        guard let machine = text("/proc/meminfo").flatMap(machineBytes) ?? nodes() else { return 0 }
        return min(machine, controlGroup())
    }

    /// What `/proc/meminfo` says.
    package static func machineBytes(_ text: String) -> Int? { kibibytes("MemAvailable:", in: text).map { $0 << 10 } }

    /// What a memory node's `meminfo` comes to: what is free, and the file pages and caches that can be had back.
    package static func nodeBytes(_ text: String) -> Int? {
        guard let free = kibibytes("MemFree:", in: text) else { return nil }
        let more = ["Active(file):", "Inactive(file):", "SReclaimable:"].compactMap { kibibytes($0, in: text) }
        return more.reduce(free, +) << 10
    }

    /// The same for all nodes: a service whose unit has `ProcSubset=pid` sees no `/proc/meminfo`.
    private static func nodes() -> Int? {
        // The kernel's most on x86-64 by default; numbers may be left out.
        let nodes = (0..<64).compactMap { text("/sys/devices/system/node/node\($0)/meminfo").flatMap(nodeBytes) }
        return nodes.isEmpty ? nil : nodes.reduce(0, +)
    }

    private static func kibibytes(_ name: String, in text: String) -> Int? {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if let index = words.firstIndex(of: Substring(name)), index + 1 < words.count {
                return Int(words[index + 1])
            }
        }
        return nil
    }

    /// What the control group of this process (version 2) and those around it leave.
    private static func controlGroup() -> Int {
        let line = text("/proc/self/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::/") }
        guard let line else { return .max }
        var path = line.dropFirst("0::".count)
        var left = Int.max
        while true {
            let directory = "/sys/fs/cgroup" + (path == "/" ? "" : path)
            if let limit = number(directory + "/memory.max"), let used = number(directory + "/memory.current") {
                left = min(left, max(0, limit - used))
            }
            guard path.count > 1, let slash = path.lastIndex(of: "/") else { return left }
            path = slash == path.startIndex ? "/" : path[..<slash]
        }
    }

    private static func number(_ path: String) -> Int? {
        text(path).flatMap { Int($0.prefix { $0.isNumber }) }
    }

    private static func text(_ path: String) -> String? {
        let descriptor = unsafe path.withCString { unsafe open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        // Longer than any of the files that are read here.
        return unsafe withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 1) { buffer in
            let count = unsafe read(descriptor, buffer.baseAddress, buffer.count)
            return count < 0 ? nil : unsafe String(decoding: buffer.prefix(count), as: UTF8.self)
        }
    }
}
