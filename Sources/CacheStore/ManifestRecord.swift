// A manifest as a database value: a header that names its generation, then JSON.

import FoundationEssentials

/// The value of the manifests database; `RecordFormat` has the layout.
package enum ManifestRecord {
    package static let headerBytes = 32

    package static func encode(_ manifest: Manifest) throws(StoreError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // Preferences overflow on some documents; the manifest says so and must be storable all the same.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let json: [UInt8]
        do { json = try Array(encoder.encode(manifest)) } catch { throw .invalidManifest("\(error)") }
        return encode(json: json, generation: manifest.id)
    }

    /// The value around some JSON.
    package static func encode(json: [UInt8], generation: UInt64) -> [UInt8] {
        var writer = LittleEndianWriter()
        writer.append(RecordFormat.manifestMagic)
        writer.append(UInt32(RecordFormat.version))
        writer.append(generation)
        unsafe writer.append(RecordFormat.checksum(json.span.bytes))
        unsafe writer.append(RecordFormat.checksum(writer.bytes.span.bytes))
        return writer.bytes + json
    }

    /// The generation that a value names, or nil when its header is damaged.
    package static func generation(of value: RawSpan) -> UInt64? {
        guard value.byteCount >= headerBytes, RecordFormat.number(value, at: 0) as UInt32 == RecordFormat.manifestMagic,
            RecordFormat.number(value, at: 24) as UInt64 == RecordFormat.checksum(value.extracting(0..<24)),
            RecordFormat.number(value, at: 4) as UInt32 == UInt32(RecordFormat.version)
        else { return nil }
        return RecordFormat.number(value, at: 8)
    }

    /// The checksum that a value's header says its JSON has; the header must be whole.
    static func checksum(of value: RawSpan) -> UInt64 { RecordFormat.number(value, at: 16) }

    /// Whether header and JSON are what was written.
    static func isIntact(_ value: RawSpan) -> Bool {
        generation(of: value) != nil
            && RecordFormat.checksum(value.extracting(headerBytes..<value.byteCount)) == checksum(of: value)
    }

    /// The manifest that a value holds, checked against the key it was found under.
    package static func decode(_ value: RawSpan, key: DocumentKey) throws(StoreError) -> Manifest {
        func damage(_ problem: String) -> StoreError { .corrupt(name: key.name, problem: problem) }
        guard let generation = generation(of: value) else { throw damage("its manifest's header is wrong") }
        let json = value.extracting(headerBytes..<value.byteCount)
        guard RecordFormat.checksum(json) == RecordFormat.number(value, at: 16) else {
            throw damage("its manifest's checksum is wrong")
        }
        let decoder = JSONDecoder()
        decoder.nonConformingFloatDecodingStrategy = .convertFromString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        let manifest: Manifest
        do {
            manifest = try decoder.decode(Manifest.self, from: Data(RecordFormat.copy(json)))
        } catch {
            throw damage("its manifest is not readable JSON")
        }
        guard manifest.id == generation, manifest.name == key.name, manifest.owner == key.owner else {
            throw damage("its manifest belongs to another document")
        }
        if let problem = manifest.problem() { throw damage("its manifest is impossible: \(problem)") }
        return manifest
    }

    /// What the JSON of a value whose header is damaged says of its document's text, checked against the key it was
    /// found under; `isSound` where what is left of the header has the JSON's checksum.
    static func textPlace(in value: RawSpan, key: DocumentKey) -> (place: TextPlace, isSound: Bool)? {
        guard value.byteCount > headerBytes else { return nil }
        let json = value.extracting(headerBytes..<value.byteCount)
        guard let place = try? JSONDecoder().decode(TextPlace.self, from: Data(RecordFormat.copy(json))),
            place.owner == key.owner, place.name == key.name, place.textBytes >= 0
        else { return nil }
        return (place, RecordFormat.checksum(json) == RecordFormat.number(value, at: 16))
    }

    /// The fields of a manifest by which its document's text is found.
    struct TextPlace: Decodable {
        var id: UInt64
        var owner: UInt32
        var name: String
        var textBytes: Int
    }

    static func decoded(_ value: RawSpan, key: DocumentKey) -> Result<Manifest, StoreError> {
        do throws(StoreError) { return .success(try decode(value, key: key)) } catch { return .failure(error) }
    }
}
