// Staying within a quota: what is shrunk, what is deleted, what is never touched, and that each act is told.

import CacheStore
import Foundation
import Synchronization
import Testing

@Suite struct SpaceTests {
    let place = Place()

    final class Clock: Sendable {
        let now = Atomic<Int>(1_000)
        func advance() { now.add(1, ordering: .relaxed) }
    }

    /// A store, and documents d0, d1, … of about a sixth of its quota, each used a second after the one before.
    func filled(_ count: Int, limits: StoreLimits, clock: Clock = Clock()) throws -> (DocumentStore, [DocumentData]) {
        let store = try place.open(limits: limits, now: clock.now.load(ordering: .relaxed))
        let documents = (0..<count).map { DocumentData(seed: UInt64(300 + $0), tokens: 400) }
        for (number, data) in documents.enumerated() {
            clock.advance()
            try place.put("d\(number)", data, in: store)
        }
        return (store, documents)
    }

    @Test("a quota holds after every write; the least recently used are shrunk towards the floor before any is deleted")
    func quota() throws {
        let limits = StoreLimits(quotaBytes: 3 << 20, shrinkFloor: 0.5)
        let clock = Clock()
        let store = try place.open(limits: limits, now: clock.now.load(ordering: .relaxed))
        var acts: [Reclaim] = []
        for number in 0..<30 {
            clock.advance()
            let data = DocumentData(seed: UInt64(300 + number), tokens: 400)
            let staged = try store.begin(key("d\(number)"), shape: data.shape)
            try data.stage(in: staged)
            _ = try staged.commit(data.manifest)
            acts += staged.reclaimed
            #expect(try store.statistics().storedBytes <= 3 << 20)
            #expect(try data.difference(store.open(key("d\(number)"), fingerprint: data.fingerprint)) == nil)
        }
        #expect(acts.contains { if case .shrunk(_, 64, 32, let bytes) = $0 { bytes > 0 } else { false } })
        #expect(acts.contains { if case .deleted(_, let bytes) = $0 { bytes > 0 } else { false } })
        // Every document was shrunk before it was deleted, and in the order of use.
        var shrunk: [String] = []
        for act in acts {
            switch act {
            case .shrunk(let key, _, _, _): shrunk.append(key.name)
            case .deleted(let key, _): #expect(shrunk.contains(key.name))
            case .expired: Issue.record("nothing expires here")
            }
        }
        #expect(shrunk == shrunk.sorted { Int($0.dropFirst())! < Int($1.dropFirst())! })
        for manifest in try store.manifests() where manifest.shrinkage != nil {
            #expect(manifest.budget == 32 && manifest.shrinkage?.originalBudget == 64)
            #expect(manifest.shrinkage?.isTrimming == false)
        }
    }

    @Test(
        "a shrunk document is byte for byte the one written with the smaller budget, also after reopening",
        arguments: [RowType.f16, .q4])
    func shrunkEqualsWritten(_ rows: RowType) throws {
        let data = DocumentData(seed: 310, layers: 3, rows: rows, tokens: 700)
        let written = Place()
        var manifest: Manifest?
        do {
            let store = try place.open(maximumValueBytes: 64 << 10)
            try place.put("a", data, in: store)
            let before = try store.statistics()
            let reader = try store.open(key("a"), fingerprint: data.fingerprint)
            let act = try #require(try store.shrink(key("a"), toBudget: 20))
            #expect(act.bytes > 0)
            // The manifest itself takes a few bytes more or less.
            #expect(try abs(before.storedBytes - store.statistics().storedBytes - act.bytes) < 256)
            #expect(data.difference(reader) == nil, "who reads goes on with the whole document")
            #expect(try store.shrink(key("a"), toBudget: 20) == nil)
            manifest = try store.manifest(key("a"))
        }
        let counts = try #require(manifest?.counts)
        #expect(counts == data.heads.map { $0.map { $0.positions.count * 20 / 64 } })
        // The same document, written with what the smaller budget keeps.
        let fresh = try written.open(maximumValueBytes: 64 << 10)
        let staged = try fresh.begin(key("a"), shape: data.shape)
        for (layer, heads) in data.heads.enumerated() {
            let prefixes = zip(heads, counts[layer]).map { head, count in
                HeadData(
                    positions: Array(head.positions[..<count]), indicators: Array(head.indicators[..<count]),
                    keys: Array(head.keys[..<data.shape.keyBytes(entries: count)]),
                    values: Array(head.values[..<data.shape.valueBytes(entries: count)]))
            }
            try DocumentData.stage(prefixes, layer: layer, in: staged)
        }
        try staged.stageText(data.text)
        try staged.stageTokens(data.tokens)
        var smaller = data.manifest
        (smaller.counts, smaller.budget) = (counts, 20)
        let fromStart = try staged.commit(smaller)
        let store = try place.open(maximumValueBytes: 64 << 10)
        let (one, other) = (
            try store.open(key("a"), fingerprint: data.fingerprint),
            try fresh.open(key("a"), fingerprint: data.fingerprint)
        )
        for layer in 0..<3 {
            for head in 0..<3 {
                let (one, other) = (
                    DocumentData.read(one, layer: layer, head: head), DocumentData.read(other, layer: layer, head: head)
                )
                #expect(one.data == other.data && one.isAligned)
            }
        }
        #expect(abs(one.manifest.storedBytes - fromStart.storedBytes) < 256)
        let (left, least) = (try store.statistics().treeBytes, try fresh.statistics().treeBytes)
        #expect(abs(left - least) <= 2 * 4096, "dropped entries are left")
        #expect(try store.verify(key("a"))?.problem == nil)
    }

