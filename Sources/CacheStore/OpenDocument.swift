// A document open for reading: its rows in the memory map, checked once, valid as long as it lives.

import Glibc
import LMDB
import Locks

import struct Synchronization.Atomic

/// Entries of one head that lie together, in rank order; every pointer is 64-byte aligned and valid while the
/// `OpenDocument` it came from lives.
@unsafe public struct Segment {
    /// Entries.
    public let count: Int
    /// Document positions.
    public let positions: UnsafePointer<UInt32>
    /// Indicators.
    public let indicators: UnsafePointer<Float>
    /// Keys, `[count, headWidth]` as the shape's rows lie.
    public let keys: UnsafeRawPointer
    /// Value rows, like the keys.
    public let values: UnsafeRawPointer
}

/// An open document: one read transaction.
///
/// It may be used from any thread, also after the document was replaced or deleted; while it lives, pages freed since
/// it was opened are not used again.
@safe public final class OpenDocument: @unchecked Sendable {
    // Unchecked: immutable, and the pointers are into a snapshot that it keeps.
    /// What the document is; where it was opened for a smaller budget, with that budget and its counts.
    public let manifest: Manifest
    /// Which writing of the document it is, whatever budget it was opened for.
    public let writing: Writing
    private let snapshot: Snapshot
    private let heads: [[Segment]]  // by layer · kvHeads + head
    private let records: [Record]
    /// Copies of payloads that were misaligned in the map; normally none.
    private let copies: [AlignedCopy]

    @unsafe private struct Record {
        let header: RecordHeader
        let payload: UnsafeRawBufferPointer
    }

    /// Finds and checks every record of the document, so that nothing can fail later.
    init(manifest: Manifest, snapshot: Snapshot) throws(StoreError) {
        var reader = RecordReader(store: snapshot.store, manifest: manifest)
        var heads: [[Segment]] = unsafe []
        unsafe heads.reserveCapacity(manifest.shape.layers * manifest.shape.kvHeads)
        for layer in manifest.counts.indices {
            for (head, count) in manifest.counts[layer].enumerated() {
                try unsafe heads.append(
                    reader.segments(layer: layer, head: head, count: count, in: snapshot.transaction))
            }
        }
        try reader.appendAll(.text, total: manifest.textBytes, in: snapshot.transaction)
        try reader.appendAll(.tokens, total: manifest.shape.tokens, in: snapshot.transaction)
        unsafe self.heads = heads
        unsafe records = reader.records.map { unsafe Record(header: $0.header, payload: $0.payload) }
        copies = reader.copies
        self.manifest = manifest
        writing = Writing(generation: manifest.id, budget: manifest.budget)
        self.snapshot = snapshot
    }

    /// The same snapshot, of which only the first entries are read.
    private init(_ whole: OpenDocument, manifest: Manifest) {
        unsafe heads = zip(whole.heads, manifest.counts.joined()).map { segments, count in
            unsafe Self.prefix(count, of: segments)
        }
        unsafe (self.manifest, records) = (manifest, whole.records)
        (snapshot, copies, writing) = (whole.snapshot, whole.copies, whole.writing)
    }

    /// What a smaller budget keeps of the document, read from the same pages.
    func truncated(_ truncation: Truncation) throws(StoreError) -> OpenDocument {
        OpenDocument(self, manifest: try manifest.truncated(truncation))
    }

    private static func prefix(_ count: Int, of segments: [Segment]) -> [Segment] {
        var (left, prefix): (Int, [Segment]) = unsafe (count, [])
        for index in unsafe segments.indices where left > 0 {
            let segment = unsafe segments[index]
            let part = unsafe Segment(
                count: min(segment.count, left), positions: segment.positions, indicators: segment.indicators,
                keys: segment.keys, values: segment.values)
            unsafe prefix.append(part)
            unsafe left -= part.count
        }
        return unsafe prefix
    }

    /// The bytes of the document's records, without padding.
    var payloadBytes: Int { unsafe records.reduce(0) { unsafe $0 + $1.payload.count } }

    /// The kept entries of a head, in rank order; none for a head that kept nothing or does not exist.
    @unsafe public func segments(layer: Int, head: Int) -> [Segment] {
        guard (0..<manifest.shape.layers).contains(layer), (0..<manifest.shape.kvHeads).contains(head) else {
            return unsafe []
        }
        return unsafe heads[layer * manifest.shape.kvHeads + head]
    }

