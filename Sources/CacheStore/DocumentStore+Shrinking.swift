// Shrinking a document: its manifest counts fewer entries, then its records give the others' pages back.
//
// Entries lie in rank order, so a smaller budget keeps a prefix of every head. The manifest is the commit point: from
// then on the document answers as if it had been written with the smaller budget (in q4, but for the last group of each
// head, which keeps the scales it was written with). Its records are rewritten after that,
// under the same keys and a transaction for each few MiB, so that no second copy of the document is ever needed; a
// crash in between costs nothing but the space, which `finishTrimming` frees later. Who has the document open reads on
// in its snapshot.

import LMDB
import Locks

extension DocumentStore {
    /// What one transaction rewrites at most: it lies on the heap until it commits.
    private static let trimBytes = 16 << 20

    /// Shrinks a document to a budget because its owner asks for it.
    ///
    /// - Returns: what was done; nil when its budget is that small already.
    /// - Throws: `.notFound`, `.quarantined`, or `.invalidManifest` when it cannot be smaller.
    public func shrink(_ key: DocumentKey, toBudget budget: Int) throws(StoreError) -> Reclaim? {
        // Damage is noticed here, before anything is decided.
        let document = try openUnchecked(key, fingerprint: nil)
        guard budget < document.manifest.budget else { return nil }
        let act = try write { transaction throws(StoreError) -> Reclaim? in
            guard let shrink = try shrunk(document, toBudget: budget, reason: .request),
                try storedManifest(key, in: transaction.lmdb)?.isWritten(as: document.manifest) ?? false
            else { return nil }
            try put(shrink.manifest, key: key, in: &transaction)
            return shrink.act
        }
        guard let act else { throw .invalidManifest("the document cannot be shrunk to a budget of \(budget)") }
        try trim(key, generation: document.manifest.id)
        return act
    }

    /// How a document is shrunk so that some bytes are freed, or as far as the floor; nil where that frees nothing.
    func plannedShrink(_ key: DocumentKey, _ entry: Shelf.Entry, bytes: Int) throws(StoreError) -> PlannedShrink? {
        let transaction = try beginRead()
        // A damaged document is not read here; who opens it is told.
        guard let manifest = try? readManifest(key, in: transaction), manifest.id == entry.generation,
            quarantine(key) == nil,
            let document = try? OpenDocument(
                manifest: manifest, snapshot: Snapshot(store: self, transaction: transaction))
        else { return nil }
        let floor = limits.floor(ofBudget: manifest.shrinkage?.originalBudget ?? manifest.budget)
        var (budget, best): (Int, PlannedShrink?) = (manifest.budget, nil)
        // Halving, so that a document is rewritten a few times at most, each time for as much as is left.
        while budget > floor, (best?.freedBytes ?? 0) < bytes {
            budget = max(floor, budget / 2)
            guard let shrink = try shrunk(document, toBudget: budget, reason: .quota) else { break }
            if shrink.freedBytes >= pageBytes { best = shrink }
            if shrink.manifest.budget > budget { break }
        }
        return best
    }

    /// A document as it is under a smaller budget, or under the smallest it can have; nil when it is that small.
    private func shrunk(
        _ document: OpenDocument, toBudget budget: Int, reason: Shrinkage.Reason
    ) throws(StoreError) -> PlannedShrink? {
        let manifest = document.manifest
        guard let key = try? DocumentKey(owner: manifest.owner, name: manifest.name),
            let truncation = truncate(document, budget), truncation.budget < manifest.budget,
            // Counts that the store would refuse are as good as none.
            var smaller = try? manifest.truncated(truncation)
        else { return nil }
        smaller.shrinkage = Shrinkage(
            originalBudget: manifest.shrinkage?.originalBudget ?? manifest.budget, seconds: now, isTrimming: true,
            reason: reason)
        let before = state.withLock { $0.shelf.entries[key]?.bytes } ?? 0
        let bytes = footprint.bytes(of: smaller, manifestBytes: try ManifestRecord.encode(smaller).count)
        smaller.storedBytes = bytes
        return PlannedShrink(
            key: key, manifest: smaller, fromBudget: manifest.budget, freedBytes: max(0, before - bytes))
    }

    /// Frees the space of documents whose shrinking a crash or a full disk interrupted.
    func finishTrimming() throws(StoreError) {
        for (key, generation) in state.withLock({ state in
            state.shelf.trimming.compactMap { key in state.shelf.entries[key].map { (key, $0.generation) } }
        }) where quarantine(key) == nil { try trim(key, generation: generation) }
    }

