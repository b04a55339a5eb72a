// What goes wrong: second daemons, bad names, damaged records, a full map, writes that the system refuses.

import CacheStore
import Foundation
import LMDB
import Testing

@Suite struct FailureTests {
    let place = Place()

    @Test("a store is opened once: a second open in the process names the directory and the mend")
    func secondOpen() throws {
        var store: DocumentStore? = try place.open()
        let error = StoreError.inUse(directory: place.directory)
        #expect(throws: error) { _ = try place.open() }
        #expect(error.description.contains(place.directory) && error.description.contains("stop it"))
        #expect(store != nil)
        store = nil
        _ = try place.open()
    }

    @Test("a store whose lock another process holds is refused, and opened when that has ended")
    func otherProcess() throws {
        do { _ = try place.open() }
        let other = Process()
        other.executableURL = URL(fileURLWithPath: "/usr/bin/flock")
        other.arguments = [place.directory + "/caked.lock", "-c", "echo held; read line"]
        let (input, output) = (Pipe(), Pipe())
        (other.standardInput, other.standardOutput) = (input, output)
        try other.run()
        #expect(output.fileHandleForReading.readData(ofLength: 5) == Data("held\n".utf8))
        #expect(throws: StoreError.inUse(directory: place.directory)) { _ = try place.open() }
        try input.fileHandleForWriting.close()
        other.waitUntilExit()
        _ = try place.open()
    }

