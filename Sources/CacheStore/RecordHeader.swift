// The 64 bytes before a record's payload, written and read back; reading trusts nothing.

/// The header of a record, and where its parts lie.
///
///     offset  0  magic u32        4  version u16     6  kind u8, row type u8
///             8  layer u16       10  head u16       12  part u16     14  payload offset u16
///            16  generation u64  24  first u32      28  count u32    32  head width u32
///            36  key bytes u32   40  value bytes u32    44  zero u32
///            48  XXH3-64 of the payload             56  XXH3-64 of bytes 0..<56
package struct RecordHeader: Equatable, Sendable {
    package static let byteCount = 64

    package var kind: RecordKind
    package var rows: RowType
    package var layer: Int
    package var head: Int
    package var part: Int
    /// From the start of the value to the payload; makes up for where LMDB starts a value in its page.
    package var payloadOffset: Int
    package var generation: UInt64
    /// The first entry's rank (segments), byte (text) or token (tokens) in the whole.
    package var first: Int
    /// Entries, bytes or tokens.
    package var count: Int
    package var headWidth: Int
    package var payloadChecksum: UInt64 = 0

    package init(
        kind: RecordKind, rows: RowType, layer: Int, head: Int, part: Int, payloadOffset: Int, generation: UInt64,
        first: Int, count: Int, headWidth: Int
    ) {
        (self.kind, self.rows, self.layer, self.head, self.part) = (kind, rows, layer, head, part)
        (self.payloadOffset, self.generation) = (payloadOffset, generation)
        (self.first, self.count, self.headWidth) = (first, count, headWidth)
    }

    /// The offset of a payload in a value that starts so far from an aligned address.
    package static func payloadOffset(valueOffset: Int) -> Int {
        RecordFormat.aligned(valueOffset + byteCount) - valueOffset
    }

    // Parts of the payload, as offsets from its start.

    /// Bytes of the keys, and of the values.
    package var keyBytes: Int { kind == .segment ? rows.keyBytes(entries: count, headWidth: headWidth) : 0 }
    package var valueBytes: Int { kind == .segment ? rows.valueBytes(entries: count, headWidth: headWidth) : 0 }
    package var indicatorsOffset: Int { RecordFormat.aligned(4 * count) }
    package var keysOffset: Int { 2 * indicatorsOffset }
    package var valuesOffset: Int { keysOffset + RecordFormat.aligned(keyBytes) }
    package var payloadBytes: Int {
        switch kind {
        case .segment: valuesOffset + valueBytes
        case .text: count
        case .tokens: 4 * count
        }
    }

    /// The 64 bytes.
    package var encoded: [UInt8] {
        var writer = LittleEndianWriter()
        writer.append(RecordFormat.recordMagic)
        writer.append(UInt16(RecordFormat.version))
        writer.append(kind.rawValue)
        writer.append(UInt8(truncatingIfNeeded: rows.code))
        for field in [layer, head, part, payloadOffset] { writer.append(UInt16(truncatingIfNeeded: field)) }
        writer.append(generation)
        for field in [first, count, headWidth, keyBytes, valueBytes, 0] {
            writer.append(UInt32(truncatingIfNeeded: field))
        }
        writer.append(payloadChecksum)
        unsafe writer.append(RecordFormat.checksum(writer.bytes.span.bytes))
        return writer.bytes
    }

    /// A part of a document's text, or nil when it is damaged or another record.
    static func text(in value: RawSpan, generation: UInt64, part: Int, first: Int) -> [UInt8]? {
        guard let header = try? RecordHeader(value), header.kind == .text, header.generation == generation,
            header.part == part, header.first == first
        else { return nil }
        let payload = value.extracting(header.payloadOffset..<header.payloadOffset + header.payloadBytes)
        return RecordFormat.checksum(payload) == header.payloadChecksum ? RecordFormat.copy(payload) : nil
    }

    /// Why bytes are not a record.
    package struct Damage: Error, Equatable {
        package var problem: String
    }

    /// Reads a header and checks every field against the size of the value that it stands in.
    package init(_ value: RawSpan) throws(Damage) {
        guard value.byteCount >= Self.byteCount else { throw Damage(problem: "a record of \(value.byteCount) bytes") }
        func field16(_ offset: Int) -> Int { Int(RecordFormat.number(value, at: offset) as UInt16) }
        func field32(_ offset: Int) -> Int { Int(RecordFormat.number(value, at: offset) as UInt32) }
        guard RecordFormat.number(value, at: 0) as UInt32 == RecordFormat.recordMagic else {
            throw Damage(problem: "no record where one should be")
        }
        guard RecordFormat.checksum(value.extracting(0..<56)) == RecordFormat.number(value, at: 56) else {
            throw Damage(problem: "a record header's checksum is wrong")
        }
        guard field16(4) == RecordFormat.version else { throw Damage(problem: "a record of version \(field16(4))") }
        guard let kind = RecordKind(rawValue: UInt8(truncatingIfNeeded: field16(6))),
            let rows = RowType(code: UInt16(field16(6) >> 8))
        else { throw Damage(problem: "a record of an unknown kind or row type") }
        self.init(
            kind: kind, rows: rows, layer: field16(8), head: field16(10), part: field16(12),
            payloadOffset: field16(14), generation: RecordFormat.number(value, at: 16), first: field32(24),
            count: field32(28), headWidth: field32(32))
        payloadChecksum = RecordFormat.number(value, at: 48)
        // Below 64 MiB and 4096 a product of the two stays far from overflow.
        guard headWidth <= 4096, count <= RecordFormat.maximumValueBytes else {
            throw Damage(problem: "a record of \(count) entries of width \(headWidth)")
        }
        guard field32(36) == keyBytes, field32(40) == valueBytes, field32(44) == 0 else {
            throw Damage(problem: "a record whose part sizes contradict its \(count) entries")
        }
        guard payloadOffset >= Self.byteCount, payloadOffset + payloadBytes <= value.byteCount else {
            throw Damage(problem: "a record that is cut short: \(value.byteCount) bytes for \(payloadBytes)")
        }
    }
}
