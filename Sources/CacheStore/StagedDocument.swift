// A document being written: invisible until its manifest is committed, garbage if it never is.

import LMDB
import Locks

/// The kept entries of one KV head of a layer, in rank order; read while `stage` runs, not kept.
@unsafe public struct StagedHead {
    /// The KV head.
    public var head: Int
    /// Document positions, one for each entry.
    public var positions: UnsafeBufferPointer<UInt32>
    /// Indicators, one for each entry.
    public var indicators: UnsafeBufferPointer<Float>
    /// Keys, `[entries, headWidth]` as the shape's rows lie.
    public var keys: UnsafeRawBufferPointer
    /// Value rows, like the keys.
    public var values: UnsafeRawBufferPointer

    /// A head's entries; the buffers must live until `stage` returns.
    public init(
        head: Int, positions: UnsafeBufferPointer<UInt32>, indicators: UnsafeBufferPointer<Float>,
        keys: UnsafeRawBufferPointer, values: UnsafeRawBufferPointer
    ) {
        unsafe (self.head, self.positions, self.indicators) = (head, positions, indicators)
        unsafe (self.keys, self.values) = (keys, values)
    }
}

/// A document being written.
///
/// `commit` makes it exist; without it, `abandon()`, deinit or the next start deletes it.
public final class StagedDocument: Sendable {
    /// What it will be found by.
    public let key: DocumentKey
    /// Its dimensions, to which everything staged is checked.
    public let shape: CacheShape
    let generation: UInt64
    private let store: DocumentStore
    private let state = Mutex(State())

    private struct State {
        var isClosed = false
        var counts: [Int: Int] = [:]  // by layer · kvHeads + head
        var textBytes: Int?
        var tokens: Int?
        var storedBytes = 0
        var reclaimed: [Reclaim] = []
    }

    /// The records of one transaction together: they lie on the heap until it commits.
    private static let transactionBytes = 64 << 20

    init(store: DocumentStore, key: DocumentKey, shape: CacheShape, generation: UInt64) {
        (self.store, self.key, self.shape, self.generation) = (store, key, shape, generation)
    }

    deinit { abandon() }

    /// What was done to other documents to make room for this one; nothing before it was committed.
    public var reclaimed: [Reclaim] { state.withLock(\.reclaimed) }

    /// Refuses records that could never be kept: what they push out goes only when the document is committed.
    private func checkRoom(bytes: Int) throws(StoreError) {
        try store.checkQuota(bytes: state.withLock(\.storedBytes) + bytes, for: key)
        try store.checkDisk(bytes: bytes)
    }

    /// Writes heads of a layer durably, in one transaction (or several of up to 64 MiB for a larger layer).
    ///
    /// Heads may come in any order and number of calls, each once; one without entries may be left out. After an
    /// error the layer can be staged again. Throws `.invalidSegment`, `.full`, `.diskFull`, `.closed`.
    public func stage(layer: Int, heads: [StagedHead]) throws(StoreError) {
        var seen: Set<Int> = []
        for index in unsafe heads.indices {
            let head = unsafe heads[index]
            try unsafe check(head, layer: layer)
            let isNew = unsafe seen.insert(head.head).inserted
            guard isNew, unsafe try !isStaged(layer, head.head) else {
                throw unsafe .invalidSegment(layer: layer, head: head.head, problem: "it is staged already")
            }
        }
        var batch: [(index: Int, header: RecordHeader)] = []
        var (batchBytes, storedBytes) = (0, 0)
        for index in unsafe heads.indices {
            for header in unsafe split(heads[index], layer: layer) {
                let bytes = store.footprint.valueBytes(header)
                if !batch.isEmpty, batchBytes + bytes > Self.transactionBytes {
                    try unsafe write(batch, of: heads, bytes: batchBytes)
                    (batch, batchBytes) = ([], 0)
                }
                batch.append((index, header))
                batchBytes += bytes
                storedBytes += bytes
            }
        }
        if !batch.isEmpty { try unsafe write(batch, of: heads, bytes: batchBytes) }
        let counts = unsafe heads.map { unsafe ($0.head, $0.positions.count) }
        state.withLock { state in
            for (head, count) in counts { state.counts[layer * shape.kvHeads + head] = count }
            state.storedBytes += storedBytes
        }
    }

