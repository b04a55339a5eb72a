// Texts are checked before they are sent.
import API
import CakedClient
import Foundation
import Testing

@Suite("UTF-8 validator") struct UTF8ValidatorTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var bytes: [UInt8]
        var badOffset: Int?
        var testDescription: String { bytes.map { String($0, radix: 16) }.joined(separator: " ") }
    }

    @Test(
        "finds the first ill-formed sequence, however the text is cut",
        arguments: [
            Case(bytes: Array("a Käse 日本 🎂\u{10FFFF}\u{D7FF}\u{E000}\0".utf8)),
            Case(bytes: []),
            Case(bytes: [0x61, 0xFF, 0x61], badOffset: 1),
            Case(bytes: [0x61, 0x80], badOffset: 1),
            Case(bytes: [0xC0, 0x80], badOffset: 0),
            Case(bytes: [0x61, 0xC1, 0xBF], badOffset: 1),
            Case(bytes: [0xE0, 0x9F, 0xBF], badOffset: 0),
            Case(bytes: [0xED, 0xA0, 0x80], badOffset: 0),
            Case(bytes: [0xF0, 0x8F, 0xBF, 0xBF], badOffset: 0),
            Case(bytes: [0xF4, 0x90, 0x80, 0x80], badOffset: 0),
            Case(bytes: [0xF5, 0x80, 0x80, 0x80], badOffset: 0),
            Case(bytes: [0x61, 0xE2, 0x82, 0x61], badOffset: 1),
            Case(bytes: [0x61, 0xE2, 0x82], badOffset: 1),
            Case(bytes: [0x61, 0x62, 0xC3], badOffset: 2),
        ])
    func table(_ it: Case) {
        for cut in 0...it.bytes.count {
            var validator = UTF8Validator()
            let (head, tail) = (Array(it.bytes[..<cut]), Array(it.bytes[cut...]))
            let found = validator.append(head.span) ?? validator.append(tail.span) ?? validator.finish()
            #expect(found == it.badOffset, "cut at \(cut)")
        }
    }

    @Test("agrees with the standard library on random bytes")
    func random() {
        var random = SystemRandomNumberGenerator()
        let interesting: [UInt8] = [0x61, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC2, 0xE0, 0xE1, 0xED, 0xF0, 0xF4, 0xF5]
        var valid = 0
        for _ in 0..<20000 {
            let bytes = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                interesting.randomElement(using: &random)!
            }
            var validator = UTF8Validator()
            let isValid = (validator.append(bytes.span) ?? validator.finish()) == nil
            #expect(isValid == (String(validating: bytes, as: UTF8.self) != nil), "\(bytes)")
            valid += isValid ? 1 : 0
        }
        #expect(valid > 0)
    }
}

@Suite("Document text") struct DocumentTextTests {
    @Test("is refused when it is empty, not UTF-8, missing or a directory")
    func refuses() throws {
        let folder = try TemporaryFolder()
        let empty = try folder.file("empty", [])
        let latin1 = try folder.file("latin1", [0x61, 0xE9, 0x62])
        // The cut-off sequence is found only at the end, chunks after where reading began.
        let cut = try folder.file("cut", Array(repeating: 0x61, count: 600_000) + [0xE2, 0x82])
        let missing = folder.path + "/missing"
        #expect(throws: ClientError.emptyDocument(path: empty)) { try DocumentText(path: empty) }
        #expect(throws: ClientError.emptyDocument(path: "/dev/null")) { try DocumentText(path: "/dev/null") }
        #expect(throws: ClientError.emptyDocument(path: "the document")) { try DocumentText("") }
        #expect(throws: ClientError.notUTF8(path: latin1, offset: 1)) { try DocumentText(path: latin1) }
        #expect(throws: ClientError.notUTF8(path: cut, offset: 600_000)) { try DocumentText(path: cut) }
        #expect(throws: ClientError.unreadable(path: missing, reason: "No such file or directory")) {
            try DocumentText(path: missing)
        }
        #expect(throws: ClientError.unreadable(path: folder.path, reason: "it is a directory, not a text file")) {
            try DocumentText(path: folder.path)
        }
    }

    @Test("comes from a file that is not held, or from one without a size")
    func reads() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("text", Array("Käse".utf8))
        #expect(try DocumentText(path: path).byteCount == 5)
        #expect(try DocumentText(path: "/proc/self/status").byteCount > 0)
    }
}

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = "/tmp/cakectl-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try Data(bytes).write(to: URL(filePath: path + "/" + name))
        return path + "/" + name
    }
}
