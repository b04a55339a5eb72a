// A folder that only its owner may open, and that goes with the value.

import Glibc

/// A new folder below `TMPDIR`, removed with everything in it when it is no longer needed.
public final class TemporaryFolder: Sendable {
    /// Where it is.
    public let path: String

    /// Makes one; throws `.noFolder`.
    public init() throws(TextFileError) {
        let parent = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
        var template = Array("\(parent)/cakectl-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&template) != nil else { throw .noFolder(parent, reason: TextFileError.message(errno)) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { Self.remove(path) }

    // Converters leave files, and pandoc folders of pictures; links are removed, not followed.
    private static func remove(_ path: String) {
        for name in FileReading.names(in: path) {
            let entry = path + "/" + name
            if FileReading.isFolder(entry, followingLinks: false) { remove(entry) } else { unsafe unlink(entry) }
        }
        unsafe rmdir(path)
    }
}
