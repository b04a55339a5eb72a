// Remembers the hash of a model file from one start to the next, so that gigabytes are read once and not at every
// start.

import Glibc
import Logging

/// A small file that says which hash belongs to which files, as long as none has been touched.
///
/// A file counts as the same when device, inode, size, and the nanoseconds of its last change and of its inode's (which
/// nobody can set) are the same. One changed so recently that a second change could bear the same time is not trusted.
package struct WeightsHashCache: Sendable {
    private static let magic = "cakedweights2"
    /// File systems keep times this coarsely at worst.
    private static let settledSeconds = 2

    /// A line for the files, of a hundred bytes for each part of a model.
    private static let maximumBytes = 256 << 10

    private let path: String
    private let logger: Logger

    /// A cache in the state directory, which may not be there yet.
    package init(stateDirectory: String, logger: Logger) {
        path = stateDirectory + "/weights-hash"
        self.logger = logger
    }

    /// The hash of a model's files, from memory if none has changed, else from `compute`.
    package func hash(of model: [String], compute: () -> String) -> String {
        guard let identity = Self.identity(of: model) else { return compute() }
        if let known = read(), known.identity == identity { return known.hash }
        let clock = ContinuousClock()
        let begun = clock.now
        let hash = compute()
        logger.info("hashed the model", metadata: ["seconds": "\((clock.now - begun).seconds)"])
        // What was replaced or written to while it was read is hashed again at the next start.
        if Self.identity(of: model) == identity, !Self.isRecent(identity) { write(identity, hash) }
        return hash
    }

    private struct Identity: Equatable {
        var text: String
        var changedSeconds: Int
        static func == (one: Identity, other: Identity) -> Bool { one.text == other.text }
    }

    private static func identity(of model: [String]) -> Identity? {
        var identity = Identity(text: "", changedSeconds: 0)
        for path in model {
            var status = stat()
            guard unsafe stat(path, &status) == 0 else { return nil }
            let fields: [any BinaryInteger] = [
                status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec,
                status.st_ctim.tv_sec, status.st_ctim.tv_nsec,
            ]
            identity.text += fields.map { "\($0)" }.joined(separator: " ") + ";"
            identity.changedSeconds = max(identity.changedSeconds, status.st_mtim.tv_sec, status.st_ctim.tv_sec)
        }
        return identity
    }

    private static func isRecent(_ identity: Identity) -> Bool {
        time(nil) - identity.changedSeconds < settledSeconds
    }

    private func read() -> (identity: Identity, hash: String)? {
        guard var reader = ChecksummedReader(path: path), reader.remainingBytes < Self.maximumBytes,
            let bytes = reader.read(reader.remainingBytes)
        else { return nil }
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        guard lines.count == 3, lines[0] == Self.magic, lines[2].utf8.count == 32 else { return nil }
        return (Identity(text: lines[1], changedSeconds: 0), lines[2])
    }

    private func write(_ identity: Identity, _ hash: String) {
        do throws(FileFailure) {
            var writer = try ChecksummedWriter(path: path)
            try writer.write(Array("\(Self.magic)\n\(identity.text)\n\(hash)\n".utf8))
            try writer.finish()
        } catch {
            logger.warning("the model's hash cannot be remembered", metadata: ["error": "\(error)"])
        }
    }
}
