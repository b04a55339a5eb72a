// The form in which a document travels between stores: one file, checked as it is read, the same bytes for the same
// document.

import CacheStore
import FoundationEssentials

/// An exported document.
///
///     "caked-export 01\n"
///     header bytes u64, header: the document's manifest as JSON, keys sorted
///     digest
///     text, UTF-8
///     digest
///     for every layer, for every KV head, each part padded with zeros to 8 bytes:
///         positions u32[n], indicators f32[n], keys, values: in rank order, as the store has them
///     digest, after every layer
///
/// A digest is the XXH3-128 of every byte before it, as 32 hexadecimal digits; the last one ends the file. Numbers are
/// little-endian. The manifest's fields that belong to a store and not to the document (owner, times, usage, time to
/// live, pin) are zero, so that a document read twice from the same text with the same options is exported to the same
/// bytes. Tokens are not in it: text and tokenizer give them again, and must.
package enum ExportFormat {
    package static let magic = Array("caked-export 01\n".utf8)
    static let digestBytes = 32
    /// A manifest lists a count for every layer and head: some hundred kilobytes at most.
    static let maximumHeaderBytes = 8 << 20

    static func padded(_ bytes: Int) -> Int { (bytes + 7) & ~7 }

    /// Bytes of a head's parts: positions and indicators each, then keys, then values.
    static func parts(entries: Int, _ shape: CacheShape) -> (numbers: Int, keys: Int, values: Int) {
        (padded(4 * entries), padded(shape.keyBytes(entries: entries)), padded(shape.valueBytes(entries: entries)))
    }

    /// Bytes of a layer with so many entries in each head.
    package static func layerBytes(_ counts: [Int], _ shape: CacheShape) -> Int {
        counts.reduce(0) {
            let parts = parts(entries: $1, shape)
            return $0 + 2 * parts.numbers + parts.keys + parts.values
        }
    }

    /// The manifest without what belongs to one store.
    static func travelling(_ manifest: Manifest) -> Manifest {
        var manifest = manifest
        (manifest.id, manifest.owner, manifest.storedBytes) = (0, 0, 0)
        (manifest.createdSeconds, manifest.lastUsedSeconds, manifest.hits) = (0, 0, 0)
        (manifest.ttlSeconds, manifest.pinned, manifest.prefillSeconds) = (nil, false, 0)
        manifest.shrinkage?.seconds = 0
        manifest.shrinkage?.isTrimming = false
        return manifest
    }

    package static func encode(_ manifest: Manifest) -> [UInt8]? {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return (try? encoder.encode(manifest)).map { Array($0) }
    }

    package static func decode(_ header: [UInt8]) -> Manifest? {
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        return try? decoder.decode(Manifest.self, from: Data(header))
    }
}
