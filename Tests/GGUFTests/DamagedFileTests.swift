// Files damaged at random or cut anywhere: a typed error or a sound reading, never a trap.

import Foundation
import GGUF
import Testing

@Suite("A damaged file")
struct DamagedFileTests {
    /// A small valid file with every kind of value in it.
    static let small: [UInt8] = {
        var builder = GGUFBuilder()
        builder.keys = [
            ("general.architecture", .text("llama")), ("general.alignment", .uint32(32)), ("split.count", .uint16(1)),
            ("llama.block_count", .uint32(2)), ("tokens", .array([.text("<s>"), .text("a"), .text("▁b")])),
            ("scores", .array([.float32(0), .float32(-1)])), ("nested", .array([.array([.int64(1)])])),
            ("flag", .bool(1)), ("big", .float64(1)),
        ]
        builder.tensors = [
            .init(name: "token_embd.weight", type: 8, dimensions: [64, 3]), .init(name: "norm", dimensions: [7]),
        ]
        return builder.bytes()
    }()

    @Test("is refused wherever it is cut")
    func truncated() throws {
        // The last byte that counts: padding behind the last tensor may be missing.
        let last = try #require(GGUFFile(copying: Self.small).tensors.last)
        for length in 0..<last.byteOffset + last.byteCount {
            #expect(throws: GGUFError.self, "cut to \(length) bytes") {
                try GGUFFile(copying: Array(Self.small.prefix(length)))
            }
        }
        #expect(throws: Never.self) {
            try GGUFFile(copying: Array(Self.small.prefix(last.byteOffset + last.byteCount)))
        }
    }

    @Test("of the project's model is refused wherever its header is cut", arguments: 0..<64)
    func truncatedModel(part: Int) throws {
        let bytes = try SharedFile.projectModel.bytes()
        let headerBytes = try #require(GGUFFile(copying: bytes).tensors.first).byteOffset
        for length in stride(from: part * 61, to: headerBytes, by: 64 * 61) {
            #expect(throws: GGUFError.self, "cut to \(length) bytes") {
                try GGUFFile(copying: Array(bytes.prefix(length)))
            }
        }
    }

    @Test("never traps: bits flipped, bytes and words overwritten", arguments: 0..<10)
    func mutated(seed: UInt64) throws {
        var random = SeededGenerator(state: seed)
        var accepted = 0
        for _ in 0..<1_000 {
            var bytes = Self.small
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let position = Int.random(in: 0..<bytes.count - 8, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                case 1: bytes[position] = UInt8.random(in: 0...255, using: &random)
                default: bytes.replaceSubrange(position..<position + 8, with: Array(repeating: 0xFF, count: 8))
                }
            }
            do throws(GGUFError) {
                touchEverything(in: try GGUFFile(copying: bytes))
                accepted += 1
            } catch {
                #expect(!error.description.isEmpty, "seed \(seed)")
            }
        }
        // Damage in the data goes unseen, damage in the directory does not: both must occur, or nothing was tested.
        #expect((1..<1_000).contains(accepted))
    }

    /// Asks for every value as every type, and reads every tensor's first and last byte.
    private func touchEverything(in file: GGUFFile) {
        for key in file.metadata.keys {
            _ = try? file.metadata.string(key)
            _ = try? file.metadata.integer(key)
            _ = try? file.metadata.float(key)
            _ = try? file.metadata.bool(key)
            _ = try? file.metadata.strings(key)
            _ = try? file.metadata.floats(key)
            _ = try? file.metadata.integers(key)
        }
        for tensor in file.tensors {
            let bytes = unsafe file.bytes(of: tensor)
            #expect(bytes.count == tensor.byteCount)
            _ = unsafe (bytes.first, bytes.last)
        }
    }
}

@Suite("A path")
struct PathTests {
    @Test("to a file that is there opens it")
    func opens() throws {
        let file = try GGUFFile(path: SharedFile.projectModel.path)
        #expect(try file.metadata.string("general.architecture") == "llama")
        #expect(file.fileBytes == (try SharedFile.projectModel.bytes().count))
    }

    @Test("to nothing, a folder, an empty file or a FIFO is refused")
    func refused() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let empty = folder.appendingPathComponent("empty").path
        let fifo = folder.appendingPathComponent("fifo").path
        #expect(FileManager.default.createFile(atPath: empty, contents: nil))
        #expect(unsafe mkfifo(fifo, 0o600) == 0)
        let absent = folder.appendingPathComponent("absent").path

        #expect(throws: GGUFError.cannotOpen(path: absent, errno: ENOENT)) { try GGUFFile(path: absent) }
        #expect(throws: GGUFError.notARegularFile(path: folder.path)) { try GGUFFile(path: folder.path) }
        #expect(throws: GGUFError.notARegularFile(path: fifo)) { try GGUFFile(path: fifo) }
        #expect(throws: GGUFError.truncated(offset: 0, neededBytes: 4, fileBytes: 0, reading: "the magic number")) {
            try GGUFFile(path: empty)
        }
    }
}
