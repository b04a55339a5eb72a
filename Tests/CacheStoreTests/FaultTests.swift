// The failpoint sweep: every call of the write path failed, cut short, or the process ended there, in turn.

import Foundation
import Testing

@Suite struct FaultTests {
    @Test("a fault at any call of the write path loses nothing acknowledged, leaves nothing half done, and passes")
    func sweep() throws {
        let binaries = URL(fileURLWithPath: try #require(Self.executable)).deletingLastPathComponent()
        let work = NSTemporaryDirectory() + "caked-sweep-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: work) }
        let probe = Process()
        probe.executableURL = binaries.appending(path: "storeprobe")
        probe.arguments = ["sweep", work]
        let output = Pipe()
        probe.standardOutput = output
        try probe.run()
        let lines = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            .split(separator: "\n").map(String.init)
        probe.waitUntilExit()
        #expect(probe.terminationStatus == 0)
        #expect(lines.filter { $0.contains("WRONG") }.isEmpty)
        let points = lines.compactMap { line in
            line.hasSuffix(" points") ? Int(line.split(separator: " ")[1]) : nil
        }
        #expect(points.count == 4 && points.allSatisfy { $0 > 200 }, "\(lines)")
    }

    /// The test runner, beside which the programs lie.
    private static let executable = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
}
