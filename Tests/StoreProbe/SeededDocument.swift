// Documents whose every byte follows from their name, so that whoever reads one back knows what it must be.

import CacheStore

/// SplitMix64: the same draws in every run.
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

/// A small document: ragged heads, a text, token ids.
struct SeededDocument {
    static let fingerprint = ["weights": "probe"]
    static let shape = CacheShape(layers: 2, kvHeads: 2, headWidth: 32, rows: .f16, tokens: 400)

    let key: DocumentKey
    private let seed: UInt64

    init(_ number: Int) throws(StoreError) {
        try self.init(number, named: "document-\(number)")
    }

    /// The same content by any name.
    init(_ number: Int, named name: String) throws(StoreError) {
        key = try DocumentKey(owner: 1, name: name)
        seed = UInt64(number) &* 1_000_003
    }

    /// The budget that a document is written with.
    static let budget = 64
    /// What a smaller budget keeps: as large a share of every head.
    static let truncate: Truncating = { document, budget in
        Truncation(
            budget: budget, counts: document.manifest.counts.map { $0.map { $0 * budget / document.manifest.budget } })
    }

    /// Entries of a head: from a page's worth to several.
    func count(layer: Int, head: Int) -> Int { 20 + Int(seed / 7 + UInt64(layer * 97 + head * 41)) % 300 }

    var text: [UInt8] { bytes(.max, count: 600 + Int(seed % 9_000)) }
    var tokens: [Int32] { (0..<Self.shape.tokens).map { Int32(truncatingIfNeeded: seed &+ UInt64($0)) & 0x7FFF } }

    func positions(layer: Int, head: Int) -> [UInt32] {
        (0..<count(layer: layer, head: head)).map { UInt32(($0 * 7 + layer + head) % Self.shape.tokens) }
    }

    func indicators(layer: Int, head: Int) -> [Float] {
        (0..<count(layer: layer, head: head)).map { 1 / Float($0 + 1) }
    }

    func rows(layer: Int, head: Int, values: Bool) -> [UInt8] {
        bytes(
            UInt64(layer * 8 + head * 2 + (values ? 1 : 0)),
            count: count(layer: layer, head: head) * Self.shape.headWidth * 2)
    }

    private func bytes(_ part: UInt64, count: Int) -> [UInt8] {
        var random = SeededGenerator(state: seed &* 31 &+ part)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { unsafe withUnsafeBytes(of: random.next()) { unsafe bytes.append(contentsOf: $0) } }
        return Array(bytes.prefix(count))
    }

    /// Stores it.
    func put(in store: DocumentStore) throws(StoreError) {
        let staged = try store.begin(key, shape: Self.shape)
        var counts: [[Int]] = []
        for layer in 0..<Self.shape.layers {
            counts.append((0..<Self.shape.kvHeads).map { count(layer: layer, head: $0) })
            for head in 0..<Self.shape.kvHeads { try stage(layer: layer, head: head, in: staged) }
        }
        try staged.stageText(text)
        try staged.stageTokens(tokens)
        var manifest = Manifest(
            shape: Self.shape, budget: Self.budget, method: "probe", fingerprint: Self.fingerprint, counts: counts,
            layerBudgets: [], preferences: [])
        manifest.textBytes = text.count
        _ = try staged.commit(manifest)
    }

    private func stage(layer: Int, head: Int, in staged: StagedDocument) throws(StoreError) {
        let positions = positions(layer: layer, head: head)
        let indicators = indicators(layer: layer, head: head)
        let keys = rows(layer: layer, head: head, values: false)
        let values = rows(layer: layer, head: head, values: true)
        let result: Result<Void, StoreError> = unsafe positions.withUnsafeBufferPointer { positions in
            unsafe indicators.withUnsafeBufferPointer { indicators in
                unsafe keys.withUnsafeBytes { keys in
                    unsafe values.withUnsafeBytes { values in
                        do throws(StoreError) {
                            let part = unsafe StagedHead(
                                head: head, positions: positions, indicators: indicators, keys: keys, values: values)
                            return .success(try unsafe staged.stage(layer: layer, heads: [part]))
                        } catch { return .failure(error) }
                    }
                }
            }
        }
        try result.get()
    }

    /// What a stored document has that this one, shrunk to a budget, has not; nil when they are equal to the byte.
    func difference(_ document: OpenDocument, share budget: Int = budget) throws(StoreError) -> String? {
        for layer in 0..<Self.shape.layers {
            for head in 0..<Self.shape.kvHeads {
                let count = count(layer: layer, head: head) * budget / Self.budget
                let rowsBytes = count * Self.shape.headWidth * 2
                if try document.positions(layer: layer, head: head)
                    != Array(positions(layer: layer, head: head).prefix(count))
                {
                    return "positions of layer \(layer), head \(head)"
                }
                var (keys, values, indicators): ([UInt8], [UInt8], [Float]) = ([], [], [])
                let segments = unsafe document.segments(layer: layer, head: head)
                for index in unsafe segments.indices {
                    let segment = unsafe segments[index]
                    let rowBytes = unsafe segment.count * Self.shape.headWidth * 2
                    unsafe keys += UnsafeRawBufferPointer(start: segment.keys, count: rowBytes)
                    unsafe values += UnsafeRawBufferPointer(start: segment.values, count: rowBytes)
                    unsafe indicators += UnsafeBufferPointer(start: segment.indicators, count: segment.count)
                }
                if keys != Array(rows(layer: layer, head: head, values: false).prefix(rowsBytes))
                    || values != Array(rows(layer: layer, head: head, values: true).prefix(rowsBytes))
                    || indicators != Array(self.indicators(layer: layer, head: head).prefix(count))
                {
                    return "rows of layer \(layer), head \(head)"
                }
            }
        }
        if document.text() != text { return "text" }
        return document.tokens() == tokens ? nil : "tokens"
    }
}
