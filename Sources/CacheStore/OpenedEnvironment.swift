// The databases of a store, its format, and how LMDB lays out large values here.

import LMDB

/// An environment with a store's databases in it.
struct OpenedEnvironment {
    let environment: Environment
    let manifests: Database
    let records: Database
    let quarantine: Database
    let lines: Database
    let tombstones: Database
    /// The format that the store was written in; 0 when what stands there is none.
    let formatVersion: Int
    /// How far from a multiple of 64 bytes LMDB starts the values it gives pages of their own.
    let valueOffset: Int
    let pageBytes: Int
    /// Readers that died without ending, which would have pinned their pages for ever.
    let clearedReaders: Int

    /// Every database of a store.
    static let databases = ["format", "manifests", "records", "quarantine", "lines", "tombstones"]

    /// Opens the environment, clears what dead readers left, and writes the format into a new store.
    init(directory: String, mapBytes: Int, maxReaders: Int) throws(LMDBError) {
        environment = try Environment(
            directory: directory, mapBytes: mapBytes, maxReaders: maxReaders,
            databases: Self.databases)
        clearedReaders = try environment.clearStaleReaders()
        manifests = try environment.database("manifests")
        records = try environment.database("records")
        quarantine = try environment.database("quarantine")
        lines = try environment.database("lines")
        tombstones = try environment.database("tombstones")
        pageBytes = try environment.info().pageBytes
        let format = try environment.database("format")
        if try !Self.isPresent(format, in: environment) {
            var transaction = try environment.write()
            let value = RecordFormat.formatValue(pageBytes: pageBytes)
            try unsafe transaction.put(value.span.bytes, forKey: RecordFormat.formatKey, in: format)
            try transaction.commit()
        }
        let transaction = try environment.read()
        guard let value = try transaction.value(forKey: RecordFormat.formatKey, in: format) else { throw .notFound }
        formatVersion = RecordFormat.formatVersion(value) ?? 0
        let address = unsafe value.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
        valueOffset = Int(address % UInt(RecordFormat.alignment))
    }

    private static func isPresent(_ format: Database, in environment: Environment) throws(LMDBError) -> Bool {
        let transaction = try environment.read()
        return try transaction.value(forKey: RecordFormat.formatKey, in: format) != nil
    }
}
