// What the store can refuse: each case names the document, the field or the directory, and says how to mend it.

import Glibc
import LMDB

/// An error of the document store.
public enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Another process, or this one, has the store open.
    case inUse(directory: String)
    /// The path is there and is not a directory.
    case notADirectory(path: String)
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
    /// There is no such document (or it has expired).
    case notFound(name: String)
    /// The document was read by another model, tokenizer, template or engine.
    case mismatch(field: String, stored: String, current: String)
    /// What the document's records hold is not what was written.
    case corrupt(name: String, problem: String)
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
        case .notOwned(let directory, let owner):
            "\(directory) belongs to user \(owner); run as that user, or name a directory of your own"
        case .notPrivate(let directory, let mode):
            "\(directory) may be written by other users (mode \(String(mode, radix: 8))); chmod 700 it"
        case .networkFileSystem(let directory, let kind):
            "\(directory) is on \(kind), where memory maps and locks do not hold; name a directory on a local disk"
        case .format(let found, let supported):
            "the store has format \(found) and this caked reads \(supported); use the caked that wrote it or a new directory"
        case .invalidName(let problem):
            "invalid document name: \(problem); use 1 to \(DocumentKey.maximumNameBytes) of A-Z a-z 0-9 . _ - and no leading dot"
        case .invalidShape(let problem): "invalid cache shape: \(problem)"
        case .invalidSegment(let layer, let head, let problem): "layer \(layer), head \(head): \(problem)"
        case .incomplete(let layer, let head, let staged, let expected):
            "layer \(layer), head \(head): \(staged) entries were staged and the manifest names \(expected)"
        case .invalidManifest(let problem): "the manifest cannot be stored: \(problem)"
        case .closed(let name): "document \(name) was committed or abandoned already"
        case .notFound(let name): "there is no document \(name)"
        case .mismatch(let field, let stored, let current):
            "the document was read with another \(field) (\(stored), now \(current)); put it again, or go back"
        case .corrupt(let name, let problem): "document \(name) is damaged: \(problem); delete it and put it again"
        case .full(let mapBytes):
            "the store is full (\(mapBytes >> 20) MiB); delete documents, or open it with a larger size"
        case .diskFull(let directory): "the disk of \(directory) is full; free some space and try again"
        case .tooManyReaders(let limit): "\(limit) documents are open at once, which is the limit; try again shortly"
        case .system(let call, let path, let errno):
            "\(call) \(path): \(LMDBError.system(errno: errno).description)"
        case .database(let error): "store: \(error.description)"
        }
    }
}
