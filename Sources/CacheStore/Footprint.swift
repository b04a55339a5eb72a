// What a document takes of a store: whole pages, as LMDB gives them, so that what is shown adds up to what is counted.

import LMDB

/// The pages that a document's records and manifest take, from its manifest alone.
struct Footprint: Sendable {
    /// A record's or a manifest's line in the tree: key, node and its part of a page that is not full.
    static let lineBytes = 64

    let pageBytes: Int
    /// Where in its first page a large value starts.
    let valueOffset: Int
    let maximumValueBytes: Int

    /// The bytes of a document whose manifest takes so many.
    func bytes(of manifest: Manifest, manifestBytes: Int) -> Int {
        let shape = manifest.shape
        return entryBytes(shape, manifest.counts)
            + parts(of: manifest.textBytes, .text, shape) + parts(of: shape.tokens, .tokens, shape)
            + value(manifestBytes + Self.lineBytes)
    }

    /// What a document would give back if every head kept this share of its entries; 0 where that is too little to be
    /// worth what it costs in answers.
    func shrinkableBytes(of manifest: Manifest, bytes: Int, toShare share: Double) -> Int {
        guard share < 1 else { return 0 }
        let fewer = manifest.counts.map { $0.map { Int((Double($0) * share).rounded(.up)) } }
        let freed = entryBytes(manifest.shape, manifest.counts) - entryBytes(manifest.shape, fewer)
        return freed * Self.worthwhile >= bytes ? freed : 0
    }

    /// A document is shrunk only where that frees at least one part in so many of it.
    private static let worthwhile = 8

    private func entryBytes(_ shape: CacheShape, _ counts: [[Int]]) -> Int {
        counts.reduce(0) { sum, heads in heads.reduce(sum) { $0 + parts(of: $1, .segment, shape) } }
    }

    /// The records of so many entries, bytes or tokens.
    private func parts(of count: Int, _ kind: RecordKind, _ shape: CacheShape) -> Int {
        let most = entriesPerRecord(kind, shape)
        func record(_ count: Int) -> Int {
            let header = RecordHeader(
                kind: kind, rows: shape.rows, layer: 0, head: 0, part: 0,
                payloadOffset: RecordHeader.payloadOffset(valueOffset: valueOffset), generation: 0, first: 0,
                count: count, headWidth: shape.headWidth)
            return value(valueBytes(header)) + Self.lineBytes
        }
        let (full, rest) = (count / most, count % most)
        return (full > 0 ? full * record(most) : 0) + (rest > 0 ? record(rest) : 0)
    }

    /// The most entries, bytes or tokens that are put into one record.
    func entriesPerRecord(_ kind: RecordKind, _ shape: CacheShape) -> Int {
        // Headers, padding between parts and the offset in the page are below 1 KiB together.
        let room = maximumValueBytes - 1024
        switch kind {
        case .text: return max(room, 1)
        case .tokens: return max(room / 4, 1)
        case .segment:
            let group = shape.rows.groupEntries
            let groupBytes = 8 * group + shape.keyBytes(entries: group) + shape.valueBytes(entries: group)
            return min(max(room / groupBytes, 1) * group, RecordFormat.maximumEntries)
        }
    }

    /// The size of a record's value: what fills a page, at least, so that LMDB gives it pages of its own.
    func valueBytes(_ header: RecordHeader) -> Int {
        max(header.payloadOffset + header.payloadBytes, pageBytes - valueOffset)
    }

    /// A value in pages of its own, or, below half a page, its bytes in a page with others.
    private func value(_ bytes: Int) -> Int {
        bytes > pageBytes / 2 ? (valueOffset + bytes + pageBytes - 1) / pageBytes * pageBytes : bytes
    }
}
