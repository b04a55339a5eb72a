// Cache record format, version 1: the databases of a store, their keys, and the header of each value.
//
// All numbers in keys are big-endian, so that LMDB's byte order is their order; all others are little-endian.
//
//   database    key                                             value
//   format      "format"                                        format value
//   manifests   owner u32, name bytes                           manifest value
//   records     generation u64, kind u8, layer u16, head u16,   record
//               part u16
//   quarantine  as in manifests; a damaged document             `Quarantine`
//   lines       as in manifests                                 `DocumentLine`
//   tombstones  as in manifests; a document that is gone        `Tombstone`
//
// Lines are made again from the manifests where they are missing or not theirs, so that a store of an older version
// has them after its first start.
//
// Format value, one page: magic "CKST" u32, version u32, zeros. Being a page long it lies on an overflow page, so its
// address shows at which offset in a page LMDB starts large values (16 in 0.9, 24 in 1.0; not assumed).
//
// Manifest value: magic "CKMF" u32, version u32, generation u64, XXH3-64 of the JSON u64, XXH3-64 of the 24 bytes
// before u64, JSON of `Manifest`. The generation stands in the header so that a damaged manifest still says which
// records are not garbage.
//
// Record: header of 64 bytes (`RecordHeader`), zeros up to `payloadOffset`, payload, zeros up to a page. The payload
// starts at a multiple of 64 in the map, and so does each of its parts:
//   segment (kind 0)  positions u32[n], indicators f32[n], keys, values, in rank order
//   text (kind 1)     UTF-8, layer and head 0
//   tokens (kind 2)   i32[n], layer and head 0
// A record fills a page at least, which forces it to overflow pages; below about half a page LMDB stores values in the
// leaf, where they are only even-aligned. A reader copies what it finds misaligned all the same.
//
// One (layer, head) may have several parts (of 1,024 entries as written now): part p starts at entry `first`, where a
// group begins. A head without entries has no record. Records no manifest names are garbage. The entries a manifest
// counts are the first ones of its records: dropping a suffix of rank order is a change of the manifest.

import CXXHash

/// The constants of the format and its keys.
package enum RecordFormat {
    /// The version that is written, and the only one read.
    package static let version = 1
    /// The alignment of payloads and their parts in the map: a cache line, and a vector of AVX-512.
    package static let alignment = 64
    /// The greatest size of a value.
    ///
    /// LMDB 0.9 leaks 1 MiB a transaction above 256 MiB (ITS#9155), and a run of consecutive free pages is the harder
    /// to find the longer it is.
    package static let maximumValueBytes = 64 << 20

    /// The most entries of a part.
    ///
    /// A value needs a run of consecutive free pages, and space freed in pieces serves long runs badly: with parts this
    /// short a store under a quota grows to 1.5 times the quota, with whole heads to 1.8 (`CompactionTests`). Readers
    /// sum long heads in parts of this many entries, so that they lose nothing and their sums are the same.
    package static let maximumEntries = 1_024

    package static let formatKey = Array("format".utf8)
    static let formatMagic: UInt32 = 0x5453_4B43
    static let manifestMagic: UInt32 = 0x464D_4B43
    static let recordMagic: UInt32 = 0x4752_4B43

    /// Rounds up to the alignment.
    static func aligned(_ bytes: Int) -> Int { (bytes + alignment - 1) & ~(alignment - 1) }

    package static func manifestKey(_ key: DocumentKey) -> [UInt8] {
        bigEndian(key.owner) + Array(key.name.utf8)
    }

    /// Where the documents of an owner begin, or those after a name of theirs.
    static func position(owner: UInt32, after name: String?) -> [UInt8] {
        bigEndian(owner) + (name.map { Array($0.utf8) + [0] } ?? [])
    }

    /// Every key of a generation starts with this.
    package static func generationKey(_ generation: UInt64) -> [UInt8] { bigEndian(generation) }

    package static func recordKey(
        generation: UInt64, kind: RecordKind, layer: Int, head: Int, part: Int
    ) -> [UInt8] {
        bigEndian(generation) + [kind.rawValue] + bigEndian(UInt16(truncatingIfNeeded: layer))
            + bigEndian(UInt16(truncatingIfNeeded: head)) + bigEndian(UInt16(truncatingIfNeeded: part))
    }

    /// The key as it was given to `put`, or nil when the bytes are not one.
    static func documentKey(_ bytes: RawSpan) -> DocumentKey? {
        guard bytes.byteCount > 4 else { return nil }
        let name = String(decoding: copy(bytes.extracting(4..<bytes.byteCount)), as: UTF8.self)
        return try? DocumentKey(owner: UInt32(bigEndian: number(bytes, at: 0)), name: name)
    }

    /// The generation that a record's key starts with, or nil.
    static func generation(ofKey bytes: RawSpan) -> UInt64? {
        bytes.byteCount < 8 ? nil : UInt64(bigEndian: number(bytes, at: 0))
    }

    package static func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        unsafe withUnsafeBytes(of: number.bigEndian) { unsafe Array($0) }
    }

    /// The number at an offset that the caller has checked.
    static func number<Number: FixedWidthInteger & BitwiseCopyable>(_ bytes: RawSpan, at offset: Int) -> Number {
        Number(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    /// XXH3-64 of some bytes.
    package static func checksum(_ bytes: RawSpan) -> UInt64 {
        unsafe bytes.withUnsafeBytes { unsafe XXH3_64bits($0.baseAddress, $0.count) }
    }

    static func copy(_ bytes: RawSpan) -> [UInt8] {
        unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    }

    static func formatValue(pageBytes: Int) -> [UInt8] {
        var writer = LittleEndianWriter()
        writer.append(formatMagic)
        writer.append(UInt32(version))
        return writer.bytes + Array(repeating: 0, count: max(pageBytes, 64) - writer.bytes.count)
    }

    /// The version in a format value, or nil when it is none.
    static func formatVersion(_ value: RawSpan) -> Int? {
        guard value.byteCount >= 8, number(value, at: 0) as UInt32 == formatMagic else { return nil }
        return Int(number(value, at: 4) as UInt32)
    }
}

/// What a record holds.
package enum RecordKind: UInt8, Sendable {
    case segment = 0
    case text = 1
    case tokens = 2
}

/// Collects little-endian numbers.
struct LittleEndianWriter {
    private(set) var bytes: [UInt8] = []

    mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        unsafe withUnsafeBytes(of: number.littleEndian) { unsafe bytes.append(contentsOf: $0) }
    }
}
