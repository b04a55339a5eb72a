// Feeds the decoders of stored records what libFuzzer invents: a stated damage or a record that encodes to the same
// bytes.

import CacheStore
import FuzzDriver

@main
enum RecordFuzz {
    static func main() {
        guard let key = try? DocumentKey(owner: 1, name: "a") else { preconditionFailure("a sound name") }
        fuzz { bytes in
            guard let kind = bytes.first else { return }
            let rest = Array(bytes.dropFirst())
            switch kind % 3 {
            case 0: header(rest)
            case 1: manifest(rest, key)
            // A checksum is a wall that no fuzzer climbs: this way its bytes get past it.
            default: manifest(ManifestRecord.encode(json: rest, generation: UInt64(kind)), key)
            }
        }
    }

    private static func header(_ bytes: [UInt8]) {
        for candidate in [bytes, sealed(bytes)] {
            guard let header = try? RecordHeader(unsafe candidate.span.bytes) else { continue }
            precondition(header.encoded.elementsEqual(candidate.prefix(RecordHeader.byteCount)), "\(header)")
            precondition(header.payloadOffset + header.payloadBytes <= candidate.count)
            precondition(header.kind != .segment || header.valuesOffset + header.valueBytes <= header.payloadBytes)
        }
    }

    /// The bytes with the header's checksum set right.
    private static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= RecordHeader.byteCount else { return bytes }
        var sealed = bytes
        let checksum = unsafe RecordFormat.checksum(bytes.span.bytes.extracting(0..<RecordHeader.byteCount - 8))
        for index in 0..<8 {
            sealed[RecordHeader.byteCount - 8 + index] = UInt8(truncatingIfNeeded: checksum >> UInt64(8 * index))
        }
        return sealed
    }

    private static func manifest(_ bytes: [UInt8], _ key: DocumentKey) {
        guard let manifest = try? ManifestRecord.decode(unsafe bytes.span.bytes, key: key) else { return }
        _ = manifest.entries
        _ = manifest.expiresSeconds
        guard let again = try? ManifestRecord.encode(manifest) else { preconditionFailure("decoded but unencodable") }
        precondition((try? ManifestRecord.decode(unsafe again.span.bytes, key: key)) == manifest)
    }
}