    @Test("a smaller budget asked for reads the prefix that shrinking would leave, and changes nothing")
    func smallerBudget() throws {
        let data = DocumentData(seed: 311)
        let store = try place.open()
        try place.put("a", data, in: store)
        let small = try store.open(key("a"), fingerprint: data.fingerprint, budget: 16)
        #expect(small.manifest.budget == 16)
        for (layer, heads) in data.heads.enumerated() {
            for (head, whole) in heads.enumerated() {
                let count = whole.positions.count * 16 / 64
                #expect(try small.positions(layer: layer, head: head) == Array(whole.positions[..<count]))
            }
        }
        #expect(try data.difference(store.open(key("a"), fingerprint: data.fingerprint, budget: 64)) == nil)
        #expect(try data.difference(store.open(key("a"), fingerprint: data.fingerprint, budget: 1_000)) == nil)
        #expect(try store.manifest(key("a"))?.budget == 64)
    }

    @Test("what a document takes is never more than was estimated, and not much less")
    func estimate() throws {
        let store = try place.open()
        for (number, tokens) in [1, 60, 900, 1_500, 5_000].enumerated() {
            let data = DocumentData(seed: UInt64(350 + number), layers: 3, kvHeads: 2, tokens: tokens)
            let manifest = try place.put("d\(number)", data, in: store)
            let heads = data.shape.layers * data.shape.kvHeads
            let estimate = data.shape.estimatedBytes(
                budget: (manifest.entries + heads - 1) / heads, textBytes: data.text.count)
            #expect(manifest.storedBytes <= estimate)
            #expect(estimate <= manifest.storedBytes * 2 + 64 << 10)
        }
    }

    @Test("pinned documents are never touched; what cannot fit is refused before anything is reclaimed")
    func pinned() throws {
        let limits = StoreLimits(quotaBytes: 3 << 20)
        let (store, documents) = try filled(3, limits: limits)
        for name in ["d0", "d1"] { _ = try store.update(key(name), ttlSeconds: nil, pinned: true) }
        let large = DocumentData(seed: 320, layers: 12, tokens: 900)
        let estimate = large.shape.estimatedBytes(budget: 900, textBytes: large.text.count)
        let error = #expect(throws: StoreError.self) { try store.checkRoom(bytes: estimate, for: key("large")) }
        guard case .overQuota(let needed, let available, nil) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(needed >= estimate && available < 3 << 20)
        try store.checkRoom(bytes: available / 2, for: key("large"))
        // One that is not asked about beforehand is stopped at the quota, and leaves nothing behind.
        #expect(throws: StoreError.self) { try place.put("large", large, in: store) }
        for (number, data) in documents.enumerated().prefix(2) {
            #expect(try data.difference(store.open(key("d\(number)"), fingerprint: data.fingerprint)) == nil)
        }
        #expect(try store.statistics().storedBytes <= 3 << 20)
        #expect(try store.manifest(key("large")) == nil)
        try place.put("small", DocumentData(seed: 321, tokens: 30), in: store)
    }

    @Test("expired documents go first, and a quota that was lowered is met by maintenance")
    func maintenance() throws {
        let clock = Clock()
        let documents = (0..<4).map { DocumentData(seed: UInt64(330 + $0), tokens: 400) }
        let full: Int
        do {
            let store = try place.open(now: clock.now.load(ordering: .relaxed))
            try place.put("old", documents[0], in: store, ttlSeconds: 10)
            for number in 1..<4 {
                clock.advance()
                try place.put("d\(number)", documents[number], in: store)
            }
            full = try store.statistics().storedBytes
        }
        clock.now.add(100, ordering: .relaxed)
        let store = try place.open(
            limits: StoreLimits(quotaBytes: full / 2, shrinkFloor: 1), now: clock.now.load(ordering: .relaxed))
        let acts = try store.maintain()
        #expect(try acts.first?.key == key("old"))
        #expect(try acts.dropFirst().allSatisfy { try [key("d1"), key("d2")].contains($0.key) })
        #expect(try store.statistics().storedBytes <= full / 2)
        #expect(try documents[3].difference(store.open(key("d3"), fingerprint: documents[3].fingerprint)) == nil)
        #expect(try store.maintain().isEmpty)
    }

    @Test("disk that is kept for others is not written to")
    func reservedDisk() throws {
        let store = try place.open(limits: StoreLimits(minimumFreeDiskBytes: .max / 2))
        let error = #expect(throws: StoreError.self) {
            try place.put("a", DocumentData(seed: 340), in: store)
        }
        guard case .diskReserved(place.directory, _, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try store.manifests().isEmpty)
    }

    @Test("the oldest reader's age is known while it reads")
    func readers() throws {
        let (store, documents) = try filled(1, limits: StoreLimits())
        #expect(store.oldestReaderSeconds() == 0)
        var reader: OpenDocument? = try store.open(key("d0"), fingerprint: documents[0].fingerprint)
        #expect(store.oldestReaderSeconds() > 0)
        #expect(reader?.manifest.name == "d0")
        reader = nil
        #expect(store.oldestReaderSeconds() == 0)
    }
}
