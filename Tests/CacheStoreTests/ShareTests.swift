// Space belongs to its owner: a user's documents make room for that user's alone, and whoever loses one is told.

import API
import CacheStore
import Foundation
import Synchronization
import Testing

@Suite struct ShareTests {
    let place = Place()
    let quota = 3 << 20

    private func key(_ owner: UInt32, _ name: String) throws(StoreError) -> DocumentKey {
        try DocumentKey(owner: owner, name: name)
    }

    @discardableResult
    private func put(
        _ key: DocumentKey, _ data: DocumentData, in store: DocumentStore, pinned: Bool = false
    ) throws -> [Reclaim] {
        let staged = try store.begin(key, shape: data.shape)
        try data.stage(in: staged)
        var manifest = data.manifest
        manifest.pinned = pinned
        _ = try staged.commit(manifest)
        return staged.reclaimed
    }

    private func bytes(of owner: UInt32, in store: DocumentStore) throws -> Int {
        try store.manifests(owner: owner).reduce(0) { $0 + $1.storedBytes }
    }

    @Test("what one user puts shrinks and deletes that user's documents only")
    func ownDocumentsOnly() throws {
        let store = try place.open(limits: StoreLimits(quotaBytes: quota, userShare: .equal, shrinkFloor: 0.5))
        let mine = DocumentData(seed: 400, tokens: 400)
        try put(key(1, "mine"), mine, in: store)
        var acts: [Reclaim] = []
        for number in 0..<20 {
            acts += try put(key(2, "b\(number)"), DocumentData(seed: UInt64(401 + number), tokens: 400), in: store)
        }
        #expect(acts.contains { if case .shrunk = $0 { true } else { false } })
        #expect(acts.contains { if case .deleted = $0 { true } else { false } })
        #expect(acts.allSatisfy { $0.key.owner == 2 })
        #expect(try mine.difference(store.open(key(1, "mine"), fingerprint: mine.fingerprint)) == nil)
        #expect(try store.manifest(key(1, "mine"))?.shrinkage == nil)
        #expect(try bytes(of: 2, in: store) <= quota / 3, "two have documents, and a third may come")
    }

