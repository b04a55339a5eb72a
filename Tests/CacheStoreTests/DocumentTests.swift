// Documents in and out: bytes, alignment, the commit point, replacing, expiry, usage.

import API
import CacheStore
import Foundation
import LMDB
import Synchronization
import Testing

@Suite struct DocumentTests {
    let place = Place()

    @Test(
        "every byte of a ragged document comes back, aligned to 64, also after reopening", arguments: RowType.allCases)
    func roundTrip(rows: RowType) throws {
        let data = DocumentData(seed: 1, layers: 3, kvHeads: 4, rows: rows)
        #expect(data.heads.joined().contains { $0.positions.isEmpty }, "zero-count heads are part of the test")
        do {
            let store = try place.open()
            let manifest = try place.put("a", data, in: store)
            #expect(manifest.owner == 1 && manifest.name == "a" && manifest.storedBytes > 0)
            let document = try store.open(key("a"), fingerprint: data.fingerprint)
            #expect(data.difference(document) == nil)
            try document.verify()
        }
        let document = try place.open().open(key("a"), fingerprint: data.fingerprint)
        document.prefetch()
        #expect(data.difference(document) == nil)
        #expect(try document.positions(layer: 0, head: 0) == data.heads[0][0].positions)
        #expect(unsafe document.segments(layer: 3, head: 0).isEmpty)
        #expect(unsafe document.segments(layer: -1, head: 9).isEmpty)
    }

    @Test("alignment holds for every small count, whatever size the values have")
    func alignmentOfSmallCounts() throws {
        let store = try place.open()
        for count in 1...40 {
            let shape = CacheShape(layers: 1, kvHeads: 1, headWidth: 32, rows: .q8_0, tokens: 64)
            let head = HeadData(
                positions: (0..<count).map(UInt32.init), indicators: (0..<count).map(Float.init),
                keys: [UInt8](repeating: 3, count: count * 34), values: [UInt8](repeating: 4, count: count * 34))
            let staged = try store.begin(key("c\(count)"), shape: shape)
            try DocumentData.stage([head], layer: 0, in: staged)
            let manifest = Manifest(
                shape: shape, budget: count, method: "full", fingerprint: [:], counts: [[count]], layerBudgets: [],
                preferences: [])
            _ = try staged.commit(manifest)
            let document = try store.open(key("c\(count)"), fingerprint: [:])
            let read = DocumentData.read(document, layer: 0, head: 0)
            #expect(read.data == head)
            #expect(read.isAligned)
        }
    }

    @Test("the figures of a check come back as they were, and manifests from before there were any are readable")
    func check() throws {
        let data = DocumentData(seed: 7)
        let store = try place.open()
        #expect(try place.put("unchecked", data, in: store).check == nil)
        var figures = CheckFigures(budget: 64)
        (figures.places, figures.tokens, figures.known) = (8, 192, 40)
        (figures.recall, figures.agreement, figures.kl) = (0.925, 0.75, 0.125)
        (figures.right, figures.rightFull, figures.target) = (0.5, 0.625, 0.9)
        var manifest = data.manifest
        manifest.check = figures
        let staged = try store.begin(key("checked"), shape: data.shape)
        try data.stage(in: staged)
        _ = try staged.commit(manifest)
        #expect(try store.manifest(key("checked"))?.check == figures)
        #expect(try store.manifest(key("unchecked"))?.check == nil)
    }

    @Test("a head too long for one value is split, and read as if it were not", arguments: [RowType.f16, .q4])
    func split(_ rows: RowType) throws {
        let data = DocumentData(seed: 2, rows: rows)
        let store = try place.open(maximumValueBytes: 16 << 10)
        try place.put("a", data, in: store)
        let document = try store.open(key("a"), fingerprint: data.fingerprint)
        #expect(unsafe document.segments(layer: 0, head: 0).count > 1)
        #expect(data.difference(document) == nil)
        try document.verify()
    }

    @Test("a payload that is misaligned in the map is copied to where it is aligned")
    func misaligned() throws {
        let data = DocumentData(seed: 3)
        do { try place.put("a", data, in: place.open()) }
        try place.damage("records") { _, value in
            // The same record as a library with another page header would have laid it out: shifted by 8 bytes.
            guard var header = try? RecordHeader(value.span.bytes) else { return nil }
            let payload = value[header.payloadOffset..<header.payloadOffset + header.payloadBytes]
            header.payloadOffset += 8
            let padding = [UInt8](repeating: 0, count: header.payloadOffset - RecordHeader.byteCount)
            return header.encoded + padding + payload + [UInt8](repeating: 0, count: 4096)
        }
        let document = try place.open().open(key("a"), fingerprint: data.fingerprint)
        #expect(data.difference(document) == nil)
        try document.verify()
    }

