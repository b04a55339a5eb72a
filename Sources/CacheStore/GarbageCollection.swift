// Deleting records that no manifest names: what a crash or a failed job left.

import LMDB

/// Garbage collection at start, and the bounded deletion that everything else uses too.
enum GarbageCollection {
    /// What one transaction deletes at most: each page freed costs 8 bytes of memory and of LMDB's free list.
    private static let recordsPerTransaction = 4096
    private static let bytesPerTransaction = 1 << 30

    struct Outcome {
        var collectedRecords = 0
        /// Above every generation that the store knows of.
        var nextGeneration: UInt64 = 1
    }

    /// Deletes all records whose generation no manifest names.
    ///
    /// As long as a manifest's header is damaged, so that the generation it names is unknown, nothing is garbage: its
    /// records may be all that is left of a document.
    static func run(
        _ environment: Environment, manifests: Database, records: Database
    ) throws(LMDBError) -> Outcome {
        var outcome = Outcome()
        guard let live = try generations(in: manifests, environment, of: { ManifestRecord.generation(of: $0.value) })
        else {
            outcome.nextGeneration = (try lastGeneration(in: records, environment) ?? 0) &+ 1
            return outcome
        }
        var next = try lastGeneration(in: records, environment) ?? 0
        for generation in live { next = max(next, generation) }
        outcome.nextGeneration = next &+ 1
        for generation in try recordGenerations(in: records, environment) where !live.contains(generation) {
            outcome.collectedRecords += try deleteAll(of: generation, in: records, environment)
        }
        return outcome
    }

    /// Deletes the records of a generation, in as many transactions as it takes; returns how many there were.
    @discardableResult
    static func deleteAll(
        of generation: UInt64, in records: Database, _ environment: Environment
    ) throws(LMDBError) -> Int {
        var deleted = 0
        var isDone = false
        while !isDone {
            var transaction = try environment.write()
            let step = try deleteSome(of: generation, in: records, &transaction)
            try transaction.commit()
            deleted += step.deleted
            isDone = step.isDone
        }
        return deleted
    }

    /// Deletes records of a generation up to a transaction's bound.
    ///
    /// Safe while a document of that generation is open: LMDB reuses a freed page only when no reader is older than
    /// the transaction that freed it, so an open document keeps its bytes until it closes.
    static func deleteSome(
        of generation: UInt64, in records: Database, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> (deleted: Int, isDone: Bool) {
        var (deleted, bytes) = (0, 0)
        var cursor = try transaction.cursor(in: records)
        var found = try cursor.seek(to: RecordFormat.generationKey(generation))
        while found, RecordFormat.generation(ofKey: cursor.key) == generation {
            if deleted == recordsPerTransaction || bytes > bytesPerTransaction { return (deleted, false) }
            bytes += cursor.value.byteCount
            found = try cursor.delete()
            deleted += 1
        }
        return (deleted, true)
    }

    /// The generations that manifests name, or nil when one of them cannot say.
    private static func generations(
        in manifests: Database, _ environment: Environment, of generation: (borrowing Cursor) -> UInt64?
    ) throws(LMDBError) -> Set<UInt64>? {
        let transaction = try environment.read()
        var cursor = try transaction.cursor(in: manifests)
        var generations: Set<UInt64> = []
        var found = try cursor.seek(to: [])
        while found {
            guard let named = generation(cursor) else { return nil }
            generations.insert(named)
            found = try cursor.next()
        }
        return generations
    }

    /// The generations that have records: one seek each, however many records there are.
    private static func recordGenerations(
        in records: Database, _ environment: Environment
    ) throws(LMDBError) -> [UInt64] {
        let transaction = try environment.read()
        var cursor = try transaction.cursor(in: records)
        var generations: [UInt64] = []
        var found = try cursor.seek(to: [])
        while found {
            guard let generation = RecordFormat.generation(ofKey: cursor.key) else {
                found = try cursor.next()  // no key of ours
                continue
            }
            generations.append(generation)
            guard generation < .max else { break }
            found = try cursor.seek(to: RecordFormat.generationKey(generation + 1))
        }
        return generations
    }

    private static func lastGeneration(
        in records: Database, _ environment: Environment
    ) throws(LMDBError) -> UInt64? {
        let transaction = try environment.read()
        var cursor = try transaction.cursor(in: records)
        return try cursor.last() ? RecordFormat.generation(ofKey: cursor.key) : nil
    }
}
