// Unfinished readings on disk: found again whole, or not at all.

import API
import CacheStore
import EngineInterface
import Foundation
import Inference
import Logging
import Testing

@Suite struct JobDirectoryTests {
    let folder = FileManager.default.temporaryDirectory.appending(path: "caked-jobs-\(UUID().uuidString)")
    let directory: JobDirectory
    let request = PutRequest(
        owner: 7, name: "a.b-c_d", text: Array("Grüße".utf8),
        options: DocumentOptions(
            keep: .percent(12.5), method: "cake", effort: "fast", probes: ["Who?"], rows: "q8_0", ttlSeconds: 60,
            pinned: true, detached: true, check: true), user: 8)
    let key: DocumentKey
    let name: String

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        directory = try JobDirectory(stateDirectory: folder.path, logger: Logger(label: "test"))
        key = try DocumentKey(owner: 7, name: "a.b-c_d")
        name = JobDirectory.fileName(key, plan: ["text", "options"])
    }

    private var files: [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "jobs").path)) ?? []).sorted()
    }

    @Test("a request is found again with every option, until it is removed")
    func roundTrip() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(directory.unfinished().isEmpty)
        try directory.keep(request, fileName: name)
        for tries in 1...4 {
            let found = directory.unfinished()
            #expect(found.map(\.request) == [request])
            #expect(found.map(\.fileName) == [name])
            #expect(found.map(\.tries) == [tries])
        }
        #expect(!directory.hasCheckpoint(name))
        directory.remove(name)
        #expect(directory.unfinished().isEmpty)
        #expect(files.isEmpty)
    }

    @Test("a request is found that was written down when its options stood beside its name")
    func earlier() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let json =
            Array(
                #"{"request":{"owner":7,"name":"a.b-c_d","text":[],"keep":{"percent":{"_0":12.5}},"method":"cake","#
                    .utf8)
            + Array(#""effort":"fast","probes":["Who?"],"rows":"q8_0","ttlSeconds":60,"pinned":true,"#.utf8)
            + Array(#""detached":true,"check":true,"user":8},"textBytes":7}"#.utf8)
        var writer = try ChecksummedWriter(path: folder.path + "/jobs/\(name).job")
        try writer.write(Array("cakedjob1\n".utf8) + (0..<8).map { UInt8(truncatingIfNeeded: json.count >> ($0 * 8)) })
        try writer.write(json + request.text)
        try writer.finish()
        #expect(directory.unfinished().map(\.request) == [request])
    }

    @Test("equal requests have the same files, others have their own")
    func names() throws {
        let other = try DocumentKey(owner: 8, name: "a.b-c_d")
        let names = [
            name, JobDirectory.fileName(key, plan: ["text", "others"]),
            JobDirectory.fileName(key, plan: ["textopt", "ions"]),
            JobDirectory.fileName(other, plan: ["text", "options"]),
        ]
        #expect(Set(names).count == 4)
        #expect(JobDirectory.fileName(key, plan: ["text", "options"]) == name)
    }

    @Test("a file that is not what was written is deleted, whatever happened to it")
    func damaged() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let file = folder.appending(path: "jobs/\(name).job")
        try directory.keep(request, fileName: name)
        let whole = try Data(contentsOf: file)
        for index in whole.indices {
            var flipped = whole
            flipped[index] ^= 0x10
            try flipped.write(to: file)
            #expect(directory.unfinished().isEmpty, "byte \(index)")
            try whole.prefix(index).write(to: file)
            #expect(directory.unfinished().isEmpty, "cut at \(index)")
            #expect(files.isEmpty)
        }
    }

    @Test("what no request belongs to is swept away at the next start")
    func leftovers() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try directory.keep(request, fileName: name)
        for other in ["x.state", "y.tries", "\(name).state.new", "z"] {
            try Data([1]).write(to: folder.appending(path: "jobs/\(other)"))
        }
        #expect(directory.unfinished().count == 1)
        #expect(files == ["\(name).job", "\(name).tries"])
    }

    @Test("checkpoints come at their time, and never cost more than a fiftieth of it")
    func schedule() {
        var schedule = CheckpointSchedule()
        #expect(!schedule.isDue(atSeconds: 29, bytes: 1000, everySeconds: 30))
        #expect(schedule.isDue(atSeconds: 30, bytes: 1000, everySeconds: 30))
        #expect(!schedule.isDue(atSeconds: 1e6, bytes: 1000, everySeconds: 0))
        // Not measured yet: a fast disk is expected.
        #expect(!schedule.isDue(atSeconds: 48, bytes: 1_000_000_000, everySeconds: 30))
        #expect(schedule.isDue(atSeconds: 50, bytes: 1_000_000_000, everySeconds: 30))
        schedule.made(atSeconds: 50, cost: 2)
        #expect(!schedule.isDue(atSeconds: 147, bytes: 1, everySeconds: 30))
        #expect(schedule.isDue(atSeconds: 148, bytes: 1, everySeconds: 30))
        #expect(schedule.isDue(atSeconds: 51, bytes: 1, everySeconds: 30, isUrgent: true))
        schedule.made(atSeconds: 51, cost: 0.1)
        schedule.resumed(atSeconds: 20)
        #expect(!schedule.isDue(atSeconds: 49, bytes: 1, everySeconds: 30))
    }
}
