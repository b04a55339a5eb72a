// Damaged copies of a store: refused at start, or refused document by document; never a crash, never other bytes.

import Foundation
import TestDaemon
import Testing

@Suite(.serialized) struct MutationTests {
    /// How many copies; the long run is `CAKED_MUTATIONS=10000`.
    static let mutations = Int(ProcessInfo.processInfo.environment["CAKED_MUTATIONS"] ?? "") ?? 400

    @Test(
        "a store with flipped bits, swapped, repeated or zeroed pages, or a cut end never crashes its reader nor lies")
    func mutations() throws {
        let work = URL(filePath: "/tmp/caked-mutations-\(UUID().uuidString.prefix(8))")
        defer { try? FileManager.default.removeItem(at: work) }
        var next = 0
        var crashes = 0
        var outcomes: [String: Int] = [:]
        while next < Self.mutations, crashes < 20 {
            let outcome = try run(
                Project.program("storeprobe"), ["mutate", work.path, "\(next)", "\(Self.mutations - next)"],
                environment: ["SWIFT_BACKTRACE": "enable=no"])
            let lines = outcome.output.split(separator: "\n")
            for line in lines {
                #expect(!line.contains("WRONG"), "\(line)")
                outcomes[Self.kind(of: line), default: 0] += 1
            }
            next += lines.count
            if outcome.status == 0 { break }
            Issue.record("mutation \(next) ended the reader: status \(outcome.status), \(outcome.errors.suffix(500))")
            crashes += 1
            next += 1
        }
        // Otherwise nothing was tried: some copies must have been found damaged, and some been read.
        #expect(outcomes["refused at start"] ?? 0 > Self.mutations / 50, "\(outcomes)")
        #expect(outcomes["a document refused"] ?? 0 > Self.mutations / 50, "\(outcomes)")
        #expect(outcomes["all sound"] ?? 0 > Self.mutations / 50, "\(outcomes)")
        print("\(Self.mutations) mutations: \(outcomes)")
    }

    private static func kind(of line: Substring) -> String {
        if line.contains("refused at start") { return "refused at start" }
        return line.contains(" 0 refused") ? "all sound" : "a document refused"
    }
}
