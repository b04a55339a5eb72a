// Exports: the same bytes for the same document, read back whole, and refused when a single bit is another.

import CacheStore
import Foundation
import Inference
import Testing

@Suite struct TransferTests {
    static let shape = CacheShape(layers: 2, kvHeads: 2, headWidth: 32, rows: .f16, tokens: 40)
    static let text = Array("Grüße an alle, die das lesen.".utf8)
    static let magicBytes = 16

    /// Stores a document and exports it.
    static func export(
        rows: RowType = .f16, created: Int = 1000, ttl: Int? = nil, keys: UInt8 = 0x11
    ) throws -> (bytes: [UInt8], manifest: Manifest) {
        let folder = FileManager.default.temporaryDirectory.appending(path: "caked-export-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try DocumentStore(directory: folder.path, mapBytes: 64 << 20)
        var shape = Self.shape
        shape.rows = rows
        let key = try DocumentKey(owner: 5, name: "d")
        let staged = try store.begin(key, shape: shape)
        let positions: [[UInt32]] = [[0, 3, 2], [39], [], [0, 1, 2, 38]]
        let indicators: [[Float]] = [[.infinity, 3, 2], [0], [], [.infinity, .infinity, 0.5, 0.5]]
        for layer in 0..<2 {
            let (count, other) = (positions[2 * layer].count, positions[2 * layer + 1].count)
            let first = Array(repeating: keys, count: shape.keyBytes(entries: count))
            let second = Array(repeating: keys &+ 1, count: shape.keyBytes(entries: other))
            try unsafe positions[2 * layer].withUnsafeBufferPointer { p0 in
                try unsafe positions[2 * layer + 1].withUnsafeBufferPointer { p1 in
                    try unsafe indicators[2 * layer].withUnsafeBufferPointer { i0 in
                        try unsafe indicators[2 * layer + 1].withUnsafeBufferPointer { i1 in
                            try unsafe first.withUnsafeBytes { r0 in
                                try unsafe second.withUnsafeBytes { r1 in
                                    try unsafe staged.stage(
                                        layer: layer,
                                        heads: [
                                            StagedHead(
                                                head: 0, positions: p0, indicators: i0, keys: r0,
                                                values: .init(rebasing: r0[..<shape.valueBytes(entries: count)])),
                                            StagedHead(
                                                head: 1, positions: p1, indicators: i1, keys: r1,
                                                values: .init(rebasing: r1[..<shape.valueBytes(entries: other)])),
                                        ])
                                }
                            }
                        }
                    }
                }
            }
        }
        try staged.stageText(text)
        try staged.stageTokens(Array(repeating: 1, count: 40))
        let manifest = try staged.commit(
            Manifest(
                shape: shape, budget: 2, method: "cake", fingerprint: ["weights": "w"],
                counts: [[3, 1], [0, 4]], layerBudgets: [2, 2], preferences: [1, .nan], createdSeconds: created,
                ttlSeconds: ttl, prefillSeconds: Double(created), textBytes: text.count, textHash: "h"))
        let writer = try ExportWriter(store.open(key, fingerprint: ["weights": "w"]))
        var bytes: [UInt8] = []
        while let piece = writer.next() { bytes += piece }
        #expect(bytes.count == writer.byteCount)
        return (bytes, manifest)
    }

    /// Reads an export in pieces; the parts that came, or the refusal.
    static func read(_ bytes: [UInt8], pieces: Int = 1 << 20) throws -> (parts: [String], isDone: Bool) {
        var reader = ImportReader()
        var parts: [String] = []
        for first in stride(from: 0, to: bytes.count, by: pieces) {
            try reader.append(Array(bytes[first..<min(first + pieces, bytes.count)])) { part in
                switch part {
                case .manifest(let manifest): parts.append("manifest \(manifest.name) \(manifest.counts)")
                case .text(let text): parts.append("text \(String(decoding: text, as: UTF8.self))")
                case .layer(let layer, let part):
                    let heads = try unsafe part.withHeads { heads in
                        unsafe heads.map { head in
                            unsafe "\(head.head):\(Array(head.positions)):\(Array(head.indicators)):\(Set(head.keys))"
                        }
                    }
                    parts.append("layer \(layer) \(heads)")
                }
            }
        }
        return (parts, reader.isDone)
    }

    /// Puts right digests into an altered export.
    static func signed(_ bytes: [UInt8], blocks: [Int]) -> [UInt8] {
        var result: [UInt8] = []
        var hash = Hash128()
        var rest = bytes[...]
        for count in blocks {
            let block = Array(rest.prefix(count))
            hash.update(block)
            let digest = Array(hash.hex.utf8)
            hash.update(digest)
            result += block + digest
            rest = rest.dropFirst(count + 32)
        }
        return result
    }

    /// Bytes of the blocks between digests: head, text, layers.
    static func blocks(_ bytes: [UInt8], rows: RowType = .f16) -> [Int] {
        let header = bytes[16..<24].reversed().reduce(0) { $0 << 8 | Int($1) }
        func padded(_ count: Int) -> Int { (count + 7) & ~7 }
        let layers = [[3, 1], [0, 4]].map { counts in
            counts.reduce(0) {
                $0 + 2 * padded(4 * $1) + padded(rows.keyBytes(entries: $1, headWidth: 32))
                    + padded(rows.valueBytes(entries: $1, headWidth: 32))
            }
        }
        return [24 + header, text.count] + layers
    }

    @Test("what is read is what was written, however it is cut", arguments: [RowType.f16, .q8_0, .q4])
    func roundTrip(_ rows: RowType) throws {
        let bytes = try Self.export(rows: rows).bytes
        let whole = try Self.read(bytes)
        #expect(whole.isDone)
        #expect(whole.parts.count == 4)
        #expect(whole.parts[0] == "manifest d [[3, 1], [0, 4]]")
        #expect(whole.parts[1] == "text Grüße an alle, die das lesen.")
        #expect(whole.parts[2].contains("0:[0, 3, 2]:[inf, 3.0, 2.0]:[17]"))
        #expect(whole.parts[3].contains("1:[0, 1, 2, 38]:[inf, inf, 0.5, 0.5]:[18]"))
        for pieces in [1, 7, 64] {
            let cut = try Self.read(bytes, pieces: pieces)
            #expect(cut.parts == whole.parts && cut.isDone)
        }
    }

    @Test("a document exported from another store, at another time, gives the same bytes")
    func reproducible() throws {
        let bytes = try Self.export().bytes
        #expect(try Self.export(created: 4_000_000_000, ttl: 60).bytes == bytes)
        #expect(try Self.export(keys: 0x12).bytes != bytes)
        #expect(Self.signed(bytes, blocks: Self.blocks(bytes)) == bytes)
    }

    @Test("a flipped bit or a missing end is noticed, whichever it is")
    func damaged() throws {
        let bytes = try Self.export().bytes
        for index in bytes.indices {
            var flipped = bytes
            flipped[index] ^= UInt8(1 << (index % 8))
            #expect(throws: (any Error).self, "byte \(index)") {
                // A header that claims more than there is leaves the file unfinished.
                if try !Self.read(flipped).isDone { throw ImportReader.Refusal.damaged("unfinished") }
            }
            let cut = try Self.read(Array(bytes.prefix(index)))
            #expect(!cut.isDone, "cut at \(index)")
        }
        #expect(throws: ImportReader.Refusal.damaged("something follows its end")) { try Self.read(bytes + [0]) }
    }

