// The wrapper against a real LMDB environment in a temporary directory.

import Foundation
import LMDB
import Testing

@Suite struct EnvironmentTests {
    let directory: String

    init() throws {
        directory = NSTemporaryDirectory() + "lmdb-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    }

    func open(mapBytes: Int = 16 << 20, maxReaders: Int = 16) throws -> Environment {
        try Environment(directory: directory, mapBytes: mapBytes, maxReaders: maxReaders, databases: ["a", "b"])
    }

    func fill(_ environment: Environment, _ count: Int) throws {
        let a = try environment.database("a")
        var transaction = try environment.write()
        for number in 0..<count {
            try transaction.put([UInt8(number), 1].span.bytes, forKey: [7, UInt8(number)], in: a)
        }
        try transaction.commit()
    }

    func value(_ key: [UInt8], _ name: String = "a", in environment: Environment) throws -> [UInt8]? {
        let transaction = try environment.read()
        guard let span = try transaction.value(forKey: key, in: environment.database(name)) else { return nil }
        return unsafe span.withUnsafeBytes { unsafe Array($0) }
    }

    @Test("what was committed is read back, also after reopening, and only in its own database")
    func roundTrip() throws {
        do {
            let environment = try open()
            try fill(environment, 3)
            #expect(try value([7, 2], in: environment) == [2, 1])
            #expect(try value([7, 2], "b", in: environment) == nil)
        }
        let environment = try open()
        #expect(try value([7, 0], in: environment) == [0, 1])
        #expect(try value([7, 3], in: environment) == nil)
    }

    @Test("a transaction that is not committed leaves nothing, and the next one can begin")
    func abort() throws {
        let environment = try open()
        let a = try environment.database("a")
        do {
            var transaction = try environment.write()
            try transaction.put([1 as UInt8].span.bytes, forKey: [1], in: a)
            let seen = try transaction.value(forKey: [1], in: a)?.byteCount
            #expect(seen == 1)
        }
        #expect(try value([1], in: environment) == nil)
        try fill(environment, 1)
        #expect(try value([7, 0], in: environment) == [0, 1])
    }

    @Test("a second write transaction on the thread is refused instead of waited for")
    func nestedWrite() throws {
        let environment = try open()
        let outer = try environment.write()
        #expect(throws: LMDBError.nestedWrite) { _ = try environment.write() }
        try outer.commit()
        try environment.write().commit()
    }

    @Test("a data file that is removed, replaced or cut under it is noticed by the next transaction and by a commit")
    func lostFile() throws {
        func isLost(_ error: LMDBError?) -> Bool {
            switch error {
            case .removedFile, .shortenedFile: true
            default: false
            }
        }
        let harms: [(String) throws -> Void] = [
            { try FileManager.default.removeItem(atPath: $0) },
            { path in
                try FileManager.default.copyItem(atPath: path, toPath: path + ".new")
                #expect(unsafe rename(path + ".new", path) == 0)
            },
            { path in #expect(unsafe truncate(path, 4096) == 0) },
            { path in #expect(unsafe truncate(path, 0) == 0) },
        ]
        for harm in harms {
            let path = directory + "/\(UUID().uuidString)"
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
            let environment = try Environment(
                directory: path, mapBytes: 16 << 20, maxReaders: 4, databases: ["a", "b"])
            try fill(environment, 3)
            let open = try environment.write()
            try harm(path + "/data.mdb")
            #expect(isLost(#expect(throws: LMDBError.self) { try environment.checkFile() }))
            #expect(isLost(#expect(throws: LMDBError.self) { _ = try environment.read() }))
            do throws(LMDBError) {
                try open.commit()
                Issue.record("a commit into a lost file was acknowledged")
            } catch { #expect(isLost(error), "\(error)") }
            #expect(isLost(#expect(throws: LMDBError.self) { _ = try environment.write() }))
        }
    }

    @Test("a directory is opened once in a process, whatever path leads to it")
    func registry() throws {
        var environment: Environment? = try open()
        #expect(throws: LMDBError.alreadyOpen(directory: directory)) { _ = try open() }
        let other = directory + "/../" + (directory as NSString).lastPathComponent
        #expect(throws: LMDBError.alreadyOpen(directory: other)) {
            _ = try Environment(directory: other, mapBytes: 1 << 20, maxReaders: 1, databases: [])
        }
        #expect(environment != nil)
        environment = nil
        _ = try open()
    }

    @Test("a cursor starts at a prefix, goes on in key order, deletes, and ends")
    func cursor() throws {
        let environment = try open()
        try fill(environment, 5)
        let a = try environment.database("a")
        var transaction = try environment.write()
        try transaction.put([9 as UInt8].span.bytes, forKey: [8, 0], in: a)
        do {
            var cursor = try transaction.cursor(in: a)
            #expect(try cursor.seek(to: [7, 3]))
            #expect(cursor.key.unsafeLoad(fromByteOffset: 1, as: UInt8.self) == 3)
            #expect(try cursor.delete())
            #expect(cursor.key.unsafeLoad(fromByteOffset: 1, as: UInt8.self) == 4)
            #expect(try cursor.next())
            #expect(cursor.value.unsafeLoad(as: UInt8.self) == 9)
            #expect(try !cursor.delete(), "nothing comes after the last")
            #expect(try !cursor.seek(to: [9]))
            #expect(cursor.key.byteCount == 0)
            #expect(try cursor.last())
            #expect(cursor.key.unsafeLoad(fromByteOffset: 1, as: UInt8.self) == 4)
        }
        try transaction.commit()
        let reader = try environment.read()
        #expect(try reader.statistics(of: a).entries == 4)
        #expect(try reader.statistics(of: environment.database("b")).pages == 0)
    }

    @Test("a reader sees what was there when it began")
    func snapshot() throws {
        let environment = try open()
        try fill(environment, 1)
        let a = try environment.database("a")
        let reader = try environment.read()
        var transaction = try environment.write()
        try transaction.put([99 as UInt8].span.bytes, forKey: [7, 0], in: a)
        #expect(try transaction.delete([7, 1], in: a) == false)
        try transaction.commit()
        let old = try reader.value(forKey: [7, 0], in: a)?.byteCount
        #expect(old == 2)
        #expect(try value([7, 0], in: environment) == [99])
    }

    @Test("a full map is an error of its own, and the environment lives on")
    func mapFull() throws {
        let environment = try open(mapBytes: 1 << 20)
        let a = try environment.database("a")
        do {
            var transaction = try environment.write()
            #expect(throws: LMDBError.mapFull) {
                try transaction.reserve(byteCount: 2 << 20, forKey: [1], in: a) { _ in }
            }
        }
        try fill(environment, 2)
        #expect(try value([7, 1], in: environment) == [1, 1])
    }

    @Test("readers beyond the slots are refused until one has finished")
    func readersFull() throws {
        let environment = try open(maxReaders: 2)
        var held: [Holder] = [try Holder(environment), try Holder(environment)]
        #expect(throws: LMDBError.readersFull) { _ = try environment.read() }
        held.removeLast()
        #expect(held.count == 1)
        _ = try environment.read()
    }

    final class Holder {
        let transaction: ReadTransaction
        init(_ environment: Environment) throws { transaction = try environment.read() }
    }

    @Test("bad keys, foreign files and missing directories are typed errors")
    func badInput() throws {
        do {
            let environment = try open()
            let a = try environment.database("a")
            var transaction = try environment.write()
            #expect(throws: LMDBError.badValueSize) { try transaction.put([1 as UInt8].span.bytes, forKey: [], in: a) }
            let long = [UInt8](repeating: 1, count: 512)
            #expect(throws: LMDBError.badValueSize) {
                try transaction.put([1 as UInt8].span.bytes, forKey: long, in: a)
            }
            #expect(throws: LMDBError.notFound) { _ = try environment.database("c") }
        }
        try Data(repeating: 0x55, count: 8192).write(to: URL(fileURLWithPath: directory + "/data.mdb"))
        #expect(throws: LMDBError.invalidFile) { _ = try open() }
        #expect(throws: LMDBError.system(errno: ENOENT)) {
            _ = try Environment(directory: directory + "/no", mapBytes: 1 << 20, maxReaders: 1, databases: [])
        }
    }

    @Test("freed pages and the sizes of the environment are counted")
    func sizes() throws {
        let environment = try open()
        let a = try environment.database("a")
        var transaction = try environment.write()
        try transaction.reserve(byteCount: 100 * 4096, forKey: [1], in: a) { span in
            unsafe span.withUnsafeMutableBytes { room in
                unsafe room.copyBytes(from: [UInt8](repeating: 7, count: room.count))
            }
        }
        try transaction.commit()
        let before = try environment.freePages()
        transaction = try environment.write()
        try transaction.delete([1], in: a)
        try transaction.commit()
        #expect(try environment.freePages() >= before + 100)
        let info = try environment.info()
        #expect(info.mapBytes == 16 << 20)
        #expect(info.fileBytes == info.usedPages * info.pageBytes)
        #expect(try environment.clearStaleReaders() == 0)
    }

    @Test(
        "network file systems are told by their magic number",
        arguments: [
            (0x6969, "NFS"), (0xFF53_4D42, "SMB/CIFS"), (0x0102_1997, "9p"), (0x6573_5546, "FUSE"), (0xEF53, nil),
        ]
            as [(UInt32, String?)])
    func network(type: UInt32, name: String?) {
        #expect(NetworkFileSystem.name(ofType: type) == name)
    }
}
