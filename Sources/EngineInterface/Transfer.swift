// Documents on their way out of one caked and into another, neither ever whole in memory.

import API

/// A document on its way out, in pieces of at most a megabyte; the document stays open until it goes.
public struct DocumentExport: Sendable {
    /// Bytes of the whole file.
    public var byteCount: Int
    /// The next piece, nil after the last; for one caller at a time.
    public var next: @Sendable () throws(EngineError) -> [UInt8]?

    /// Both parts.
    public init(byteCount: Int, next: @escaping @Sendable () throws(EngineError) -> [UInt8]?) {
        (self.byteCount, self.next) = (byteCount, next)
    }
}

/// A document on its way in; nothing of it is stored unless `finish` returns.
public struct DocumentImport: Sendable {
    /// Takes the next bytes, for one caller at a time; throws as soon as they cannot belong to a document usable here.
    public var append: @Sendable (_ bytes: [UInt8]) throws(EngineError) -> Void
    /// Stores the document when all of it has come.
    public var finish: @Sendable () throws(EngineError) -> Document

    /// Both parts.
    public init(
        append: @escaping @Sendable (_ bytes: [UInt8]) throws(EngineError) -> Void,
        finish: @escaping @Sendable () throws(EngineError) -> Document
    ) {
        (self.append, self.finish) = (append, finish)
    }
}