    /// The document positions that a head kept, in rank order; `.corrupt` when one lies beyond the document.
    public func positions(layer: Int, head: Int) throws(StoreError) -> [UInt32] {
        var positions: [UInt32] = []
        let segments = unsafe segments(layer: layer, head: head)
        for index in unsafe segments.indices {
            let segment = unsafe segments[index]
            unsafe positions.append(contentsOf: UnsafeBufferPointer(start: segment.positions, count: segment.count))
        }
        guard positions.allSatisfy({ Int($0) < manifest.shape.tokens }) else {
            throw .corrupt(name: manifest.name, problem: "layer \(layer), head \(head) keeps a position beyond the end")
        }
        return positions
    }

    /// The document's text (UTF-8 as it was staged), or nothing when none was.
    public func text() -> [UInt8] {
        var text: [UInt8] = []
        for index in unsafe records.indices {
            let record = unsafe records[index]
            guard unsafe record.header.kind == .text else { continue }
            unsafe text.append(contentsOf: record.payload)
        }
        return text
    }

    /// The ids of the document's tokens, or nothing when none were staged.
    public func tokens() -> [Int32] {
        var tokens: [Int32] = []
        for index in unsafe records.indices {
            let record = unsafe records[index]
            guard unsafe record.header.kind == .tokens else { continue }
            unsafe tokens.append(contentsOf: record.payload.bindMemory(to: Int32.self))
        }
        return tokens
    }

    /// Tells the kernel that all rows will be read, so that the first question does not wait for each page.
    public func prefetch() { advise(MADV_WILLNEED) }

    /// Linux's MADV_POPULATE_READ, which the headers of Debian 12 have and the Glibc overlay has not.
    private static let populate: CInt = 22

    /// A hint about the pages of all rows: where it is refused, they are read and mapped as they are touched.
    private func advise(_ advice: CInt) {
        let page = UInt(snapshot.store.pageBytes)
        for index in unsafe records.indices {
            let record = unsafe records[index]
            guard unsafe record.header.kind == .segment else { continue }
            guard let start = unsafe record.payload.baseAddress else { continue }
            let slack = Int(UInt(bitPattern: start) % page)
            _ = unsafe madvise(
                UnsafeMutableRawPointer(mutating: start - slack), record.payload.count + slack, advice)
        }
    }

    /// Reads everything and compares checksums and positions; `.corrupt` says what is damaged.
    public func verify() throws(StoreError) {
        // Mapped in one go: faults one after the other would take as long as the checksums.
        advise(Self.populate)
        for index in unsafe records.indices {
            let record = unsafe records[index]
            let header = unsafe record.header
            guard unsafe RecordFormat.checksum(record.payload.bytes) == header.payloadChecksum else {
                throw .corrupt(
                    name: manifest.name,
                    problem: "checksum of \(header.kind), layer \(header.layer), head \(header.head)")
            }
        }
        for layer in 0..<manifest.shape.layers {
            for head in 0..<manifest.shape.kvHeads { _ = try positions(layer: layer, head: head) }
        }
    }
}

/// A read transaction of a store, counted among its readers.
@safe final class Snapshot: @unchecked Sendable {
    // Unchecked: the transaction is only read through pointers, and ended once, by deinit.
    let store: DocumentStore
    let transaction: ReadTransaction
    private let id: UInt64

    init(store: DocumentStore, transaction: consuming ReadTransaction) {
        self.store = store
        self.transaction = transaction
        store.openDocuments.add(1, ordering: .relaxed)
        id = store.state.withLock { state in
            defer { state.nextReader += 1 }
            state.readers[state.nextReader] = .now
            return state.nextReader
        }
    }

    deinit {
        store.openDocuments.subtract(1, ordering: .relaxed)
        store.state.withLock { [id] in _ = $0.readers.removeValue(forKey: id) }
    }
}

/// Finds the records of a document and checks them against its manifest and each other.
@safe struct RecordReader {
    let store: DocumentStore
    let manifest: Manifest
    private(set) var records: [(header: RecordHeader, payload: UnsafeRawBufferPointer)] = unsafe []
    private(set) var copies: [AlignedCopy] = []

    init(store: DocumentStore, manifest: Manifest) {
        (self.store, self.manifest) = (store, manifest)
    }

