// Dead space: given back by compaction, offline and at start, and bounded while a store is in use.

import CacheStore
import Foundation
import Testing

@Suite struct CompactionTests {
    let place = Place()

    @Test("compaction leaves every document as it was in a file without free pages")
    func offline() throws {
        let documents = (0..<6).map { DocumentData(seed: UInt64(70 + $0)) }
        do {
            let store = try place.open()
            for (number, data) in documents.enumerated() { try place.put("d\(number)", data, in: store) }
            for number in 0..<4 { try store.delete(key("d\(number)")) }
            #expect(throws: StoreError.inUse(directory: place.directory)) {
                _ = try DocumentStore.compact(directory: place.directory)
            }
        }
        let compaction = try DocumentStore.compact(directory: place.directory)
        #expect(compaction.bytesAfter < compaction.bytesBefore / 2)
        let store = try place.open()
        let statistics = try store.statistics()
        #expect(statistics.fileBytes < compaction.bytesBefore / 2)
        for number in 4..<6 {
            let data = documents[number]
            #expect(try data.difference(store.open(key("d\(number)"), fingerprint: data.fingerprint)) == nil)
        }
        try place.put("new", documents[0], in: store)
        #expect(try documents[0].difference(store.open(key("new"), fingerprint: documents[0].fingerprint)) == nil)
    }

    @Test("a store that is mostly free space is compacted when it is opened, and what a crash left there is removed")
    func atStart() throws {
        let small = DocumentData(seed: 80)
        let large = DocumentData(seed: 81, layers: 6, kvHeads: 8, headWidth: 256, tokens: 4_000)
        do {
            let store = try place.open()
            try place.put("large", large, in: store)
            try place.put("small", small, in: store)
            try store.delete(key("large"))
            #expect(try store.statistics().freeBytes > Compaction.worthwhileBytes)
        }
        let side = place.directory + "/data.mdb.compacted"
        #expect(FileManager.default.createFile(atPath: side, contents: Data([1, 2, 3])))
        do {
            let store = try place.open(limits: StoreLimits(compactsAtStart: false))
            #expect(store.compaction == nil)
            #expect(!FileManager.default.fileExists(atPath: side))
        }
        let store = try place.open()
        let compaction = try #require(store.compaction)
        #expect(compaction.bytesBefore > Compaction.worthwhileBytes && compaction.bytesAfter < 4 << 20)
        #expect(try small.difference(store.open(key("small"), fingerprint: small.fingerprint)) == nil)
        #expect(!FileManager.default.fileExists(atPath: side))
    }

    /// `CAKED_SOAK=10000` makes this the long run.
    @Test("puts and deletes of mixed sizes against a quota leave the file below twice the quota")
    func cycles() throws {
        let cycles = ProcessInfo.processInfo.environment["CAKED_SOAK"].flatMap { Int($0) } ?? 200
        let quota = 24 << 20
        let store = try place.open(limits: StoreLimits(quotaBytes: quota))
        var random = SeededGenerator(state: 90)
        let documents = (0..<24).map { number in
            DocumentData(
                seed: UInt64(91 + number), layers: 1 + number % 4, kvHeads: 1 + number % 3, headWidth: 64,
                tokens: [60, 300, 1_100, 2_600][number % 4])
        }
        let clock = ContinuousClock()
        var (largest, times): (Int, [Double]) = (0, [])
        for cycle in 0..<cycles {
            let number = Int.random(in: 0..<documents.count, using: &random)
            let data = documents[number]
            let name = "d\(Int.random(in: 0..<80, using: &random))"
            let time = try clock.measure { try place.put(name, data, in: store) }
            times.append(time / .milliseconds(1))
            #expect(try data.difference(store.open(key(name), fingerprint: data.fingerprint)) == nil)
            if cycle % 3 == 0 { try store.delete(key("d\(Int.random(in: 0..<80, using: &random))")) }
            let statistics = try store.statistics()
            #expect(statistics.storedBytes <= quota)
            largest = max(largest, statistics.fileBytes)
        }
        #expect(largest < 2 * quota)
        let part = max(cycles / 4, 1)
        let medians = [times[..<part], times[(cycles - part)...]].map { $0.sorted()[part / 2] }
        print(
            "\(cycles) cycles: file \(Double(largest) / Double(quota)) of the quota at most, median put", medians, "ms")
    }
}
