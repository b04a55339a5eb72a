// A data file that is not what LMDB left: found when the store is opened, before a page of it is mapped.

import CacheStore
import Foundation
import LMDB
import Testing

@Suite struct StructureTests {
    let place = Place()
    let data = DocumentData(seed: 60)

    private var file: URL { URL(fileURLWithPath: place.directory + "/data.mdb") }

    /// A closed store with documents and free pages, and its bytes.
    private func made() throws -> [UInt8] {
        do {
            let store = try place.open()
            for name in ["a", "b", "c"] { try place.put(name, data, in: store) }
            try store.delete(key("b"))
        }
        return Array(try Data(contentsOf: file))
    }

    private func openDamaged(_ bytes: [UInt8]) throws -> StoreError? {
        try Data(bytes).write(to: file)
        try? FileManager.default.removeItem(atPath: place.directory + "/lock.mdb")
        do {
            _ = try place.open()
            return nil
        } catch let error as StoreError { return error }
    }

    @Test("a store is sound after everything that is done to it, and no page of it is lost")
    func sound() throws {
        _ = try made()
        for round in 0..<3 {
            let store = try place.open()
            _ = try store.shrink(key("a"), toBudget: 30 - round)
            try place.put("d\(round)", data, in: store)
            store.touch(try key("a"))
            try store.flushUsage()
        }
        let environment = try place.raw()
        let structure = try #require(environment.structure)
        #expect(structure.lostPages == 0)
        #expect(structure.usedPages > 100 && structure.freePages > 0)
        #expect(structure.pagesRead < structure.usedPages / 4, "values are not read")
    }

    @Test("a file whose end is missing is refused at start, whatever is missing")
    func truncated() throws {
        let bytes = try made()
        for end in [bytes.count - 1, bytes.count - 4096, bytes.count / 2, bytes.count / 2 + 77, 8192, 4096, 512, 1] {
            let error = try openDamaged(Array(bytes[..<end]))
            guard case .damagedStore = error else {
                Issue.record("\(end) of \(bytes.count): \(String(describing: error))")
                continue
            }
        }
        #expect(try openDamaged(bytes) == nil)
    }

    @Test("every bit of the meta pages and of every page of a tree is found or does not matter")
    func bits() throws {
        let bytes = try made()
        var random = SeededGenerator(state: 61)
        var refused = 0
        let pages = (0..<bytes.count / 4096).filter { page in
            // Meta, leaf and branch pages that carry their own number.
            bytes[page * 4096 + 10] & 0x0B != 0 && bytes[page * 4096 + 11] == 0
                && bytes[page * 4096] == UInt8(truncatingIfNeeded: page)
                && bytes[page * 4096 + 1] == UInt8(truncatingIfNeeded: page >> 8)
        }
        #expect(pages.count >= 4)
        for round in 0..<400 {
            let page = pages[round % pages.count]
            let bit = Int.random(in: 0..<(round % 3 == 0 ? 160 : 4096) * 8, using: &random)
            var damaged = bytes
            damaged[page * 4096 + bit / 8] ^= 1 << UInt8(bit % 8)
            if try openDamaged(damaged) != nil {
                refused += 1
                continue
            }
            let store = try place.open()
            for name in ["a", "c"] {
                do {
                    let document = try store.open(key(name), fingerprint: data.fingerprint)
                    #expect(data.difference(document) == nil, "round \(round)")
                } catch let error as StoreError {
                    switch error {
                    case .quarantined, .notFound: break
                    default: Issue.record("round \(round): \(error)")
                    }
                }
                _ = try store.delete(key(name))
            }
            try place.put("new", data, in: store)
            #expect(try data.difference(store.open(key("new"), fingerprint: data.fingerprint)) == nil)
        }
        #expect(refused > 10)
    }

    @Test("swapped pages of two documents' values are quarantined, and deleting one leaves the other's pages alone")
    func swappedValues() throws {
        let bytes = try made()
        let heads = (2..<bytes.count / 4096).filter { page in
            bytes[page * 4096 + 10] == 4 && bytes[page * 4096 + 11] == 0
                && bytes[page * 4096] == UInt8(truncatingIfNeeded: page)
                && bytes[page * 4096 + 1] == UInt8(truncatingIfNeeded: page >> 8)
                && bytes[page * 4096 + 16..<page * 4096 + 20].elementsEqual("CKRG".utf8)
        }
        let (one, other) = (try #require(heads.first), try #require(heads.last))
        var damaged = bytes
        for index in 0..<4096 { damaged.swapAt(one * 4096 + index, other * 4096 + index) }
        #expect(try openDamaged(damaged) == nil)
        let store = try place.open()
        for name in ["a", "c"] {
            let document = try? store.open(key(name), fingerprint: data.fingerprint)
            if let document { #expect(data.difference(document) == nil) }
        }
        #expect(try !store.quarantined().isEmpty)
        for name in ["a", "c"] { #expect(try store.delete(key(name))) }
        for name in ["d", "e", "f"] { try place.put(name, data, in: store) }
        for name in ["d", "e", "f"] {
            #expect(try data.difference(store.open(key(name), fingerprint: data.fingerprint)) == nil)
        }
    }
}
