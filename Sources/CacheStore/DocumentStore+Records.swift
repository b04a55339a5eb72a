// Putting records: their bytes in LMDB's pages.

import LMDB

extension DocumentStore {
    /// Puts a record whose payload `fill` writes straight into LMDB's page.
    func put(
        _ header: RecordHeader, in transaction: inout WriteTransaction, fill: (inout PayloadWriter) -> Void
    ) throws(StoreError) {
        let key = RecordFormat.recordKey(
            generation: header.generation, kind: header.kind, layer: header.layer, head: header.head,
            part: header.part)
        do throws(LMDBError) {
            let bytes = footprint.valueBytes(header)
            try transaction.reserve(byteCount: bytes, forKey: key, in: recordsDatabase) { value in
                unsafe value.withUnsafeMutableBytes { value in
                    let payload = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: value[header.payloadOffset..<header.payloadOffset + header.payloadBytes])
                    var writer = unsafe PayloadWriter(payload)
                    fill(&writer)
                    var finished = header
                    finished.payloadChecksum = unsafe RecordFormat.checksum(UnsafeRawBufferPointer(payload).bytes)
                    var whole = unsafe PayloadWriter(value)
                    unsafe finished.encoded.withUnsafeBytes { unsafe whole.copy($0, to: 0) }
                    whole.zero(RecordHeader.byteCount..<header.payloadOffset)
                    whole.zero(header.payloadOffset + header.payloadBytes..<value.count)
                }
            }
        } catch { throw storeError(error) }
    }
}

/// Fills a payload from its start to its end, zeroing the gaps between parts: the room is not zeroed by LMDB, and what
/// was on the heap before must not reach the disk.
@safe struct PayloadWriter {
    private let room: UnsafeMutableRawBufferPointer
    private var written = 0

    @unsafe init(_ room: UnsafeMutableRawBufferPointer) { unsafe self.room = room }

    /// Copies a part to an offset at or after the end of the one before.
    @unsafe mutating func copy(_ source: UnsafeRawBufferPointer, to offset: Int) {
        zero(written..<offset)
        unsafe UnsafeMutableRawBufferPointer(rebasing: room[offset..<offset + source.count]).copyMemory(from: source)
        written = offset + source.count
    }

    func zero(_ range: Range<Int>) {
        unsafe UnsafeMutableRawBufferPointer(rebasing: room[range]).initializeMemory(as: UInt8.self, repeating: 0)
    }
}
