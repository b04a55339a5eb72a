// Unfinished readings on disk: what was asked, and how far it was, so that a restart goes on instead of starting again.

import CacheStore
import EngineInterface
import FoundationEssentials
import Glibc
import Logging
import Transformer

/// The directory `jobs` beside the database, private to the daemon.
///
///     OWNER-NAME-HASH.job      what was asked: magic, description (JSON), text; written once
///     OWNER-NAME-HASH.state    where it was: magic, seconds spent, the prefill's checkpoint; replaced each time
///     OWNER-NAME-HASH.tries    a byte for each start of the daemon since the last checkpoint
///
/// The hash is that of text, options and model: the same request finds its own files, and another model finds none.
/// Every file but the last is whole or not there (`ChecksummedWriter`).
package final class JobDirectory: Sendable {
    /// Starts without a new checkpoint after which a job waits until it is put again.
    ///
    /// It may be what ends the daemon. Fewer than the starts in a row after which systemd gives up.
    package static let maximumTries = 3
    /// After this long nobody will come back for an interrupted job.
    static let maximumAgeSeconds = 30 * 86400
    /// What a checkpoint leaves free on the disk, besides its own size.
    static let reserveBytes = 64 << 20

    private static let jobMagic = Array("cakedjob1\n".utf8)
    private static let stateMagic = Array("cakedstate1\n".utf8)
    /// A description is a few hundred bytes.
    private static let maximumDescriptionBytes = 64 << 10

    private let path: String
    private let logger: Logger

    /// A job as it was found.
    package struct Unfinished: Sendable {
        package var request: PutRequest
        package var fileName: String
        package var tries: Int
    }

    private struct Description: Codable {
        var request: PutRequest
        var textBytes: Int
    }

    /// Opens the directory, making it if it is missing.
    package init(stateDirectory: String, logger: Logger) throws(FileFailure) {
        path = stateDirectory + "/jobs"
        self.logger = logger
        if unsafe mkdir(path, 0o700) != 0, errno != EEXIST {
            throw FileFailure(call: "mkdir", path: path, code: errno)
        }
    }

    /// The name of a job's files: unique to owner, name, text, options and model.
    package static func fileName(_ key: DocumentKey, plan hashes: [String]) -> String {
        var hash = Hash128()
        for part in hashes { hash.update(Array(part.utf8) + [0]) }
        return "\(key.owner)-\(key.name)-\(hash.hex.prefix(16))"
    }

    private func file(_ name: String, _ ending: String) -> String { path + "/" + name + ending }

    // MARK: What was asked

    /// Writes down what was asked, durably.
    package func keep(_ request: PutRequest, fileName: String) throws(FileFailure) {
        var bare = request
        bare.text = []
        guard let description = try? JSONEncoder().encode(Description(request: bare, textBytes: request.text.count))
        else {
            return
        }
        var writer = try ChecksummedWriter(path: file(fileName, ".job"))
        try writer.write(Self.jobMagic)
        try writer.write(Self.number(description.count))
        try writer.write(Array(description))
        try writer.write(request.text)
        try writer.finish()
    }

    /// The jobs that did not come to their end, each counted as tried once more; what cannot be used is deleted.
    package func unfinished() -> [Unfinished] {
        let names: [String]
        do throws(FileFailure) { names = try Directory.names(in: path) } catch {
            logger.warning("unfinished readings cannot be looked for", metadata: ["error": "\(error)"])
            return []
        }
        let jobs = names.filter { $0.hasSuffix(".job") }.map { String($0.dropLast(4)) }
        for name in names
        where !jobs.contains(where: { name == $0 + ".job" || name == $0 + ".state" || name == $0 + ".tries" }) {
            unsafe unlink(path + "/" + name)  // Half-written, or left behind by a removal.
        }
        return jobs.compactMap { name in
            guard age(of: name) < Self.maximumAgeSeconds, let request = read(name) else {
                logger.warning(
                    "an unfinished reading is too old or damaged, and is given up", metadata: ["job": "\(name)"])
                remove(name)
                return nil
            }
            return Unfinished(request: request, fileName: name, tries: countTry(name))
        }
    }

    private func read(_ name: String) -> PutRequest? {
        guard var reader = ChecksummedReader(path: file(name, ".job")),
            reader.read(Self.jobMagic.count) == Self.jobMagic,
            let size = reader.read(8).map(Self.number), size <= Self.maximumDescriptionBytes,
            let json = reader.read(size), let description = Self.described(json),
            let text = reader.read(reader.remainingBytes), text.count == description.textBytes
        else { return nil }
        var request = description.request
        request.text = text
        return request
    }

    private static func described(_ json: [UInt8]) -> (request: PutRequest, textBytes: Int)? {
        let decoder = JSONDecoder()
        if let it = try? decoder.decode(Description.self, from: Data(json)) { return (it.request, it.textBytes) }
        return (try? decoder.decode(EarlierDescription.self, from: Data(json))).map {
            ($0.request.request, $0.textBytes)
        }
    }

    private func age(of name: String) -> Int {
        var status = stat()
        guard unsafe stat(file(name, ".job"), &status) == 0 else { return 0 }
        return time(nil) - status.st_mtim.tv_sec
    }

    // One byte each, so that a crash in the middle still counts.
    private func countTry(_ name: String) -> Int {
        let descriptor = unsafe open(file(name, ".tries"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return 0 }
        defer { close(descriptor) }
        var byte: UInt8 = UInt8(ascii: ".")
        _ = unsafe write(descriptor, &byte, 1)
        var status = stat()
        return unsafe fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }

    // MARK: How far it is

    /// Whether there is room for a checkpoint of so many bytes.
    package func hasRoom(forBytes count: Int) -> Bool {
        Directory.availableBytes(at: path).map { $0 >= count + Self.reserveBytes } ?? true
    }

    /// Replaces a job's checkpoint; `seconds` were spent on reading so far.
    package func save(_ prefill: DocumentPrefill, seconds: Double, fileName: String) throws(FileFailure) {
        var writer = try ChecksummedWriter(path: file(fileName, ".state"))
        try writer.write(Self.stateMagic)
        try writer.write(Self.number(Int(seconds * 1000)))
        try unsafe prefill.writeCheckpoint { bytes throws(FileFailure) in try unsafe writer.write(bytes) }
        try writer.finish()
        unsafe unlink(file(fileName, ".tries"))
    }

    /// Whether a job has a checkpoint.
    package func hasCheckpoint(_ fileName: String) -> Bool { unsafe access(file(fileName, ".state"), F_OK) == 0 }

    /// Takes a fresh prefill to a job's checkpoint; the seconds spent before it, or nil when there is none that can be
    /// used.
    ///
    /// Throws `ModelError.unusableCheckpoint` when the prefill is spoilt and a new one is needed.
    package func restore(_ prefill: DocumentPrefill, fileName: String) throws(ModelError) -> Double? {
        guard var reader = ChecksummedReader(path: file(fileName, ".state")),
            reader.read(Self.stateMagic.count) == Self.stateMagic, let milliseconds = reader.read(8).map(Self.number)
        else { return nil }
        try unsafe prefill.resume { bytes throws(ModelError) in
            guard unsafe reader.read(into: bytes) else { throw .unusableCheckpoint("its file is too short") }
        }
        guard reader.remainingBytes == 0 else { throw .unusableCheckpoint("its file is too long") }
        return Double(milliseconds) / 1000
    }

    /// Deletes a job's files, durably: a finished or cancelled job does not come back.
    package func remove(_ fileName: String) {
        var found = false
        for ending in [".job", ".state", ".tries", ".job.new", ".state.new"] {
            if unsafe unlink(file(fileName, ending)) == 0 { found = true }
        }
        do throws(FileFailure) { if found { try Directory.flush(of: file(fileName, ".job")) } } catch {
            logger.warning("a finished reading may come back", metadata: ["error": "\(error)"])
        }
    }

    private static func number(_ value: Int) -> [UInt8] {
        unsafe withUnsafeBytes(of: UInt64(clamping: value).littleEndian) { unsafe Array($0) }
    }

    private static func number(_ bytes: [UInt8]) -> Int {
        Int(clamping: bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