    // MARK: Records

    private struct TrimStep {
        var isDone = false
        var next: [UInt8]
    }

    /// Rewrites or deletes every record that holds entries beyond the manifest's counts, then says so in the manifest.
    func trim(_ key: DocumentKey, generation: UInt64) throws(StoreError) {
        var step = TrimStep(next: RecordFormat.generationKey(generation))
        while !step.isDone {
            step = try quarantining(key, generation: generation) { () throws(StoreError) in
                try write { transaction throws(StoreError) in
                    guard let manifest = try storedManifest(key, in: transaction.lmdb), manifest.id == generation else {
                        return TrimStep(isDone: true, next: [])
                    }
                    return try trimSome(from: step.next, of: manifest, key: key, in: &transaction)
                }
            }
        }
    }

    private func trimSome(
        from start: [UInt8], of manifest: Manifest, key: DocumentKey, in transaction: inout StoreTransaction
    ) throws(StoreError) -> TrimStep {
        var longer: [(key: [UInt8], record: TrimmedRecord)] = []
        var (bytes, next): (Int, [UInt8]?) = (0, nil)
        do throws(LMDBError) {
            var cursor = try transaction.lmdb.cursor(in: recordsDatabase)
            var found = try cursor.seek(to: start)
            while found, RecordFormat.generation(ofKey: cursor.key) == manifest.id {
                let recordKey = RecordFormat.copy(cursor.key)
                if bytes > Self.trimBytes {
                    next = recordKey
                    break
                }
                if let record = TrimmedRecord(cursor.value, manifest: manifest) {
                    longer.append((recordKey, record))
                    bytes += cursor.value.byteCount
                }
                found = try cursor.next()
            }
        } catch { throw storeError(error) }
        for (recordKey, record) in longer {
            switch record {
            case .damaged: throw .corrupt(name: key.name, problem: "a record was damaged when it was to be shortened")
            case .dropped:
                do throws(LMDBError) {
                    try transaction.lmdb.delete(recordKey, in: recordsDatabase)
                } catch { throw storeError(error) }
            case .shortened(let header, let parts):
                try put(header, in: &transaction.lmdb) { payload in parts.write(to: &payload, header) }
            }
        }
        if let next { return TrimStep(next: next) }
        var finished = manifest
        finished.shrinkage?.isTrimming = false
        try put(finished, key: key, in: &transaction)
        return TrimStep(isDone: true, next: [])
    }
}

/// What becomes of a record that holds more entries than its manifest counts.
private enum TrimmedRecord {
    case damaged
    case dropped
    case shortened(RecordHeader, Parts)

    /// The first entries of each part of the payload.
    struct Parts {
        var positions: [UInt8]
        var indicators: [UInt8]
        var keys: [UInt8]
        var values: [UInt8]

        func write(to payload: inout PayloadWriter, _ header: RecordHeader) {
            unsafe positions.withUnsafeBytes { unsafe payload.copy($0, to: 0) }
            unsafe indicators.withUnsafeBytes { unsafe payload.copy($0, to: header.indicatorsOffset) }
            unsafe keys.withUnsafeBytes { unsafe payload.copy($0, to: header.keysOffset) }
            unsafe values.withUnsafeBytes { unsafe payload.copy($0, to: header.valuesOffset) }
        }
    }

    /// Nil for a record that stays as it is.
    init?(_ value: RawSpan, manifest: Manifest) {
        guard let header = try? RecordHeader(value) else {
            self = .damaged
            return
        }
        guard header.kind == .segment else { return nil }
        guard header.layer < manifest.shape.layers, header.head < manifest.shape.kvHeads else {
            self = .damaged
            return
        }
        let kept = manifest.counts[header.layer][header.head] - header.first
        if kept >= header.count { return nil }
        if kept <= 0 {
            self = .dropped
            return
        }
        let payload = value.extracting(header.payloadOffset..<header.payloadOffset + header.payloadBytes)
        // A damaged payload must not be given a checksum that is right.
        guard RecordFormat.checksum(payload) == header.payloadChecksum else {
            self = .damaged
            return
        }
        func part(_ offset: Int, _ bytes: Int) -> [UInt8] {
            RecordFormat.copy(payload.extracting(offset..<offset + bytes))
        }
        var shorter = header
        shorter.count = kept
        self = .shortened(
            shorter,
            Parts(
                positions: part(0, 4 * kept), indicators: part(header.indicatorsOffset, 4 * kept),
                keys: part(header.keysOffset, shorter.keyBytes), values: part(header.valuesOffset, shorter.valueBytes)))
    }
}