    /// Stages the document's text, from which it can be read again by another model; once.
    public func stageText(_ utf8: [UInt8]) throws(StoreError) {
        let bytes = try unsafe stage(utf8.span.bytes, kind: .text, elementBytes: 1)
        state.withLock { state in
            state.textBytes = utf8.count
            state.storedBytes += bytes
        }
    }

    /// Stages the ids of the document's tokens, the template prefix's included: as many as the shape says; once.
    public func stageTokens(_ ids: [Int32]) throws(StoreError) {
        let bytes = try unsafe stage(ids.span.bytes, kind: .tokens, elementBytes: 4)
        state.withLock { state in
            state.tokens = ids.count
            state.storedBytes += bytes
        }
    }

    /// Makes the document exist, in place of an older one of the same key: the commit point.
    ///
    /// Returns the manifest as stored, with what the store sets. Throws `.incomplete` when its counts are not what was
    /// staged, `.invalidManifest`, `.full`, `.diskFull`; the document can then still be committed.
    public func commit(_ proposed: Manifest) throws(StoreError) -> Manifest {
        let manifest = try complete(proposed)
        try store.checkDisk(bytes: store.pageBytes)
        let acts = try store.write { transaction throws(StoreError) in
            let bytes = store.footprint.bytes(
                of: manifest, manifestBytes: try ManifestRecord.encode(manifest).count)
            if manifest.pinned { try store.checkPin(bytes: bytes, for: key) }
            let acts = try store.makeRoom(bytes: bytes, for: key, in: &transaction)
            // The old generation goes in the same transaction; GarbageCollection says why readers do not mind.
            _ = try store.delete(key, onlyGeneration: nil, in: &transaction)
            try store.removeTombstone(key, in: &transaction)
            try store.put(manifest, key: key, in: &transaction)
            return acts
        }
        state.withLock { state in
            state.isClosed = true
            state.reclaimed = acts
        }
        store.state.withLock { state in
            state.usage[key] = nil
            state.quarantine[key] = nil
            // What this process has just written it need not read again to trust.
            state.verified.insert(generation)
        }
        store.collectLeftovers()
        store.finish(acts)
        return store.withUsage(manifest, key: key)
    }

    /// Deletes what was staged.
    ///
    /// Nothing happens after a commit.
    public func abandon() {
        let isOpen = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        if isOpen { store.discard(generation: generation) }
    }

    // MARK: Checks

    private func complete(_ proposed: Manifest) throws(StoreError) -> Manifest {
        var manifest = proposed
        guard manifest.shape == shape else {
            throw .invalidManifest("its shape is not the one the document began with")
        }
        (manifest.id, manifest.name, manifest.owner) = (generation, key.name, key.owner)
        manifest.formatVersion = RecordFormat.version
        if manifest.createdSeconds == 0 { manifest.createdSeconds = store.now }
        manifest.lastUsedSeconds = max(manifest.lastUsedSeconds, manifest.createdSeconds)
        let (isClosed, counts, textBytes, tokens, bytes) = state.withLock {
            ($0.isClosed, $0.counts, $0.textBytes, $0.tokens, $0.storedBytes)
        }
        if isClosed { throw .closed(name: key.name) }
        manifest.storedBytes = bytes
        manifest.textBytes = textBytes ?? manifest.textBytes
        if let tokens, tokens != shape.tokens {
            throw .invalidManifest("\(tokens) token ids were staged and the shape has \(shape.tokens)")
        }
        if let problem = manifest.problem() { throw .invalidManifest(problem) }
        for (layer, heads) in manifest.counts.enumerated() {
            for (head, expected) in heads.enumerated() {
                let staged = counts[layer * shape.kvHeads + head] ?? 0
                guard staged == expected else {
                    throw .incomplete(layer: layer, head: head, staged: staged, expected: expected)
                }
            }
        }
        return manifest
    }

    private func isStaged(_ layer: Int, _ head: Int) throws(StoreError) -> Bool {
        let (isClosed, isStaged) = state.withLock {
            ($0.isClosed, $0.counts[layer * shape.kvHeads + head] != nil)
        }
        if isClosed { throw .closed(name: key.name) }
        return isStaged
    }

