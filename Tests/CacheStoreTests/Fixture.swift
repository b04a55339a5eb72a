// A store in a temporary directory, and documents whose every byte follows from a seed.

import CacheStore
import Foundation
import LMDB

/// SplitMix64: the same documents in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// The rows of one head.
struct HeadData: Equatable {
    var positions: [UInt32]
    var indicators: [Float]
    var keys: [UInt8]
    var values: [UInt8]
}

/// A document to store: `[layers][kvHeads]` heads of ragged counts, zero among them.
struct DocumentData {
    let shape: CacheShape
    let heads: [[HeadData]]
    let text: [UInt8]
    let tokens: [Int32]
    let fingerprint = ["weights": "w1", "tokenizer": "t1", "template": "chatml"]

    init(seed: UInt64, layers: Int = 2, kvHeads: Int = 3, headWidth: Int = 64, rows: RowType = .f16, tokens: Int = 300)
    {
        var random = SeededGenerator(state: seed)
        shape = CacheShape(layers: layers, kvHeads: kvHeads, headWidth: headWidth, rows: rows, tokens: tokens)
        let shape = self.shape
        heads = (0..<layers).map { layer in
            (0..<kvHeads).map { head in
                let count = (layer + head) % 4 == 1 ? 0 : Int.random(in: 1...tokens, using: &random)
                return HeadData(
                    positions: (0..<count).map { _ in UInt32.random(in: 0..<UInt32(tokens), using: &random) },
                    indicators: (0..<count).map { _ in Float.random(in: 0...1, using: &random) },
                    keys: (0..<shape.keyBytes(entries: count)).map { _ in UInt8(truncatingIfNeeded: random.next()) },
                    values: (0..<shape.valueBytes(entries: count)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                )
            }
        }
        text = Array("Document \(seed). ä€𝄞".utf8)
        self.tokens = (0..<tokens).map { _ in Int32.random(in: 0..<32000, using: &random) }
    }

    var manifest: Manifest {
        Manifest(
            shape: shape, budget: 64, method: "cake", fingerprint: fingerprint,
            counts: heads.map { $0.map(\.positions.count) }, layerBudgets: [Double](repeating: 64, count: shape.layers),
            preferences: [Double](repeating: 1, count: shape.layers), templatePrefix: "<|im_start|>user\n",
            prefixTokens: 3)
    }

    func stage(in staged: StagedDocument) throws {
        for (layer, heads) in heads.enumerated() { try Self.stage(heads, layer: layer, in: staged) }
        try staged.stageText(text)
        try staged.stageTokens(tokens)
    }

    static func stage(_ heads: [HeadData], layer: Int, in staged: StagedDocument) throws {
        // Flat copies, so that every pointer lives until `stage` returns.
        var owners: [UnsafeMutableRawBufferPointer] = unsafe []
        defer { for owner in unsafe owners { unsafe owner.deallocate() } }
        func keep(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 16)
            unsafe copy.copyMemory(from: bytes)
            unsafe owners.append(copy)
            return unsafe UnsafeRawBufferPointer(copy)
        }
        let list = unsafe heads.enumerated().map { index, head in
            unsafe StagedHead(
                head: index, positions: head.positions.withUnsafeBytes { unsafe keep($0) }.bindMemory(to: UInt32.self),
                indicators: head.indicators.withUnsafeBytes { unsafe keep($0) }.bindMemory(to: Float.self),
                keys: head.keys.withUnsafeBytes { unsafe keep($0) },
                values: head.values.withUnsafeBytes { unsafe keep($0) })
        }
        try unsafe staged.stage(layer: layer, heads: list)
    }

    /// What an open document holds of a head, and whether every part was aligned.
    static func read(_ document: OpenDocument, layer: Int, head: Int) -> (data: HeadData, isAligned: Bool) {
        var data = HeadData(positions: [], indicators: [], keys: [], values: [])
        var isAligned = true
        for segment in unsafe document.segments(layer: layer, head: head) {
            let (shape, entries) = unsafe (document.manifest.shape, segment.count)
            unsafe data.positions += UnsafeBufferPointer(start: segment.positions, count: segment.count)
            unsafe data.indicators += UnsafeBufferPointer(start: segment.indicators, count: segment.count)
            unsafe data.keys += UnsafeRawBufferPointer(start: segment.keys, count: shape.keyBytes(entries: entries))
            unsafe data.values += UnsafeRawBufferPointer(
                start: segment.values, count: shape.valueBytes(entries: entries))
            for address in unsafe [
                UInt(bitPattern: segment.positions), UInt(bitPattern: segment.indicators),
                UInt(bitPattern: segment.keys),
                UInt(bitPattern: segment.values),
            ] where address % 64 != 0 { isAligned = false }
        }
        return (data, isAligned)
    }

