// The process's memory as the kernel counts it, and the page cache.

import FoundationEssentials
import Glibc

/// Resident bytes: the most since the last reset, and now by kind.
struct Residence: Encodable {
    var peak_bytes = 0
    var anonymous_bytes = 0
    var mapped_bytes = 0

    /// Reads /proc/self/status; zeros where there is none.
    static func now() -> Residence {
        var residence = Residence()
        let text = (try? readFile("/proc/self/status")).map { String(decoding: $0, as: UTF8.self) } ?? ""
        for line in text.split(separator: "\n") {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == "\t" || $0 == ":" })
            guard fields.count >= 2, let kibibytes = Int(fields[1]) else { continue }
            switch fields[0] {
            case "VmHWM": residence.peak_bytes = kibibytes << 10
            case "RssAnon": residence.anonymous_bytes = kibibytes << 10
            case "RssFile": residence.mapped_bytes = kibibytes << 10
            default: break
            }
        }
        return residence
    }

    /// Lets the peak start again at what is resident now (proc(5), clear_refs).
    static func resetPeak() {
        let file = unsafe open("/proc/self/clear_refs", O_WRONLY)
        guard file >= 0 else { return }
        _ = unsafe write(file, "5", 1)
        close(file)
    }
}

enum PageCache {
    /// Asks the kernel to forget the pages of a file that nobody has mapped; returns the share that is still in memory.
    static func drop(_ path: String) throws -> Double {
        let file = unsafe open(path, O_RDONLY)
        guard file >= 0 else { throw CocoaError(.fileReadUnknown) }
        defer { close(file) }
        // Only clean pages can be dropped.
        fsync(file)
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
        return try residentShare(file)
    }

    private static func residentShare(_ file: Int32) throws -> Double {
        let bytes = Int(lseek(file, 0, SEEK_END))
        let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
        let pages = (bytes + pageBytes - 1) / pageBytes
        guard pages > 0 else { return 0 }
        let address = unsafe mmap(nil, bytes, PROT_READ, MAP_SHARED, file, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else { throw CocoaError(.fileReadUnknown) }
        defer { unsafe munmap(address, bytes) }
        var resident = [UInt8](repeating: 0, count: pages)
        guard unsafe mincore(address, bytes, &resident) == 0 else { throw CocoaError(.fileReadUnknown) }
        return Double(resident.count { $0 & 1 != 0 }) / Double(pages)
    }
}
