// What becomes of a damaged document: it is found on first use, named, kept apart, rebuilt or released.

import CacheStore
import Foundation
import LMDB
import Testing

@Suite struct QuarantineTests {
    let place = Place()
    let data = DocumentData(seed: 50)

    /// Flips a bit of the last payload byte of the first record of a kind.
    func flip(_ kind: RecordKind) throws {
        var isDone = false
        try place.damage("records") { _, value in
            guard !isDone, let header = try? RecordHeader(value.span.bytes), header.kind == kind else { return value }
            isDone = true
            var value = value
            value[header.payloadOffset + header.payloadBytes - 1] ^= 1
            return value
        }
        #expect(isDone)
    }

    @Test("damage is found on first use and stays marked; the text is there, the others live, a new copy is whole")
    func quarantine() throws {
        do {
            let store = try place.open()
            for name in ["bad", "good"] { try place.put(name, data, in: store) }
        }
        try flip(.segment)
        for round in 0..<2 {
            let store = try place.open(now: 1_000 + round)
            let error = #expect(throws: StoreError.self) {
                _ = try store.open(key("bad"), fingerprint: data.fingerprint)
            }
            #expect(
                error == .quarantined(name: "bad", reason: "checksum of segment, layer 0, head 0"), "round \(round)")
            #expect(store.quarantine(try key("bad"))?.seconds == 1_000, "it is remembered, not found again")
            #expect(try store.quarantined().map(\.key.name) == ["bad"])
            #expect(try store.quarantined().first?.manifest?.budget == 64)
            #expect(try store.quarantined(owner: 2).isEmpty)
            #expect(try store.statistics().quarantinedDocuments == 1)
            #expect(try store.manifests().map(\.name) == ["bad", "good"])
            #expect(try store.text(key("bad")) == data.text)
            #expect(try data.difference(store.open(key("good"), fingerprint: data.fingerprint)) == nil)
        }
        do {
            let store = try place.open()
            try place.put("bad", data, in: store)
            #expect(try data.difference(store.open(key("bad"), fingerprint: data.fingerprint)) == nil)
            #expect(try store.quarantined().isEmpty)
        }
        #expect(try place.open().statistics().quarantinedDocuments == 0)
    }

    @Test("a quarantined document can be deleted, and its name used again")
    func delete() throws {
        do { try place.put("a", data, in: place.open()) }
        try flip(.tokens)
        let store = try place.open()
        #expect(try store.verify(key("a"))?.problem == "checksum of tokens, layer 0, head 0")
        #expect(try store.delete(key("a")))
        #expect(try store.quarantined().isEmpty)
        #expect(throws: StoreError.notFound(name: "a")) {
            _ = try store.open(key("a"), fingerprint: data.fingerprint)
        }
    }

    @Test("verify checks every document, stops when told, and names what is damaged")
    func verify() throws {
        do {
            let store = try place.open()
            for name in ["a", "b", "c"] { try place.put(name, data, in: store) }
        }
        try flip(.text)
        let store = try place.open()
        var results: [DocumentVerification] = []
        try store.verify { result, total in
            #expect(total == 3)
            results.append(result)
            return true
        }
        #expect(results.map(\.key.name) == ["a", "b", "c"])
        #expect(results.map(\.problem) == ["checksum of text, layer 0, head 0", nil, nil])
        #expect(results[1].bytes > data.text.count)
        #expect(throws: StoreError.corrupt(name: "a", problem: "its text is damaged too")) {
            _ = try store.text(key("a"))
        }
        var count = 0
        try store.verify { _, _ in
            count += 1
            return false
        }
        #expect(count == 1)
        count = 0
        try store.verify(owner: 1, name: "c") { result, total in
            #expect(result.problem == nil && total == 1)
            count += 1
            return true
        }
        #expect(count == 1)
        #expect(throws: StoreError.notFound(name: "d")) { try store.verify(name: "d") { _, _ in true } }
    }

    /// A change to a manifest's value, and whether the document's text is found all the same.
    struct ManifestDamage: Sendable {
        var what: String
        var textIsFound: Bool
        var change: @Sendable ([UInt8]) -> [UInt8]
    }

    static let headerDamage = (0..<ManifestRecord.headerBytes).map { offset in
        ManifestDamage(what: "byte \(offset) of the header", textIsFound: true) { flipped($0, offset) }
    }

    static let manifestDamage: [ManifestDamage] = [
        ManifestDamage(what: "a byte of the body", textIsFound: true) { flipped($0, $0.count - 1) },
        ManifestDamage(what: "the header", textIsFound: true) { [UInt8](repeating: 0, count: 32) + $0[32...] },
        ManifestDamage(what: "header and body", textIsFound: false) { flipped(flipped($0, 24), 32) },
        ManifestDamage(what: "all but the header", textIsFound: false) { flipped(Array($0[..<32]), 9) },
        ManifestDamage(what: "half of the header", textIsFound: false) { Array($0[..<16]) },
        ManifestDamage(what: "header and owner", textIsFound: false) {
            flipped(said($0, "\"owner\":1", "\"owner\":3"), 24)
        },
        ManifestDamage(what: "header and name", textIsFound: false) {
            flipped(said($0, "\"name\":\"bad\"", "\"name\":\"bat\""), 24)
        },
        // The text of another document, and of none.
        ManifestDamage(what: "header and id", textIsFound: false) {
            flipped(said($0, "\"id\":1,", "\"id\":2,"), 16)
        },
        ManifestDamage(what: "header and id", textIsFound: false) {
            flipped(said($0, "\"id\":1,", "\"id\":7,"), 16)
        },
        ManifestDamage(what: "header and length", textIsFound: false) {
            flipped(said($0, "\"textBytes\":", "\"textBytes\":9"), 16)
        },
    ]

    private static func flipped(_ value: [UInt8], _ offset: Int) -> [UInt8] {
        var value = value
        value[offset] ^= 1
        return value
    }

    private static func said(_ value: [UInt8], _ old: String, _ new: String) -> [UInt8] {
        let json = String(decoding: value[32...], as: UTF8.self)
        return value[..<32] + Array(json.replacingOccurrences(of: old, with: new).utf8)
    }

    @Test(
        "a damaged manifest says where the text is as long as its header or its body does",
        arguments: headerDamage + manifestDamage)
    func textOfDamagedManifest(damage: ManifestDamage) throws {
        do {
            let store = try place.open()
            try place.put("bad", data, in: store)
            try place.put("good", DocumentData(seed: 51), in: store)
        }
        try place.damage("manifests") { key, value in
            key.last == UInt8(ascii: "d") && key.count == 7 ? damage.change(value) : value
        }
        let store = try place.open()
        #expect(throws: StoreError.self) { _ = try store.manifest(key("bad")) }
        #expect(store.hasReadableText(try key("bad")) == damage.textIsFound, "\(damage.what)")
        if damage.textIsFound {
            #expect(try store.text(key("bad")) == data.text)
            // Written again it is whole, and nothing of the old copy is left at the next start.
            try place.put("bad", data, in: store)
            #expect(try data.difference(store.open(key("bad"), fingerprint: data.fingerprint)) == nil)
        } else {
            #expect((try? store.text(key("bad"))) ?? [] == [])
        }
        #expect(store.hasReadableText(try key("good")))
        #expect(!store.hasReadableText(try key("none")))
    }

    @Test("what is whole again is released by verify")
    func release() throws {
        do { try place.put("a", data, in: place.open()) }
        try flip(.segment)
        do { #expect(try place.open().verify(key("a"))?.problem != nil) }
        try flip(.segment)
        let store = try place.open()
        #expect(throws: StoreError.self) { _ = try store.open(key("a"), fingerprint: data.fingerprint) }
        #expect(try store.verify(key("a"))?.problem == nil)
        #expect(try data.difference(store.open(key("a"), fingerprint: data.fingerprint)) == nil)
    }

    @Test("a damaged payload is not given a right checksum by shrinking")
    func shrinking() throws {
        do { try place.put("a", data, in: place.open()) }
        try flip(.segment)
        let store = try place.open()
        #expect(throws: StoreError.self) { _ = try store.shrink(key("a"), toBudget: 8) }
        #expect(store.quarantine(try key("a")) != nil)
    }
}
