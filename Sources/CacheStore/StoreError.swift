// What the store can refuse: each case names the document, the field or the directory, and says how to mend it.

import FoundationEssentials
import Glibc
import LMDB

/// An error of the document store.
public enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Another process, or this one, has the store open.
    case inUse(directory: String)
    /// The path is there and is not a directory.
    case notADirectory(path: String)
    /// There is no store in the directory.
    case notAStore(path: String)
    /// The directory belongs to another user.
    case notOwned(directory: String, owner: UInt32)
    /// Other users may write in the directory.
    case notPrivate(directory: String, mode: UInt32)
    /// The directory lies on a file system over which memory maps and locks do not hold.
    case networkFileSystem(directory: String, kind: String)
    /// The store was written in another format.
    case format(found: Int, supported: Int)
    /// The name of a document breaks the rules: 1 to 128 of `A-Za-z0-9._-`, not starting with ".".
    case invalidName(String)
    /// The shape of a cache is impossible.
    case invalidShape(String)
    /// A staged layer does not fit the document's shape.
    case invalidSegment(layer: Int, head: Int, problem: String)
    /// The manifest names other entries than were staged.
    case incomplete(layer: Int, head: Int, staged: Int, expected: Int)
    /// The manifest cannot be stored as it is.
    case invalidManifest(String)
    /// The staged document has been committed or abandoned already.
    case closed(name: String)
    /// There is another document of that name.
    case nameTaken(name: String)
    /// There is no such document (or it has expired).
    case notFound(name: String)
    /// The document was read by another model, tokenizer, template or engine.
    case mismatch(field: String, stored: String, current: String)
    /// What the document's records hold is not what was written.
    case corrupt(name: String, problem: String)
    /// The document was found damaged and set aside; its text can be read when it is intact.
    case quarantined(name: String, reason: String)
    /// The database file is damaged in its structure, or shorter than it says: no document of it can be trusted.
    case damagedStore(directory: String, problem: String)
    /// The database file was removed, replaced or cut while the store was open.
    case lost(problem: String)
    /// Writing failed half-way through a commit; what was committed is safe, and the store must be opened again.
    case failed(directory: String)
    /// The document is larger than the quota leaves room for, whatever is reclaimed.
    ///
    /// `shareBytes` is what its user may hold, where that is less than the quota.
    case overQuota(neededBytes: Int, availableBytes: Int, shareBytes: Int?)
    /// More would be pinned than one user may hold.
    case overPinShare(neededBytes: Int, pinnedBytes: Int, shareBytes: Int)
    /// The store deleted the document.
    case reclaimed(name: String, Tombstone)
    /// The disk has no room that is not kept for others, whatever is reclaimed.
    case diskReserved(directory: String, neededBytes: Int, availableBytes: Int)
    /// The store has reached the size it was opened with.
    case full(mapBytes: Int)
    /// The disk has no room.
    case diskFull(directory: String)
    /// As many documents are open as there are reader slots.
    case tooManyReaders(limit: Int)
    /// A system call failed.
    case system(call: String, path: String, errno: Int32)
    /// Any other error of the database.
    case database(LMDBError)

    /// One sentence: the cause and the mend.
    public var description: String {
        switch self {
        case .inUse(let directory):
            "the store in \(directory) is in use by another caked; stop it, or give this one a directory of its own"
        case .notADirectory(let path): "\(path) is not a directory; name one, or a path that does not exist yet"
        case .notAStore(let path): "there is no store in \(path); name the directory of one"
        case .notOwned(let directory, let owner):
            "\(directory) belongs to user \(owner); run as that user, or name a directory of your own"
        case .notPrivate(let directory, let mode):
            "\(directory) may be written by other users (mode \(String(mode, radix: 8))); chmod 700 it"
        case .networkFileSystem(let directory, let kind):
            "\(directory) is on \(kind), where memory maps and locks do not hold; name a directory on a local disk"
        case .format(let found, let supported):
            found == 0
                ? "the record that tells the store's format is damaged; restore data.mdb from a backup, or move it away"
                : "the store has format \(found) and this caked reads \(supported); use the caked that wrote it or a "
                    + "new directory"
        case .invalidName(let problem):
            "invalid document name: \(problem); use 1 to \(DocumentKey.maximumNameBytes) of A-Z a-z 0-9 . _ - and no "
                + "leading dot"
        case .invalidShape(let problem): "invalid cache shape: \(problem)"
        case .invalidSegment(let layer, let head, let problem): "layer \(layer), head \(head): \(problem)"
        case .incomplete(let layer, let head, let staged, let expected):
            "layer \(layer), head \(head): \(staged) entries were staged and the manifest names \(expected)"
        case .invalidManifest(let problem): "the manifest cannot be stored: \(problem)"
        case .closed(let name): "document \(name) was committed or abandoned already"
        case .nameTaken(let name): "there is a document \"\(name)\" already; delete it first, or choose another name"
        case .notFound(let name): "there is no document \(name)"
        case .mismatch(let field, let stored, let current):
            "the document was read with another \(field) (\(stored), now \(current)); rebuild it from its text, put "
                + "it again, or go back"
        case .corrupt(let name, let problem): "document \(name) is damaged: \(problem); delete it and put it again"
        case .quarantined(let name, let reason):
            "document \(name) is damaged and was set aside: \(reason); rebuild it from its text, or delete it"
        case .damagedStore(let directory, let problem):
            "the store in \(directory) is damaged: \(problem); restore data.mdb from a backup, or move it away to "
                + "begin anew"
        case .lost(let problem): problem
        case .failed(let directory):
            "writing to the store in \(directory) failed half-way; check the disk and start caked again"
        case .overQuota(let needed, let available, let share):
            "the document needs \(Self.megabytes(needed)) and "
                + (share.map { "your share of the store's quota (\(Self.megabytes($0)))" } ?? "the store's quota")
                + " leaves \(Self.megabytes(available)); "
                + "keep less of it, delete or unpin documents, or have the quota raised"
        case .overPinShare(let needed, let pinned, let share):
            "the document takes \(Self.megabytes(needed)), and of your share of the store's quota "
                + "(\(Self.megabytes(share))) \(Self.megabytes(pinned)) are pinned; unpin or delete others first"
        case .reclaimed(let name, let tombstone):
            "document \"\(name)\" was deleted at "
                + Date(timeIntervalSince1970: Double(tombstone.seconds)).formatted(.iso8601) + ": "
                + (tombstone.reason == .expired
                    ? "it had not been used for as long as it was to live"
                    : "it had been used least recently, and another of its owner's documents needed the room")
                + "; put it again"
        case .diskReserved(let directory, let needed, let available):
            "the document needs \(Self.megabytes(needed)) and the disk of \(directory) has "
                + "\(Self.megabytes(available)) to spare; free some space, or keep less of the document"
        case .full(let mapBytes):
            "the store is full (\(mapBytes >> 20) MiB); delete documents, or open it with a larger size"
        case .diskFull(let directory): "the disk of \(directory) is full; free some space and try again"
        case .tooManyReaders(let limit): "\(limit) documents are open at once, which is the limit; try again shortly"
        case .system(let call, let path, let errno):
            "\(call) \(path): \(LMDBError.system(errno: errno).description)"
        case .database(let error): "store: \(error.description)"
        }
    }

    /// What is wrong with a document, without its name.
    var problem: String {
        if case .corrupt(_, let problem) = self { problem } else { description }
    }

    private static func megabytes(_ bytes: Int) -> String {
        let tenths = (max(bytes, 0) + 52_428) / 104_858
        return "\(tenths / 10).\(tenths % 10) MiB"
    }
}