    @Test("right digests do not make wrong contents right", arguments: 0..<7)
    func hostile(_ row: Int) throws {
        let bytes = try Self.export().bytes
        let blocks = Self.blocks(bytes)
        let layer = blocks[0] + 32 + blocks[1] + 32
        // Positions of layer 0, head 0, then its indicators, keys.
        let (indicators, keys) = (layer + 16, layer + 32)
        let (offset, values, problem): (Int, [UInt8], String) =
            [
                (layer, [40, 0, 0, 0], "an entry beyond the document"),
                (layer, [255, 255, 255, 255], "an entry beyond the document"),
                (layer + 4, [0, 0, 0, 0], "an entry twice"),
                (indicators + 8, [0, 0, 128, 64], "entries out of their order"),
                (indicators + 4, [0, 0, 192, 127], "entries out of their order"),
                (keys, [0, 124], "a row that is not a number"),
                (keys + 6, [1, 252], "a row that is not a number"),
            ][row]
        var altered = bytes
        altered.replaceSubrange(offset..<offset + values.count, with: values)
        let expected = ImportReader.Refusal.damaged("layer 0, head 0: \(problem)")
        #expect(throws: expected) { try Self.read(Self.signed(altered, blocks: blocks)) }
    }

    @Test("a scale or a centre that is not a number is refused, whichever part has it", arguments: [0, 66, 176, 178])
    func hostileScales(_ offset: Int) throws {
        let bytes = try Self.export(rows: .q4).bytes
        let blocks = Self.blocks(bytes, rows: .q4)
        // Keys of layer 0, head 0: 64 bytes of scales, as many of centres, 48 of nibbles; then values, scale and shift
        // first.
        let place = blocks[0] + 32 + blocks[1] + 32 + 32 + offset
        var altered = bytes
        altered.replaceSubrange(place..<place + 2, with: [0, 124])
        let expected = ImportReader.Refusal.damaged("layer 0, head 0: a row that is not a number")
        #expect(throws: expected) { try Self.read(Self.signed(altered, blocks: blocks)) }
    }

    @Test(
        "a header that promises what cannot be is refused before anything is made room for",
        arguments: [
            (#""layers":2"#, #""layers":9"#), (#""tokens":40"#, #""tokens":-1"#), ("[[3,1]", "[[3,1,1]"),
            ("[[3,1]", "[[41,1]"), ("[[3,1]", "[[-1,1]"), (#""headWidth":32"#, #""headWidth":9999999999"#),
            (#""textBytes":31"#, #""textBytes":-31"#), (#""rows":"f16""#, #""rows":"f17""#),
        ])
    func header(_ found: String, _ replacement: String) throws {
        let bytes = try Self.export().bytes
        let blocks = Self.blocks(bytes)
        let header = String(decoding: bytes[24..<blocks[0]], as: UTF8.self)
        try #require(header.contains(found), "\(header)")
        let altered = Array(header.replacingOccurrences(of: found, with: replacement).utf8)
        let size = unsafe withUnsafeBytes(of: UInt64(altered.count).littleEndian) { unsafe Array($0) }
        let file = Array(bytes[..<16]) + size + altered + bytes[blocks[0]...]
        let signed = Self.signed(file, blocks: [24 + altered.count] + blocks.dropFirst())
        #expect(throws: ImportReader.Refusal.self) { try Self.read(signed) }
    }

    @Test("what is no export is refused with its first bytes, and no header is read into gigabytes")
    func foreign() throws {
        #expect(throws: ImportReader.Refusal.notAnExport) { try Self.read(Array("This is a plain text.".utf8)) }
        let bytes = try Self.export().bytes
        for size in [UInt64(0), 1 << 40, .max] {
            let sizeBytes = unsafe withUnsafeBytes(of: size.littleEndian) { unsafe Array($0) }
            #expect(throws: ImportReader.Refusal.self) { try Self.read(Array(bytes[..<16]) + sizeBytes + bytes[24...]) }
        }
    }
}