    @Test("a manifest that counts fewer entries than are stored reads the first ones")
    func truncation() throws {
        let data = DocumentData(seed: 4)
        do { try place.put("a", data, in: place.open()) }
        try place.damage("manifests") { _, value in
            guard var manifest = try? ManifestRecord.decode(value.span.bytes, key: key("a")) else { return nil }
            manifest.counts = manifest.counts.map { $0.map { $0 / 2 } }
            return try? ManifestRecord.encode(manifest)
        }
        let document = try place.open().open(key("a"), fingerprint: data.fingerprint)
        let half = data.heads[0][0].positions.count / 2
        #expect(try document.positions(layer: 0, head: 0) == Array(data.heads[0][0].positions[..<half]))
    }

    @Test("what was staged and never committed is invisible, and gone after reopening")
    func commitPoint() throws {
        let data = DocumentData(seed: 5)
        // A copy of the directory, taken while a document is half staged: what a crash at that moment leaves.
        let copy = Place()
        let records: Int
        do {
            let store = try place.open()
            try place.put("done", data, in: store)
            let staged = try store.begin(key("half"), shape: data.shape)
            try data.stage(in: staged)
            #expect(try store.manifest(key("half")) == nil)
            #expect(throws: StoreError.notFound(name: "half")) {
                _ = try store.open(key("half"), fingerprint: data.fingerprint)
            }
            try FileManager.default.createDirectory(
                atPath: copy.directory, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            try FileManager.default.copyItem(
                atPath: place.directory + "/data.mdb", toPath: copy.directory + "/data.mdb")
            records = data.heads.joined().count { !$0.positions.isEmpty } + 2
        }
        let store = try copy.open()
        #expect(try store.statistics().collectedRecords == records)
        #expect(try store.manifests().map(\.name) == ["done"])
        #expect(try data.difference(store.open(key("done"), fingerprint: data.fingerprint)) == nil)
        // The original abandoned it when it was dropped.
        #expect(try place.open().statistics().collectedRecords == 0)
    }

    @Test("an abandoned document frees its space, and its name can be used at once")
    func abandon() throws {
        let data = DocumentData(seed: 6)
        let store = try place.open()
        let staged = try store.begin(key("a"), shape: data.shape)
        try data.stage(in: staged)
        let before = try store.statistics()
        staged.abandon()
        #expect(try store.statistics().treeBytes < before.treeBytes / 10)
        #expect(throws: StoreError.closed(name: "a")) { _ = try staged.commit(data.manifest) }
        #expect(throws: StoreError.closed(name: "a")) { try data.stage(in: staged) }
        try place.put("a", data, in: store)
        #expect(try data.difference(store.open(key("a"), fingerprint: data.fingerprint)) == nil)
    }

    @Test("replacing and deleting are atomic, and who reads the old document goes on reading it")
    func replace() throws {
        let (old, new) = (DocumentData(seed: 7), DocumentData(seed: 8, layers: 3, tokens: 200))
        let store = try place.open()
        try place.put("a", old, in: store)
        let reader = try store.open(key("a"), fingerprint: old.fingerprint)
        let staged = try store.begin(key("a"), shape: new.shape)
        try new.stage(in: staged)
        #expect(try old.difference(store.open(key("a"), fingerprint: old.fingerprint)) == nil)
        _ = try staged.commit(new.manifest)
        #expect(try new.difference(store.open(key("a"), fingerprint: new.fingerprint)) == nil)
        // Enough writing to use every page that is free to use.
        for round in 0..<5 { try place.put("b", DocumentData(seed: UInt64(100 + round)), in: store) }
        #expect(old.difference(reader) == nil)
        #expect(try store.delete(key("a")))
        #expect(try !store.delete(key("a")))
        #expect(try store.manifest(key("a")) == nil)
        #expect(old.difference(reader) == nil)
        #expect(try store.statistics().openDocuments == 1)
    }

    @Test("a deleted document leaves nothing behind, and its space is used again")
    func space() throws {
        let store = try place.open()
        let data = DocumentData(seed: 9)
        for _ in 0..<3 {
            try place.put("a", data, in: store)
            try store.delete(key("a"))
        }
        let bytes = try store.statistics().fileBytes
        for _ in 0..<20 {
            try place.put("a", data, in: store)
            try store.delete(key("a"))
        }
        let after = try store.statistics()
        #expect(after.fileBytes == bytes)
        #expect(after.documents == 0 && after.storedBytes == 0)
    }

