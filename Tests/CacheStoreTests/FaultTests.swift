// Faults at every call of the write path, and damaged copies of a store: in processes of their own, so that a crash is
// told from a refusal.

import Foundation
import Testing

@Suite struct FaultTests {
    @Test("a fault at any call of the write path loses nothing acknowledged, leaves nothing half done, and passes")
    func sweep() throws {
        let lines = try probe(["sweep"])
        #expect(lines.filter { $0.contains("WRONG") }.isEmpty)
        let points = lines.compactMap { line in
            line.hasSuffix(" points") ? Int(line.split(separator: " ")[1]) : nil
        }
        #expect(points.count == 4 && points.allSatisfy { $0 > 200 }, "\(lines)")
    }

    /// `CAKED_MUTATIONS=10000` makes this the long run.
    @Test("a damaged copy of a store is refused at start or its documents are quarantined; no answer changes")
    func mutations() throws {
        let copies = ProcessInfo.processInfo.environment["CAKED_MUTATIONS"].flatMap { Int($0) } ?? 200
        let lines = try probe(["mutate"], "0", "\(copies)")
        #expect(lines.count == copies, "a copy without a line killed the process")
        #expect(lines.filter { $0.contains("WRONG") }.isEmpty)
        #expect(lines.contains { $0.contains("refused at start") })
        #expect(lines.contains { $0.contains("1 refused; then writes") })
    }

    /// What `storeprobe` prints, line by line, working in a folder that is gone afterwards.
    private func probe(_ command: [String], _ arguments: String...) throws -> [String] {
        let runner = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let work = NSTemporaryDirectory() + "caked-probe-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: work) }
        let probe = Process()
        // The programs lie beside the tests.
        probe.executableURL = URL(fileURLWithPath: runner).deletingLastPathComponent().appending(path: "storeprobe")
        probe.arguments = command + [work] + arguments
        let output = Pipe()
        probe.standardOutput = output
        try probe.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        probe.waitUntilExit()
        #expect(probe.terminationReason == .exit && probe.terminationStatus == 0)
        return text.split(separator: "\n").map(String.init)
    }
}
