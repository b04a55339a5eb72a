// Shrinking a document: its manifest counts fewer entries, then its records give the others' pages back.
//
// Entries lie in rank order, so a smaller budget keeps a prefix of every head. The manifest is the commit point: from
// then on the document answers as if it had been written with the smaller budget (in q4, but for the last group of each
// head, which keeps the scales it was written with). Its records are rewritten after that,
// under the same keys and a transaction for each few MiB, so that no second copy of the document is ever needed; a
// crash in between costs nothing but the space, which `finishTrimming` frees later. Who has the document open reads on
// in its snapshot.

import LMDB
import Synchronization

extension DocumentStore {
    /// What one transaction rewrites at most: it lies on the heap until it commits.
    private static let trimBytes = 16 << 20

    /// Shrinks a document to a budget or as far as it can be; nil when it has been replaced, cannot be smaller, or is
    /// damaged.
    func shrink(_ key: DocumentKey, generation: UInt64, toBudget budget: Int) throws(StoreError) -> Reclaim? {
        guard let (truncation, stored) = try truncation(of: key, generation: generation, budget: budget) else {
            return nil
        }
        let before = try storedBytes()
        let isShrunk = try write { transaction throws(StoreError) in
            guard let manifest = try storedManifest(key, in: transaction), manifest.id == generation,
                manifest.budget == stored
            else { return false }
            var smaller = try manifest.truncated(truncation)
            smaller.shrinkage = Shrinkage(
                originalBudget: manifest.shrinkage?.originalBudget ?? manifest.budget, seconds: now, isTrimming: true)
            try put(smaller, key: key, in: &transaction)
            return true
        }
        guard isShrunk else { return nil }
        try trim(key, generation: generation)
        return .shrunk(
            key, fromBudget: stored, toBudget: truncation.budget, bytes: max(0, before - (try storedBytes())))
    }

    /// Shrinks a document to a budget because its owner asks for it.
    ///
    /// - Returns: what was done; nil when its budget is that small already.
    /// - Throws: `.notFound`, `.quarantined`, or `.invalidManifest` when it cannot be smaller.
    public func shrink(_ key: DocumentKey, toBudget budget: Int) throws(StoreError) -> Reclaim? {
        guard let manifest = try manifest(key) else { throw .notFound(name: key.name) }
        guard budget < manifest.budget else { return nil }
        guard let act = try shrink(key, generation: manifest.id, toBudget: budget) else {
            if let quarantine = quarantine(key) { throw .quarantined(name: key.name, reason: quarantine.reason) }
            throw .invalidManifest("the document cannot be shrunk to a budget of \(budget)")
        }
        return act
    }

    /// Frees the space of documents whose shrinking a crash or a full disk interrupted.
    func finishTrimming() throws(StoreError) {
        var trimming: [(DocumentKey, UInt64)] = []
        try forEachManifest(owner: nil) { key, manifest in
            if case .success(let manifest) = manifest, manifest.shrinkage?.isTrimming == true {
                trimming.append((key, manifest.id))
            }
        }
        for (key, generation) in trimming where quarantine(key) == nil { try trim(key, generation: generation) }
    }

    /// What a budget keeps of a document as it is stored, and the budget it has; the reader ends with this call.
    private func truncation(
        of key: DocumentKey, generation: UInt64, budget: Int
    ) throws(StoreError) -> (Truncation, Int)? {
        do throws(StoreError) {
            let document = try openUnchecked(key, fingerprint: nil)
            guard document.manifest.id == generation, budget < document.manifest.budget,
                let truncation = truncate(document, budget), truncation.budget < document.manifest.budget
            else { return nil }
            // Counts that the store would refuse are as good as none.
            guard (try? document.manifest.truncated(truncation)) != nil else { return nil }
            return (truncation, document.manifest.budget)
        } catch .notFound { return nil } catch .quarantined { return nil }
    }

    // MARK: Records

    private struct TrimStep {
        var isDone = false
        var next: [UInt8]
    }

    /// Rewrites or deletes every record that holds entries beyond the manifest's counts, then says so in the manifest.
    private func trim(_ key: DocumentKey, generation: UInt64) throws(StoreError) {
        var step = TrimStep(next: RecordFormat.generationKey(generation))
        while !step.isDone {
            step = try quarantining(key, generation: generation) { () throws(StoreError) in
                try write { transaction throws(StoreError) in
                    guard let manifest = try storedManifest(key, in: transaction), manifest.id == generation else {
                        return TrimStep(isDone: true, next: [])
                    }
                    return try trimSome(from: step.next, of: manifest, key: key, in: &transaction)
                }
            }
        }
    }

    private func trimSome(
        from start: [UInt8], of manifest: Manifest, key: DocumentKey, in transaction: inout WriteTransaction
    ) throws(StoreError) -> TrimStep {
        var longer: [(key: [UInt8], record: TrimmedRecord)] = []
        var (bytes, next): (Int, [UInt8]?) = (0, nil)
        do throws(LMDBError) {
            var cursor = try transaction.cursor(in: recordsDatabase)
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
                    try transaction.delete(recordKey, in: recordsDatabase)
                } catch { throw storeError(error) }
            case .shortened(let header, let parts):
                try put(header, in: &transaction) { payload in parts.write(to: &payload, header) }
            }
        }
        if let next { return TrimStep(next: next) }
        var finished = manifest
        finished.shrinkage?.isTrimming = false
        finished.storedBytes = try recordBytes(of: manifest.id, in: &transaction)
        try put(finished, key: key, in: &transaction)
        return TrimStep(isDone: true, next: [])
    }

    private func recordBytes(of generation: UInt64, in transaction: inout WriteTransaction) throws(StoreError) -> Int {
        var bytes = 0
        do throws(LMDBError) {
            var cursor = try transaction.cursor(in: recordsDatabase)
            var found = try cursor.seek(to: RecordFormat.generationKey(generation))
            while found, RecordFormat.generation(ofKey: cursor.key) == generation {
                bytes += cursor.value.byteCount
                found = try cursor.next()
            }
        } catch { throw storeError(error) }
        return bytes
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