    @Test("a manifest must name what was staged")
    func incomplete() throws {
        let data = DocumentData(seed: 10)
        let store = try place.open()
        let staged = try store.begin(key("a"), shape: data.shape)
        try data.stage(in: staged)
        var manifest = data.manifest
        let count = manifest.counts[1][2]
        manifest.counts[1][2] += 1
        #expect(throws: StoreError.incomplete(layer: 1, head: 2, staged: count, expected: count + 1)) {
            _ = try staged.commit(manifest)
        }
        manifest.counts = []
        #expect(throws: StoreError.self) { _ = try staged.commit(manifest) }
        #expect(throws: StoreError.invalidSegment(layer: 0, head: 0, problem: "it is staged already")) {
            try DocumentData.stage(data.heads[0], layer: 0, in: staged)
        }
        _ = try staged.commit(data.manifest)
        #expect(try data.difference(store.open(key("a"), fingerprint: data.fingerprint)) == nil)
    }

    @Test("heads that do not fit the shape are refused")
    func invalidSegments() throws {
        let store = try place.open()
        let data = DocumentData(seed: 11)
        let staged = try store.begin(key("a"), shape: data.shape)
        var short = data.heads[0][0]
        short.keys.removeLast()
        var unequal = data.heads[0][0]
        unequal.indicators.removeLast()
        for (heads, layer) in [([short], 0), ([unequal], 0), (data.heads[0], 2), (data.heads[0] + data.heads[0], 0)] {
            #expect(throws: StoreError.self) { try DocumentData.stage(heads, layer: layer, in: staged) }
        }
        for shape in [
            CacheShape(layers: 0, kvHeads: 1, headWidth: 64, rows: .f16, tokens: 1),
            CacheShape(layers: 1, kvHeads: 1, headWidth: 40, rows: .q8_0, tokens: 1),
            CacheShape(layers: 1, kvHeads: 1, headWidth: .max, rows: .f32, tokens: 1),
            CacheShape(layers: 1, kvHeads: 1, headWidth: 64, rows: .f32, tokens: -1),
        ] {
            #expect(throws: StoreError.self) { _ = try store.begin(key("b"), shape: shape) }
        }
    }

    @Test("a preference that is not finite is stored as it is")
    func notFinite() throws {
        let store = try place.open()
        let data = DocumentData(seed: 12)
        let staged = try store.begin(key("a"), shape: data.shape)
        try data.stage(in: staged)
        var manifest = data.manifest
        (manifest.preferences, manifest.preferenceFellBack) = ([.infinity, -.infinity], true)
        _ = try staged.commit(manifest)
        #expect(try store.manifest(key("a"))?.preferences == [.infinity, -.infinity])
    }

    @Test("owners see their own documents")
    func owners() throws {
        let store = try place.open()
        let data = DocumentData(seed: 13)
        for (owner, name) in [(1, "b"), (1, "a"), (256, "a"), (2, "c")] as [(UInt32, String)] {
            let staged = try store.begin(DocumentKey(owner: owner, name: name), shape: data.shape)
            try data.stage(in: staged)
            _ = try staged.commit(data.manifest)
        }
        #expect(try store.manifests(owner: 1).map(\.name) == ["a", "b"])
        #expect(try store.manifests(owner: 256).map(\.owner) == [256])
        #expect(try store.manifests(owner: 3).isEmpty)
        #expect(try store.manifests().map(\.owner) == [1, 1, 2, 256])
    }

    @Test("usage is seen at once, written by a flush, and counted once")
    func usage() throws {
        let data = DocumentData(seed: 14)
        do {
            let store = try place.open(now: 5_000)
            try place.put("a", data, in: store)
            for _ in 0..<3 { store.touch(try key("a")) }
            #expect(try store.manifest(key("a"))?.hits == 3)
            _ = try store.update(key("a"), ttlSeconds: 60, pinned: true)
            #expect(try store.manifest(key("a"))?.hits == 3)
            try store.flushUsage()
            try store.flushUsage()
            #expect(try store.manifest(key("a"))?.hits == 3)
            store.touch(try key("gone"))
            try store.flushUsage()
        }
        let manifest = try #require(try place.open(now: 6_000).manifest(key("a")))
        #expect(manifest.hits == 3 && manifest.lastUsedSeconds == 5_000 && manifest.pinned && manifest.ttlSeconds == 60)
    }

    @Test("a renamed document is the same under its new name, also after reopening, and takes no other's place")
    func renamed() throws {
        let (one, other) = (DocumentData(seed: 16), DocumentData(seed: 17))
        do {
            let store = try place.open()
            try place.put("one", one, in: store, ttlSeconds: 100)
            try place.put("other", other, in: store)
            store.touch(try key("one"))
            #expect(throws: StoreError.nameTaken(name: "other")) { _ = try store.rename(key("one"), to: key("other")) }
            #expect(throws: StoreError.notFound(name: "none")) { _ = try store.rename(key("none"), to: key("new")) }
            let reader = try store.open(key("one"), fingerprint: one.fingerprint)
            let manifest = try store.rename(key("one"), to: key("new"))
            #expect((manifest.name, manifest.hits, manifest.ttlSeconds) == ("new", 1, 100))
            #expect(one.difference(reader) == nil)
            #expect(throws: StoreError.notFound(name: "one")) { _ = try store.open(key("one"), fingerprint: [:]) }
        }
        let store = try place.open()
        #expect(try store.manifests().map(\.name) == ["new", "other"])
        #expect(try one.difference(store.open(key("new"), fingerprint: one.fingerprint)) == nil)
        #expect(try other.difference(store.open(key("other"), fingerprint: other.fingerprint)) == nil)
        #expect(try store.verify(key("new"))?.problem == nil)
    }

    @Test("an expired document is not served, and collected; use and a pin keep it")
    func expiry() throws {
        let data = DocumentData(seed: 15)
        let clock = Clock()
        let store = try DocumentStore(
            directory: place.directory, mapBytes: 1 << 28, maxReaders: 8, clock: { clock.now.load(ordering: .relaxed) })
        for name in ["short", "used", "pinned"] { try place.put(name, data, in: store, ttlSeconds: 100) }
        try place.put("forever", data, in: store)
        _ = try store.update(key("pinned"), ttlSeconds: 100, pinned: true)
        clock.now.store(1_099, ordering: .relaxed)
        store.touch(try key("used"))
        #expect(try store.manifests().count == 4)
        clock.now.store(1_100, ordering: .relaxed)
        let error = #expect(throws: StoreError.self) {
            _ = try store.open(key("short"), fingerprint: data.fingerprint)
        }
        guard case .reclaimed("short", let gone) = error, gone.reason == .expired else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(throws: StoreError.reclaimed(name: "short", gone)) {
            _ = try store.update(key("short"), ttlSeconds: nil, pinned: false)
        }
        #expect(try store.manifests().map(\.name) == ["forever", "pinned", "used"])
        #expect(try store.maintain().map(\.key) == [key("short")])
        #expect(try store.maintain().isEmpty)
        #expect(try store.statistics().documents == 3)
    }

    final class Clock: Sendable {
        let now = Atomic<Int>(1_000)
    }

    @Test("a fingerprint that differs names the field and both values")
    func fingerprint() throws {
        let store = try place.open()
        let data = DocumentData(seed: 16)
        try place.put("a", data, in: store)
        var other = data.fingerprint
        other["weights"] = "w2"
        #expect(throws: StoreError.mismatch(field: "weights", stored: "w1", current: "w2")) {
            _ = try store.open(key("a"), fingerprint: other)
        }
        other = data.fingerprint
        other["rope"] = "r"
        #expect(throws: StoreError.mismatch(field: "rope", stored: "none", current: "r")) {
            _ = try store.open(key("a"), fingerprint: other)
        }
        other = data.fingerprint
        other["template"] = nil
        #expect(throws: StoreError.mismatch(field: "template", stored: "chatml", current: "none")) {
            _ = try store.open(key("a"), fingerprint: other)
        }
    }

    @Test("a thousand documents are listed, opened and survive reopening")
    func many() throws {
        let data = DocumentData(seed: 17, layers: 1, kvHeads: 1, tokens: 8)
        do {
            let store = try place.open()
            for number in 0..<1_000 { try place.put("d\(number)", data, in: store) }
        }
        let started = ContinuousClock.now
        let store = try place.open()
        print("open with 1,000 documents: \(ContinuousClock.now - started)")
        #expect(try store.manifests(owner: 1).count == 1_000)
        #expect(try data.difference(store.open(key("d999"), fingerprint: data.fingerprint)) == nil)
    }

    @Test("readers on threads see whole documents while a writer replaces them")
    func concurrent() async throws {
        let store = try place.open()
        let versions = (0..<4).map { DocumentData(seed: 200 + UInt64($0), tokens: 60) }
        try place.put("a", versions[0], in: store)
        let isDone = Flag()
        try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var reads = 0
                    while !isDone.value.load(ordering: .relaxed) || reads == 0 {
                        let document = try store.open(key("a"), fingerprint: versions[0].fingerprint)
                        #expect(versions.contains { $0.difference(document) == nil })
                        reads += 1
                    }
                    return reads
                }
            }
            for round in 1..<60 { try place.put("a", versions[round % 4], in: store) }
            isDone.value.store(true, ordering: .relaxed)
            for try await reads in group { #expect(reads > 0) }
        }
        #expect(try store.statistics().openDocuments == 0)
    }

    final class Flag: Sendable {
        let value = Atomic<Bool>(false)
    }
}
