// The unit files, as systemd itself judges them; disabled where its tools are not installed.

import Foundation
import Testing

@Suite("The service unit")
struct UnitFileTests {
    static let analyze = "/usr/bin/systemd-analyze"
    static let units = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("systemd")

    @Test("is hardened to an exposure of at most 0.5", .enabled(if: FileManager.default.fileExists(atPath: analyze)))
    func hardened() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Self.analyze)
        process.arguments = [
            "security", "--offline=true", "--threshold=5", "--no-pager",
            Self.units.appendingPathComponent("caked.service").path,
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let report = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(report.suffix(200))")
    }

    @Test("leaves the clients' uids as they are, and the socket's folder standing")
    func keepsWhatTheDaemonNeeds() throws {
        let unit = try String(contentsOf: Self.units.appendingPathComponent("caked.service"), encoding: .utf8)
        let settings = unit.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(settings.contains("PrivateUsers=no"))
        #expect(!settings.contains { $0.hasPrefix("RuntimeDirectory=") || $0.hasPrefix("DynamicUser=") })
    }
}
