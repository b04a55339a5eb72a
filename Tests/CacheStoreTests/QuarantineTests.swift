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
