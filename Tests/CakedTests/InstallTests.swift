import Foundation
import Testing

/// What `make install` puts where, against what the installed files say.
@Suite struct InstallTests {
    static let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The commands of a target of the Makefile, with a `DESTDIR` of /image.
    static func commands(_ target: String) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["make", "-n", "-C", root.path, target, "DESTDIR=/image"]
        // Not the variables of a make that runs the tests.
        process.environment = ["PATH": ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        return text.split(separator: "\n").map(String.init)
    }

    /// The paths below `DESTDIR` that `make install` writes.
    static func installed() throws -> Set<String> {
        let commands = try commands("install").filter { $0.contains("install -D ") }
        return Set(commands.compactMap { $0.split(separator: " ").last.map { String($0.trimmingPrefix("/image")) } })
    }

    @Test("what is installed is uninstalled, but for the configuration")
    func uninstalled() throws {
        let commands = try Self.commands("uninstall").filter { $0.hasPrefix("rm -f ") }
        let removed = commands.flatMap { $0.split(separator: " ").dropFirst(2) }
            .map { String($0.trimmingPrefix("/image")) }
        #expect(Set(removed) == (try Self.installed()).subtracting(["/etc/caked/caked.yaml"]))
    }

    static func contents(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    @Test("the unit starts the installed daemon with the installed configuration, which names the installed model")
    func pathsAgree() throws {
        let installed = try Self.installed()
        let unit = try Self.contents("systemd/caked.service")
        let start = try #require(unit.firstMatch(of: /(?m)^ExecStart=(\S+) --config (\S+)$/))
        let configuration = try Self.contents("config/caked.yaml")
        let model = try #require(configuration.firstMatch(of: /(?m)^model: (\S+)$/))
        for path in [start.1, start.2, model.1] { #expect(installed.contains(String(path)), "\(path)") }
        #expect(installed.contains("/usr/bin/cakectl"))
        #expect(installed.contains("/usr/lib/systemd/system/caked.socket"))
        #expect(installed.contains("/usr/lib/sysusers.d/caked.conf"))
    }

    @Test("the socket's group and the service's user are the ones that are created")
    func unitsAgree() throws {
        let users = try Self.contents("systemd/caked.sysusers")
        let (service, socket) = (try Self.contents("systemd/caked.service"), try Self.contents("systemd/caked.socket"))
        let name = try #require(users.firstMatch(of: /(?m)^u (\S+)\s/)).1
        #expect(service.contains("\nUser=\(name)\nGroup=\(name)\n"))
        #expect(socket.contains("\nSocketGroup=\(name)\nSocketMode=0660\n"))
        #expect(service.contains("\nStateDirectory=caked\nStateDirectoryMode=0700\n"))
        #expect(users.contains(" /var/lib/caked "))
    }

    @Test("the daemon's grace for running requests, with flushing, ends before systemd kills it")
    func stopping() throws {
        let service = try Self.contents("systemd/caked.service")
        let configuration = try Self.contents("config/caked.yaml")
        let limit = try #require(service.firstMatch(of: /(?m)^TimeoutStopSec=(\d+)$/).flatMap { Int($0.1) })
        let drain = try #require(configuration.firstMatch(of: /(?m)^#drain_seconds: (\d+)$/).flatMap { Int($0.1) })
        #expect(drain + 10 <= limit)
    }
}