    @unsafe private func check(_ head: StagedHead, layer: Int) throws(StoreError) {
        let count = unsafe head.positions.count
        func refuse(_ problem: String) -> StoreError {
            unsafe .invalidSegment(layer: layer, head: head.head, problem: problem)
        }
        guard (0..<shape.layers).contains(layer), unsafe (0..<shape.kvHeads).contains(head.head) else {
            throw refuse("the shape has \(shape.layers) layers of \(shape.kvHeads) heads")
        }
        guard count <= shape.tokens else { throw refuse("\(count) entries of \(shape.tokens) tokens") }
        guard unsafe head.indicators.count == count else {
            throw unsafe refuse("\(head.indicators.count) indicators for \(count) entries")
        }
        let (keys, values) = (shape.keyBytes(entries: count), shape.valueBytes(entries: count))
        guard unsafe head.keys.count == keys, unsafe head.values.count == values else {
            throw unsafe refuse(
                "\(head.keys.count) and \(head.values.count) bytes of rows, not \(keys) and \(values)")
        }
    }

    // MARK: Records

    /// The records that hold a head: none without entries, several when it is too long for one value.
    private func split(_ head: StagedHead, layer: Int) -> [RecordHeader] {
        let limit = store.footprint.entriesPerRecord(.segment, shape)
        let count = unsafe head.positions.count
        return stride(from: 0, to: count, by: limit).enumerated().map { part, first in
            unsafe header(
                .segment, layer: layer, head: head.head, part: part, first: first, count: min(limit, count - first))
        }
    }

    private func header(
        _ kind: RecordKind, layer: Int = 0, head: Int = 0, part: Int, first: Int, count: Int
    ) -> RecordHeader {
        RecordHeader(
            kind: kind, rows: shape.rows, layer: layer, head: head, part: part,
            payloadOffset: RecordHeader.payloadOffset(valueOffset: store.valueOffset), generation: generation,
            first: first, count: count, headWidth: shape.headWidth)
    }

    @unsafe private func write(
        _ batch: [(index: Int, header: RecordHeader)], of heads: [StagedHead], bytes: Int
    ) throws(StoreError) {
        try checkRoom(bytes: bytes)
        try store.write { transaction throws(StoreError) in
            for (index, header) in batch {
                let head = unsafe heads[index]
                try store.put(header, in: &transaction.lmdb) { payload in
                    let entries = header.first..<header.first + header.count
                    let keys = shape.keyBytes(entries: header.first)
                    let values = shape.valueBytes(entries: header.first)
                    let positions = unsafe UnsafeRawBufferPointer(
                        UnsafeBufferPointer(rebasing: head.positions[entries]))
                    let indicators = unsafe UnsafeRawBufferPointer(
                        UnsafeBufferPointer(rebasing: head.indicators[entries]))
                    unsafe payload.copy(positions, to: 0)
                    unsafe payload.copy(indicators, to: header.indicatorsOffset)
                    unsafe payload.copy(
                        UnsafeRawBufferPointer(rebasing: head.keys[keys..<keys + header.keyBytes]),
                        to: header.keysOffset)
                    unsafe payload.copy(
                        UnsafeRawBufferPointer(rebasing: head.values[values..<values + header.valueBytes]),
                        to: header.valuesOffset)
                }
            }
        }
    }

    /// Stages text or token ids, a transaction for each 64 MiB; returns the bytes of the values.
    private func stage(_ bytes: RawSpan, kind: RecordKind, elementBytes: Int) throws(StoreError) -> Int {
        guard try !isStaged(0, -1) else { return 0 }  // only asks whether the document is closed
        let count = bytes.byteCount / elementBytes
        let limit = store.footprint.entriesPerRecord(kind, shape)
        var storedBytes = 0
        for (part, first) in stride(from: 0, to: count, by: limit).enumerated() {
            let header = header(kind, part: part, first: first, count: min(limit, count - first))
            let source = bytes.extracting(first * elementBytes..<(first + header.count) * elementBytes)
            let valueBytes = store.footprint.valueBytes(header)
            try checkRoom(bytes: valueBytes)
            try store.write { transaction throws(StoreError) in
                try store.put(header, in: &transaction.lmdb) { payload in
                    unsafe source.withUnsafeBytes { unsafe payload.copy($0, to: 0) }
                }
            }
            storedBytes += valueBytes
        }
        return storedBytes
    }
}
