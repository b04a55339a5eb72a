// cakebench pressure: what a put costs under a quota, and a page of the list, with few and with many documents.

import ArgumentParser
import CacheStore
import FoundationEssentials

struct Pressure: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Fills stores with small documents up to their quota and times puts that push one out each.",
        discussion: """
            Beside each, in turn, a put of the same document in a store without a quota, which pushes nothing out. The \
            documents have one layer of one head; a store of 100,000 takes 2 GB. On a disk filling it takes its time: \
            --folder /dev/shm leaves the disk's syncing out.
            """)

    @Option(name: .long, help: "Documents in the store, separated by commas.") var documents = "10,1000,100000"
    @Option(name: .long, help: "Tokens of a document.") var tokens = 16
    @Option(name: .long, help: "Where the stores are made (default: the temporary directory).") var folder: String?
    @Option(name: .long, help: "Puts; the median is reported.") var runs = 100
    @Flag(name: .long, help: "Print JSON.") var json = false

    /// One store.
    struct Report: Encodable {
        var documents: Int
        var open_seconds: Double
        /// With a quota that is used up: each puts another document out.
        var put_seconds: Figure
        /// Without one.
        var free_put_seconds: Figure
        /// A page of 1,000 documents or all of them.
        var page_seconds: Figure
        /// What the documents say they take, and what the pages of the store's trees do.
        var counted_bytes: Int
        var tree_bytes: Int
    }

    mutating func run() throws {
        let counts = documents.split(separator: ",").map { Int($0) ?? 0 }
        guard runs > 0, tokens > 0, !counts.isEmpty, counts.allSatisfy({ $0 > 0 }) else {
            throw ValidationError("documents, tokens and runs must be positive numbers")
        }
        let reports = try counts.map(measure)
        if json { return try printJSON(reports) }
        print("documents of \(tokens) tokens; milliseconds, median [min–max] of \(runs)")
        for report in reports {
            print(
                """
                \(padded("\(report.documents) documents", 20)) \
                put that pushes one out \(report.put_seconds.scaled(by: 1e3).text(2)), \
                put without a quota \(report.free_put_seconds.scaled(by: 1e3).text(2)), \
                page of the list \(report.page_seconds.scaled(by: 1e3).text(2)), \
                opening \(fixed(report.open_seconds * 1e3, 1)); \
                \(report.counted_bytes) bytes counted, \(report.tree_bytes) in pages
                """)
        }
    }

    private func measure(_ count: Int) throws -> Report {
        let parent = folder.map { URL(filePath: $0) } ?? FileManager.default.temporaryDirectory
        let folder = parent.appending(path: "cakebench-pressure-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        func open(_ name: String, quota: Int?) throws -> DocumentStore {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            return try DocumentStore(
                directory: folder.appending(path: name).path, limits: StoreLimits(quotaBytes: quota))
        }
        let quota: Int
        do {
            let store = try open("full", quota: nil)
            for number in 0..<count { try put("d\(number)", in: store) }
            quota = try store.statistics().storedBytes
        }
        let (full, openSeconds) = try timed { try open("full", quota: quota) }
        let free = try open("free", quota: nil)
        var (puts, freePuts, pages): ([Double], [Double], [Double]) = ([], [], [])
        for run in 0..<runs {
            puts.append(try timed { try put("e\(run)", in: full) }.seconds)
            freePuts.append(try timed { try put("e\(run)", in: free) }.seconds)
            if run < 10 { pages.append(try timed { _ = try full.list(owner: 0, limit: 1_000) }.seconds) }
        }
        let statistics = try full.statistics()
        return Report(
            documents: count, open_seconds: openSeconds, put_seconds: Figure(puts),
            free_put_seconds: Figure(freePuts), page_seconds: Figure(pages), counted_bytes: statistics.storedBytes,
            tree_bytes: statistics.treeBytes)
    }

    private func put(_ name: String, in store: DocumentStore) throws {
        let shape = CacheShape(layers: 1, kvHeads: 1, headWidth: 32, rows: .q8_0, tokens: tokens)
        let staged = try store.begin(DocumentKey(owner: 0, name: name), shape: shape)
        let (positions, indicators) = ((0..<tokens).map { UInt32($0) }, [Float](repeating: 1, count: tokens))
        let rows = [UInt8](repeating: 0, count: shape.keyBytes(entries: tokens))
        try unsafe positions.withUnsafeBufferPointer { positions in
            try unsafe indicators.withUnsafeBufferPointer { indicators in
                try unsafe rows.withUnsafeBytes { rows in
                    let head = unsafe StagedHead(
                        head: 0, positions: positions, indicators: indicators, keys: rows, values: rows)
                    try unsafe staged.stage(layer: 0, heads: [head])
                }
            }
        }
        try staged.stageText([UInt8](repeating: 120, count: 4 * tokens))
        try staged.stageTokens([Int32](repeating: 1, count: tokens))
        _ = try staged.commit(
            Manifest(
                shape: shape, budget: tokens, method: "cake-global", fingerprint: [:], counts: [[tokens]],
                layerBudgets: [Double(tokens)], preferences: [1]))
    }
}