    /// The first difference between a stored document and this one, or nil.
    func difference(_ document: OpenDocument) -> String? {
        for (layer, heads) in heads.enumerated() {
            for (head, expected) in heads.enumerated() {
                let (found, isAligned) = Self.read(document, layer: layer, head: head)
                if found != expected { return "layer \(layer), head \(head)" }
                if !isAligned { return "layer \(layer), head \(head) misaligned" }
            }
        }
        if document.text() != text { return "text" }
        return document.tokens() == tokens ? nil : "tokens"
    }
}

/// The folder of all stores of this run; gone when the tests end.
private let storesFolder = {
    let path = NSTemporaryDirectory() + "caked-stores-\(getpid())"
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    atexit { try? FileManager.default.removeItem(atPath: NSTemporaryDirectory() + "caked-stores-\(getpid())") }
    return path
}()

/// A temporary directory for one test.
struct Place {
    let directory = storesFolder + "/" + UUID().uuidString

    func open(
        mapBytes: Int = 1 << 30, maxReaders: Int = 64, maximumValueBytes: Int = 64 << 20,
        limits: StoreLimits = StoreLimits(),
        now: @escaping @autoclosure @Sendable () -> Int = 1_000
    ) throws -> DocumentStore {
        try DocumentStore(
            directory: directory, mapBytes: mapBytes, maxReaders: maxReaders, maximumValueBytes: maximumValueBytes,
            limits: limits, clock: now, truncate: proportional)
    }

    @discardableResult
    func put(
        _ name: String, _ data: DocumentData, in store: DocumentStore, ttlSeconds: Int? = nil, pinned: Bool = false
    ) throws -> Manifest {
        let staged = try store.begin(DocumentKey(owner: 1, name: name), shape: data.shape)
        try data.stage(in: staged)
        var manifest = data.manifest
        (manifest.ttlSeconds, manifest.pinned) = (ttlSeconds, pinned)
        return try staged.commit(manifest)
    }

    /// The databases of the (closed) store, for damage to be done.
    func raw() throws -> Environment {
        try Environment(
            directory: directory, mapBytes: 1 << 30, maxReaders: 8,
            databases: ["format", "manifests", "records", "quarantine", "lines", "tombstones"])
    }

    /// Changes values of the (closed) store; nil from `change` deletes.
    func damage(_ database: String, _ change: ([UInt8], [UInt8]) -> [UInt8]?) throws {
        let environment = try raw()
        let database = try environment.database(database)
        var all: [([UInt8], [UInt8])] = []
        do {
            let transaction = try environment.read()
            var cursor = try transaction.cursor(in: database)
            var found = try cursor.seek(to: [])
            while found {
                let key = unsafe cursor.key.withUnsafeBytes { unsafe Array($0) }
                all.append((key, unsafe cursor.value.withUnsafeBytes { unsafe Array($0) }))
                found = try cursor.next()
            }
        }
        var transaction = try environment.write()
        for (key, value) in all {
            if let changed = change(key, value) {
                if changed != value { try transaction.put(changed.span.bytes, forKey: key, in: database) }
            } else {
                try transaction.delete(key, in: database)
            }
        }
        try transaction.commit()
    }
}

func key(_ name: String) throws -> DocumentKey { try DocumentKey(owner: 1, name: name) }

/// Shares a smaller budget among heads in proportion to what they hold.
let proportional: Truncating = { document, budget in
    let manifest = document.manifest
    return Truncation(
        budget: budget, counts: manifest.counts.map { $0.map { $0 * budget / manifest.budget } },
        layerBudgets: manifest.layerBudgets.map { $0 * Double(budget) / Double(manifest.budget) })
}