    @Test(
        "directories are private: created 0700, refused when others may write, when no directory, when without parent")
    func directories() throws {
        do { _ = try place.open() }
        let mode = try FileManager.default.attributesOfItem(atPath: place.directory)[.posixPermissions] as? Int
        #expect(mode == 0o700)
        try FileManager.default.setAttributes([.posixPermissions: 0o770], ofItemAtPath: place.directory)
        #expect(throws: StoreError.notPrivate(directory: place.directory, mode: 0o770)) { _ = try place.open() }
        let file = place.directory + "/data.mdb"
        #expect(throws: StoreError.notADirectory(path: file)) { _ = try DocumentStore(directory: file) }
        let nowhere = place.directory + "/no/where"
        #expect(throws: StoreError.system(call: "mkdir", path: nowhere, errno: ENOENT)) {
            _ = try DocumentStore(directory: nowhere)
        }
    }

    @Test(
        "names are 1 to 128 of A-Za-z0-9._- and start without a dot",
        arguments: [
            ("a", true), ("Report-2024_v1.2", true), (String(repeating: "x", count: 128), true),
            (String(repeating: "x", count: 129), false), (String(repeating: "x", count: 4096), false), ("", false),
            (".", false), ("..", false), (".hidden", false), ("a/b", false), ("../etc/passwd", false), ("a\0b", false),
            ("a b", false), ("ä", false), ("a\u{301}", false), ("\u{FF0E}\u{FF0E}", false), ("a\n", false),
            ("%2e", false),
        ])
    func names(name: String, isValid: Bool) {
        if isValid {
            #expect(throws: Never.self) { _ = try DocumentKey(owner: 0, name: name) }
        } else {
            let error = #expect(throws: StoreError.self) { _ = try DocumentKey(owner: 0, name: name) }
            guard case .invalidName = error else {
                Issue.record("\(String(describing: error))")
                return
            }
        }
    }

    @Test("a full map is refused as such; reading, deleting and smaller documents go on")
    func full() throws {
        let store = try place.open(mapBytes: 8 << 20)
        let small = DocumentData(seed: 30, tokens: 40)
        let large = DocumentData(seed: 31, layers: 40, kvHeads: 8)
        try place.put("small", small, in: store, pinned: true)
        for round in 0..<20 {
            #expect(throws: StoreError.full(mapBytes: 8 << 20)) { try place.put("large\(round)", large, in: store) }
        }
        #expect(try store.manifests().map(\.name) == ["small"])
        #expect(try small.difference(store.open(key("small"), fingerprint: small.fingerprint)) == nil)
        var names = 0
        while (try? place.put("n\(names)", small, in: store, pinned: true)) != nil { names += 1 }
        #expect(names > 10)
        for name in 0..<names { #expect(try store.delete(key("n\(name)"))) }
        try place.put("again", small, in: store)
        #expect(try store.manifests().map(\.name) == ["again", "small"])
    }

    @Test("a write that the system refuses is an error that has changed nothing, and the store goes on")
    func refusedWrite() async {
        await #expect(processExitsWith: .success) {
            let place = Place()
            let store = try place.open()
            let data = DocumentData(seed: 32)
            try place.put("a", data, in: store)
            // Beyond this size pwrite fails with EFBIG, as it would with ENOSPC or EIO.
            signal(SIGXFSZ, SIG_IGN)
            var limit = rlimit()
            unsafe getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let unlimited = limit.rlim_cur
            limit.rlim_cur = rlim_t(try store.statistics().fileBytes)
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let large = DocumentData(seed: 33, layers: 8)
            #expect(throws: StoreError.self) { try place.put("b", large, in: store) }
            #expect(try data.difference(store.open(key("a"), fingerprint: data.fingerprint)) == nil)
            limit.rlim_cur = unlimited
            unsafe setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            try place.put("b", large, in: store)
            #expect(try large.difference(store.open(key("b"), fingerprint: large.fingerprint)) == nil)
            #expect(try store.manifests().map(\.name) == ["a", "b"])
        }
    }

    @Test("as many documents are open as there are reader slots; the next one is told")
    func readers() throws {
        let store = try place.open(maxReaders: 2)
        let data = DocumentData(seed: 34, layers: 1)
        try place.put("a", data, in: store)
        var open = [
            try store.open(key("a"), fingerprint: data.fingerprint),
            try store.open(key("a"), fingerprint: data.fingerprint),
        ]
        #expect(throws: StoreError.tooManyReaders(limit: 2)) {
            _ = try store.open(key("a"), fingerprint: data.fingerprint)
        }
        open.removeLast()
        #expect(try data.difference(store.open(key("a"), fingerprint: data.fingerprint)) == nil)
        #expect(open.count == 1)
    }

    // MARK: Damage

    @Test("a damaged manifest is named, keeps its records from collection, and can be deleted and put again")
    func damagedManifest() throws {
        let data = DocumentData(seed: 40)
        do {
            let store = try place.open()
            try place.put("bad", data, in: store)
            try place.put("good", data, in: store)
        }
        try place.damage("manifests") { key, value in
            key.last == UInt8(ascii: "d") && key.count == 7 ? Array(value.map { $0 ^ 0x10 }) : value
        }
        do {
            let store = try place.open()
            #expect(try store.statistics().collectedRecords == 0, "its records may be all that is left")
            #expect(try store.manifests().map(\.name) == ["good"])
            #expect(try store.quarantined().map(\.key) == [key("bad")])
            let error = #expect(throws: StoreError.self) { _ = try store.manifest(key("bad")) }
            guard case .quarantined("bad", _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(try data.difference(store.open(key("good"), fingerprint: data.fingerprint)) == nil)
            #expect(try store.delete(key("bad")))
        }
        let store = try place.open()
        #expect(try store.statistics().collectedRecords > 0)
        try place.put("bad", data, in: store)
        #expect(try data.difference(store.open(key("bad"), fingerprint: data.fingerprint)) == nil)
    }

    @Test(
        "JSON that is none, or says what cannot be, is an error even with the right checksum",
        arguments: [
            "", "{", "[]", "{\"id\":1}", String(repeating: "[", count: 100_000), "null", "\u{0}",
            "COUNTS:[[1,2,3]]", "COUNTS:[[1,2,3],[-1,0,0]]", "COUNTS:[[1,2,3],[9999999,0,0]]", "COUNTS:[]",
            "LAYERS:0", "LAYERS:9223372036854775807", "LAYERS:92233720368547758070", "WIDTH:-64", "WIDTH:4000000000",
            "CHECK:{\"budget\":1,\"places\":1,\"tokens\":9,\"known\":10}", "CHECK:{\"budget\":1}",
            "CHECK:{\"budget\":1,\"places\":1,\"tokens\":9,\"known\":9,\"recall\":1.5}",
        ])
    func impossibleManifest(replacement: String) throws {
        let data = DocumentData(seed: 41)
        let manifest: Manifest
        do { manifest = try place.put("a", data, in: place.open()) }
        let json = String(decoding: try ManifestRecord.encode(manifest)[ManifestRecord.headerBytes...], as: UTF8.self)
        var changed = replacement
        if replacement.hasPrefix("COUNTS:") {
            let range = try #require(json.range(of: #""counts":\[\[.*?\]\]"#, options: .regularExpression))
            changed = json.replacingCharacters(in: range, with: "\"counts\":" + replacement.dropFirst(7))
        } else if replacement.hasPrefix("LAYERS:") {
            changed = json.replacingOccurrences(of: "\"layers\":2", with: "\"layers\":" + replacement.dropFirst(7))
        } else if replacement.hasPrefix("CHECK:") {
            changed = "{\"check\":" + replacement.dropFirst(6) + "," + json.dropFirst()
        } else if replacement.hasPrefix("WIDTH:") {
            changed = json.replacingOccurrences(
                of: "\"headWidth\":64", with: "\"headWidth\":" + replacement.dropFirst(6))
        }
        #expect(changed != json)
        try place.damage("manifests") { _, _ in
            ManifestRecord.encode(json: Array(changed.utf8), generation: manifest.id)
        }
        let store = try place.open()
        let error = #expect(throws: StoreError.self) {
            _ = try store.open(key("a"), fingerprint: data.fingerprint)
        }
        guard case .quarantined("a", _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
    }

    @Test("a header whose checksum is right and whose fields lie is refused")
    func lyingHeaders() throws {
        let data = DocumentData(seed: 42, layers: 1, kvHeads: 1)
        do { try place.put("a", data, in: place.open()) }
        let changes: [(inout RecordHeader) -> Void] = [
            { $0.layer = 1 }, { $0.head = 5 }, { $0.part = 1 }, { $0.generation += 1 }, { $0.first = 1 },
            { $0.count = 0 },
            { $0.count += 1 }, { $0.count = 67_108_864 }, { $0.count = Int(UInt32.max) }, { $0.headWidth = 32 },
            { $0.headWidth = 0 }, { $0.headWidth = Int(UInt32.max) }, { $0.rows = .f32 }, { $0.kind = .text },
            { $0.payloadOffset = 0 }, { $0.payloadOffset = 65_535 },
        ]
        for (number, change) in changes.enumerated() {
            var original: [[UInt8]: [UInt8]] = [:]
            try place.damage("records") { key, value in
                original[key] = value
                guard var header = try? RecordHeader(value.span.bytes), header.kind == .segment else { return value }
                change(&header)
                return header.encoded + value[RecordHeader.byteCount...]
            }
            do {
                let store = try place.open()
                let error = #expect(throws: StoreError.self, "change \(number)") {
                    _ = try store.open(key("a"), fingerprint: data.fingerprint)
                }
                if case .quarantined("a", _) = error {
                } else {
                    Issue.record("change \(number): \(String(describing: error))")
                }
            }
            try place.damage("records") { key, _ in original[key] }
            #expect(try place.open().verify(key("a"))?.problem == nil, "mended, it is released")
        }
        #expect(try data.difference(place.open().open(key("a"), fingerprint: data.fingerprint)) == nil)
    }

    @Test(
        "seeded mutations of records and manifests are found when the document is opened, and never change what is read"
    )
    func mutations() throws {
        var random = SeededGenerator(state: 43)
        let data = DocumentData(seed: 43, layers: 2, kvHeads: 2, headWidth: 32, tokens: 40)
        do { try place.put("a", data, in: place.open()) }
        var noticed = 0
        for round in 0..<300 {
            let database = round % 4 == 0 ? "manifests" : "records"
            let target = Int.random(in: 0..<(database == "manifests" ? 1 : 5), using: &random)
            var original: [([UInt8], [UInt8])] = []
            try place.damage(database) { key, value in
                defer { original.append((key, value)) }
                return original.count == target ? Self.mutated(value, using: &random) : value
            }
            do {
                let store = try place.open()
                do {
                    let document = try store.open(key("a"), fingerprint: data.fingerprint)
                    // What a mutation may still change is padding: no byte of the document.
                    #expect(data.difference(document) == nil, "round \(round)")
                } catch let error as StoreError {
                    if case .quarantined("a", _) = error {
                        noticed += 1
                    } else {
                        Issue.record("round \(round): \(error)")
                    }
                }
            }
            let environment = try place.raw()
            var transaction = try environment.write()
            let mended = try environment.database(database)
            for (key, value) in original { try transaction.put(value.span.bytes, forKey: key, in: mended) }
            try transaction.delete(RecordFormat.manifestKey(key("a")), in: environment.database("quarantine"))
            try transaction.commit()
        }
        #expect(noticed > 150)
        #expect(try data.difference(place.open().open(key("a"), fingerprint: data.fingerprint)) == nil)
    }

    static func mutated(_ value: [UInt8], using random: inout SeededGenerator) -> [UInt8]? {
        var value = value
        switch Int.random(in: 0..<4, using: &random) {
        case 0: value.removeLast(Int.random(in: 1..<value.count, using: &random))
        case 1:
            value[Int.random(in: 0..<min(64, value.count), using: &random)] ^=
                1 << UInt8.random(in: 0..<8, using: &random)
        case 2: value[Int.random(in: 0..<value.count, using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        default:
            let start = Int.random(in: 0..<value.count, using: &random)
            for index in start..<min(start + 16, value.count) {
                value[index] = UInt8.random(in: 0...255, using: &random)
            }
        }
        return value
    }

    @Test("a store of another format is refused")
    func format() throws {
        do { _ = try place.open() }
        try place.damage("format") { _, value in value[..<4] + [9, 0, 0, 0] + value[8...] }
        #expect(throws: StoreError.format(found: 9, supported: 1)) { _ = try place.open() }
        try place.damage("format") { _, value in [1, 2, 3] }
        #expect(throws: StoreError.format(found: 0, supported: 1)) { _ = try place.open() }
    }

    @Test("nothing is collected in a store of another format: its garbage may be somebody's documents")
    func otherFormatStays() throws {
        let data = DocumentData(seed: 1)
        let kept = try { try place.put("a", data, in: place.open()) }()
        try place.damage("manifests") { _, _ in nil }  // now every record is garbage to this format
        let format = try formatValue()
        try place.damage("format") { _, value in value[..<4] + [9, 0, 0, 0] + value[8...] }
        #expect(throws: StoreError.self) { _ = try place.open() }
        try place.damage("format") { _, _ in format }
        #expect(try place.open().statistics().collectedRecords > kept.counts.count)
    }

    private func formatValue() throws -> [UInt8] {
        var found: [UInt8] = []
        try place.damage("format") { _, value in
            found = value
            return value
        }
        return found
    }

    @Test("a file that is no store is refused with advice, and left as it is")
    func foreignFile() throws {
        do { _ = try place.open() }
        let file = URL(fileURLWithPath: place.directory + "/data.mdb")
        let foreign = Data(repeating: 0x41, count: 16_384)
        try foreign.write(to: file)
        #expect(throws: StoreError.database(.invalidFile)) { _ = try place.open() }
        #expect(try Data(contentsOf: file) == foreign)
    }
}