    /// The first `count` entries of a head.
    @unsafe mutating func segments(
        layer: Int, head: Int, count: Int, in transaction: borrowing ReadTransaction
    ) throws(StoreError) -> [Segment] {
        var (segments, found, part): ([Segment], Int, Int) = unsafe ([], 0, 0)
        while found < count {
            guard
                let (header, payload) = try unsafe record(
                    .segment, layer: layer, head: head, part: part, first: found, in: transaction)
            else { throw damage("layer \(layer), head \(head) ends after \(found) of \(count) entries") }
            guard header.count > 0, let start = payload.baseAddress else {
                throw damage("layer \(layer), head \(head) has an empty record")
            }
            guard found + header.count >= count || header.count.isMultiple(of: manifest.shape.rows.groupEntries) else {
                throw damage("layer \(layer), head \(head) has a record that ends inside a group of entries")
            }
            unsafe segments.append(
                Segment(
                    count: min(header.count, count - found), positions: start.assumingMemoryBound(to: UInt32.self),
                    indicators: (start + header.indicatorsOffset).assumingMemoryBound(to: Float.self),
                    keys: start + header.keysOffset, values: start + header.valuesOffset))
            found += header.count
            part += 1
        }
        return unsafe segments
    }

    /// All parts of the text or the token ids: none, or as much as the manifest says.
    mutating func appendAll(
        _ kind: RecordKind, total: Int, in transaction: borrowing ReadTransaction
    ) throws(StoreError) {
        var (found, part) = (0, 0)
        while found < total {
            guard
                let (header, _) = try unsafe record(kind, layer: 0, head: 0, part: part, first: found, in: transaction)
            else {
                if part == 0 { return }  // none was staged
                break
            }
            guard header.count > 0 else { throw damage("an empty record of \(kind)") }
            found += header.count
            part += 1
        }
        guard found == total else { throw damage("its \(kind) has \(found) of \(total)") }
    }

    /// A record, checked, its payload aligned; nil when it is not there.
    @unsafe private mutating func record(
        _ kind: RecordKind, layer: Int, head: Int, part: Int, first: Int, in transaction: borrowing ReadTransaction
    ) throws(StoreError) -> (header: RecordHeader, payload: UnsafeRawBufferPointer)? {
        guard part <= UInt16.max else { return nil }
        let key = RecordFormat.recordKey(generation: manifest.id, kind: kind, layer: layer, head: head, part: part)
        var decoded: Result<RecordHeader, RecordHeader.Damage>
        let value: UnsafeRawBufferPointer
        do throws(LMDBError) {
            guard let span = try transaction.value(forKey: key, in: store.recordsDatabase) else { return nil }
            do throws(RecordHeader.Damage) {
                decoded = .success(try RecordHeader(span))
            } catch { decoded = .failure(error) }
            // The transaction, which the document will own, keeps these bytes where they are.
            unsafe value = span.withUnsafeBytes { unsafe $0 }
        } catch { throw store.storeError(error) }
        let header: RecordHeader
        switch decoded {
        case .success(let read): header = read
        case .failure(let error): throw damage("layer \(layer), head \(head): \(error.problem)")
        }
        var expected = RecordHeader(
            kind: kind, rows: manifest.shape.rows, layer: layer, head: head, part: part,
            payloadOffset: header.payloadOffset, generation: manifest.id, first: first, count: header.count,
            headWidth: manifest.shape.headWidth)
        expected.payloadChecksum = header.payloadChecksum
        guard header == expected else { throw damage("layer \(layer), head \(head) holds another document's record") }
        let range = header.payloadOffset..<header.payloadOffset + header.payloadBytes
        let payload = unsafe aligned(UnsafeRawBufferPointer(rebasing: value[range]))
        unsafe records.append((header, payload))
        return unsafe (header, payload)
    }

    /// The bytes themselves, or a copy when they start at an odd place (another version of LMDB, or a small value).
    @unsafe private mutating func aligned(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        if UInt(bitPattern: bytes.baseAddress) % UInt(RecordFormat.alignment) == 0 { return unsafe bytes }
        let copy = unsafe AlignedCopy(bytes)
        copies.append(copy)
        return unsafe UnsafeRawBufferPointer(copy.bytes)
    }

    private func damage(_ problem: String) -> StoreError { .corrupt(name: manifest.name, problem: problem) }
}

/// Bytes copied to an aligned place.
@safe final class AlignedCopy: @unchecked Sendable {
    // Unchecked: the bytes are written by init alone.
    let bytes: UnsafeMutableRawBufferPointer

    init(_ source: UnsafeRawBufferPointer) {
        unsafe bytes = .allocate(byteCount: source.count, alignment: RecordFormat.alignment)
        unsafe bytes.copyMemory(from: source)
    }

    deinit { unsafe bytes.deallocate() }
}