    @Test(
        "a user may hold their share, or what they hold already when that is more",
        arguments: [
            (UserShare.all, 1.0), (.equal, 0.5), (.fraction(0.25), 0.25), (.bytes(1 << 20), 1.0 / 3),
            (.bytes(1 << 30), 1.0),
        ])
    func shares(_ share: UserShare, _ expected: Double) throws {
        let limits = StoreLimits(quotaBytes: quota, userShare: share, shrinkFloor: 1)
        let store = try place.open(limits: limits)
        for number in 0..<20 {
            try put(key(1, "a\(number)"), DocumentData(seed: UInt64(430 + number), tokens: 300), in: store)
        }
        let held = try bytes(of: 1, in: store)
        let largest = try store.manifests().map(\.storedBytes).max() ?? 0
        #expect(Double(held) <= expected * Double(quota))
        #expect(Double(held + 2 * largest) > expected * Double(quota), "the share is not used")
        // Others come: what is held stays, and may be replaced, but not grow.
        for owner: UInt32 in 2..<4 where share == .equal {
            try put(key(owner, "b"), DocumentData(seed: UInt64(460 + owner), tokens: 300), in: store)
        }
        #expect(try bytes(of: 1, in: store) == held)
        try put(key(1, "again"), DocumentData(seed: 470, tokens: 300), in: store)
        #expect(try Double(bytes(of: 1, in: store)) <= max(Double(held), expected * Double(quota)))
        if share == .equal { #expect(try bytes(of: 1, in: store) <= held) }
    }

    @Test("a user pins no more than their share, by a put or by a change, and others still have room")
    func pins() throws {
        let store = try place.open(limits: StoreLimits(quotaBytes: quota, userShare: .equal))
        for number in 0..<20 {
            try put(key(1, "p\(number)"), DocumentData(seed: UInt64(500 + number), tokens: 300), in: store)
        }
        // Alone with them a user may pin half of the quota, with two others a quarter.
        for owner: UInt32 in 2..<4 {
            try put(key(owner, "b"), DocumentData(seed: UInt64(530 + owner), tokens: 300), in: store)
        }
        var (pinned, refused): (Int, [StoreError]) = (0, [])
        for manifest in try store.manifests(owner: 1) {
            do throws(StoreError) {
                pinned += try store.update(key(1, manifest.name), ttlSeconds: nil, pinned: true).storedBytes
            } catch { refused.append(error) }
        }
        #expect(pinned > quota / 8 && pinned <= quota / 4)
        guard case .overPinShare(let needed, let held, quota / 4) = refused.last else {
            Issue.record("\(refused)")
            return
        }
        #expect(held == pinned && needed + held > quota / 4)
        #expect(refused[0].description.contains("unpin or delete others first"))
        #expect(throws: refused[refused.count - 1]) {
            try store.checkRoom(bytes: needed, for: key(1, "more"), pinned: true)
        }
        #expect(throws: StoreError.self) {
            try put(key(1, "more"), DocumentData(seed: 540, tokens: 900), in: store, pinned: true)
        }
        let data = DocumentData(seed: 541, tokens: 300)
        try put(key(2, "c"), data, in: store)
        #expect(try data.difference(store.open(key(2, "c"), fingerprint: data.fingerprint)) == nil)
    }

    @Test("a put that fails changes no document: not over the quota, not on a full disk, not by a bad manifest")
    func failedPut() throws {
        let limits = StoreLimits(quotaBytes: quota, shrinkFloor: 0.25)
        let store = try place.open(mapBytes: 8 << 20, limits: limits)
        let documents = (0..<5).map { DocumentData(seed: UInt64(550 + $0), tokens: 400) }
        for (number, data) in documents.enumerated() { try put(key(1, "d\(number)"), data, in: store) }
        let before = try store.manifests()
        let large = DocumentData(seed: 560, layers: 4, tokens: 900)
        // It needs what others hold, and fails at the last step.
        let staged = try store.begin(key(1, "large"), shape: large.shape)
        try large.stage(in: staged)
        var wrong = large.manifest
        wrong.counts[0][0] += 1
        #expect(throws: StoreError.self) { _ = try staged.commit(wrong) }
        #expect(staged.reclaimed.isEmpty)
        staged.abandon()
        #expect(try store.manifests() == before)
        // Larger than the quota whatever goes: refused while it is staged.
        let huge = DocumentData(seed: 561, layers: 12, tokens: 2_000)
        #expect(throws: StoreError.self) { try put(key(1, "huge"), huge, in: store) }
        #expect(try store.manifests() == before)
        // The map is full long before the quota is.
        let roomy = try Place().open(mapBytes: 4 << 20, limits: StoreLimits(quotaBytes: 64 << 20))
        try put(key(1, "d0"), documents[0], in: roomy)
        #expect(throws: StoreError.full(mapBytes: 4 << 20)) { try put(key(1, "huge"), huge, in: roomy) }
        #expect(try documents[0].difference(roomy.open(key(1, "d0"), fingerprint: large.fingerprint)) == nil)
        #expect(try roomy.manifest(key(1, "d0"))?.shrinkage == nil)
    }

    @Test("without a quota nothing is shrunk or deleted for the disk's sake")
    func noQuota() throws {
        let store = try place.open(mapBytes: 4 << 20)
        var (kept, refused): ([String], Int) = ([], 0)
        for number in 0..<20 {
            do {
                try put(key(1, "d\(number)"), DocumentData(seed: UInt64(570 + number), tokens: 400), in: store)
                kept.append("d\(number)")
            } catch StoreError.full { refused += 1 }
        }
        #expect(refused > 0 && !kept.isEmpty)
        #expect(Set(try store.manifests().map(\.name)) == Set(kept))
        #expect(try store.manifests().allSatisfy { $0.shrinkage == nil })
    }

    @Test("documents that would give no page back are never shrunk: the least recently used go whole")
    func tinyDocuments() throws {
        let limits = StoreLimits(quotaBytes: 1 << 20, shrinkFloor: 0.25)
        let store = try place.open(limits: limits)
        var acts: [Reclaim] = []
        for number in 0..<60 {
            acts += try put(key(1, "t\(number)"), DocumentData(seed: UInt64(600 + number), tokens: 12), in: store)
        }
        #expect(!acts.isEmpty)
        #expect(acts.allSatisfy { if case .deleted(_, let bytes) = $0 { bytes > 0 } else { false } })
        #expect(acts.map(\.key.name) == (0..<acts.count).map { "t\($0)" })
        #expect(try store.statistics().storedBytes <= 1 << 20)
    }

    @Test(
        "the sizes of documents add up to what the quota counts, and that is what their pages take",
        arguments: [12, 400])
    func sizesAddUp(_ tokens: Int) throws {
        let store = try place.open()
        for number in 0..<60 {
            let data = DocumentData(seed: UInt64(700 + number), layers: 1 + number % 3, tokens: tokens)
            try put(key(UInt32(number % 3), "d\(number)"), data, in: store)
        }
        let statistics = try store.statistics()
        let listed = try (0..<3).flatMap { try store.list(owner: UInt32($0)) }.map { document in
            if case .sound(let line) = document { line.bytes } else { 0 }
        }
        #expect(listed.count == 60 && listed.reduce(0, +) == statistics.storedBytes)
        #expect(try store.manifests().reduce(0) { $0 + $1.storedBytes } == statistics.storedBytes)
        let difference = Double(statistics.storedBytes - statistics.treeBytes) / Double(statistics.treeBytes)
        #expect(abs(difference) < 0.05, "\(statistics.storedBytes) counted, \(statistics.treeBytes) in pages")
    }

    @Test("of a document that the store deleted its owner is told when and why, until it is put or deleted again")
    func tombstones() throws {
        let clock = SpaceTests.Clock()
        let now = { @Sendable in clock.now.load(ordering: .relaxed) }
        let limits = StoreLimits(quotaBytes: 1 << 20, shrinkFloor: 1, tombstoneSeconds: 100)
        let store = try place.open(limits: limits, now: now())
        for number in 0..<8 {
            clock.advance()
            try put(key(1, "d\(number)"), DocumentData(seed: UInt64(800 + number), tokens: 400), in: store)
        }
        let gone = try #require(try store.tombstone(key(1, "d0")))
        #expect(gone.reason == .quota && gone.bytes > 0 && gone.seconds > gone.lastUsedSeconds)
        #expect(throws: StoreError.reclaimed(name: "d0", gone)) {
            _ = try store.open(key(1, "d0"), fingerprint: [:])
        }
        #expect(StoreError.reclaimed(name: "d0", gone).description.contains("another of its owner's documents"))
        let names = try store.tombstones(owner: 1).map(\.key.name)
        #expect(names.first == "d0" && !names.contains("d7"))
        #expect(try store.tombstones(owner: 1, after: "d0").map(\.key.name) == Array(names.dropFirst()))
        #expect(try store.tombstones(owner: 2).isEmpty)
        // Put again it is there; deleted by its owner nothing is left to be said.
        try put(key(1, "d0"), DocumentData(seed: 800, tokens: 12), in: store)
        #expect(try store.tombstone(key(1, "d0")) == nil)
        #expect(try store.delete(key(1, "d1")))
        #expect(try store.tombstone(key(1, "d1")) == nil && !store.delete(key(1, "d1")))
        // One that expires says so, before and after it is reclaimed.
        _ = try store.update(key(1, "d0"), ttlSeconds: 10, pinned: false)
        clock.now.add(20, ordering: .relaxed)
        for round in 0..<2 {
            let error = #expect(throws: StoreError.self) { _ = try store.open(key(1, "d0"), fingerprint: [:]) }
            guard case .reclaimed("d0", let tombstone) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(tombstone.reason == .expired && tombstone.seconds == now() - 10, "round \(round)")
            _ = try store.maintain()
        }
        clock.now.add(200, ordering: .relaxed)
        _ = try store.maintain()
        #expect(try store.tombstones(owner: 1).isEmpty)
        #expect(throws: StoreError.notFound(name: "d0")) { _ = try store.open(key(1, "d0"), fingerprint: [:]) }
    }

    @Test("what an index without lines, with damaged ones or with others' says is what the manifests say")
    func lines() throws {
        let limits = StoreLimits(quotaBytes: 64 << 20)
        let documents = (0..<6).map { DocumentData(seed: UInt64(850 + $0), tokens: 100) }
        var expected: [DocumentLine] = []
        var bytes = 0
        do {
            let store = try place.open(limits: limits)
            for (number, data) in documents.enumerated() { try put(key(1, "d\(number)"), data, in: store) }
            _ = try store.update(key(1, "d3"), ttlSeconds: 9_999, pinned: true)
            _ = try store.shrink(key(1, "d4"), toBudget: 20)
            expected = try lines(store)
            bytes = try store.statistics().storedBytes
            for (line, manifest) in try zip(expected, store.manifests()) {
                let made = DocumentLine(manifest)
                #expect((line.name, line.entries, line.budget) == (made.name, made.entries, made.budget))
                #expect((line.bytes, line.pinned, line.ttlSeconds) == (made.bytes, made.pinned, made.ttlSeconds))
                #expect(line.fingerprintHash == made.fingerprintHash && line.shrinkage == made.shrinkage)
            }
        }
        for damage in 0..<3 {
            try place.damage("lines") { key, value in
                switch damage {
                case 0: nil
                case 1: value.enumerated().map { $0 == 40 ? $1 ^ 1 : $1 }
                default: key.last == UInt8(ascii: "1") ? Array(value.dropLast()) : value
                }
            }
            let store = try place.open(limits: limits)
            #expect(try lines(store) == expected, "damage \(damage)")
            #expect(try store.statistics().storedBytes == bytes)
            #expect(try store.list(owner: 1, after: "d1", limit: 2).count == 2)
        }
    }

    private func lines(_ store: DocumentStore) throws -> [DocumentLine] {
        try store.list(owner: 1).compactMap { if case .sound(let line) = $0 { line } else { nil } }
    }
}
