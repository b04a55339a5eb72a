// Models in several files: read as one, and refused where a part is missing, another's, or not what was promised.

import Foundation
import GGUF
import Testing

@Suite struct SplitFileTests {
    /// A folder of parts that goes with the test.
    private final class Folder {
        let url = FileManager.default.temporaryDirectory.appending(path: "caked-split-\(UUID().uuidString)")

        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(at: url) }

        func path(_ part: Int, of parts: Int = 3) -> String {
            url.appending(path: "model-0000\(part + 1)-of-0000\(parts).gguf").path
        }
    }

    /// Part `number` of three, with a tensor of its own; the first has all metadata.
    private func part(_ number: Int, tensors: Int = 3) -> GGUFBuilder {
        var builder = GGUFBuilder()
        builder.keys = [
            ("split.no", .uint16(UInt16(number))), ("split.count", .uint16(3)),
            ("split.tensors.count", .int32(Int32(tensors))),
        ]
        if number == 0 { builder.keys.append(("general.name", .text("whole"))) }
        builder.tensors = [GGUFBuilder.Tensor(name: "t\(number)", dimensions: [UInt64(4 + number)])]
        return builder
    }

    private func write(_ parts: [Int: GGUFBuilder], to folder: Folder) throws {
        for (number, builder) in parts {
            try Data(builder.bytes()).write(to: URL(filePath: folder.path(number)))
        }
    }

    private var sound: [Int: GGUFBuilder] { [0: part(0), 1: part(1), 2: part(2)] }

    @Test("parts are read as one file, each tensor from its own")
    func whole() throws {
        let folder = try Folder()
        try write(sound, to: folder)
        let file = try GGUFFile(path: folder.path(0))
        #expect(try file.metadata.string("general.name") == "whole")
        #expect(file.tensors.map(\.name) == ["t0", "t1", "t2"] && file.tensors.map(\.part) == [0, 1, 2])
        #expect(file.paths == (0..<3).map { folder.path($0) })
        let bytes = try (0..<3).map { try Data(contentsOf: URL(filePath: folder.path($0))) }
        #expect(file.fileBytes == bytes.reduce(0) { $0 + $1.count })
        for tensor in file.tensors {
            let range = tensor.byteOffset..<tensor.byteOffset + tensor.byteCount
            #expect(unsafe Data(file.bytes(of: tensor)) == bytes[tensor.part][range])
        }
    }

    @Test("a part that is not the first by name or number is refused, and says which is")
    func notFirst() throws {
        let folder = try Folder()
        try write(sound, to: folder)
        #expect(throws: GGUFError.splitFile(parts: 3)) { try GGUFFile(path: folder.path(1)) }
        let other = folder.url.appending(path: "renamed.gguf").path
        try FileManager.default.copyItem(atPath: folder.path(0), toPath: other)
        let error = #expect(throws: GGUFError.self) { try GGUFFile(path: other) }
        #expect(error?.description.contains("-00001-of-") == true)
    }

    @Test("a part that is missing, damaged, another's or short of tensors is refused by its name", arguments: 0..<5)
    func wrongParts(_ fault: Int) throws {
        let folder = try Folder()
        var parts = sound
        switch fault {
        case 0: parts[2] = nil
        case 1: parts[1]?.magic = Array("GGUX".utf8)
        case 2: parts[1] = part(2)
        case 3: parts[0] = part(0, tensors: 4)
        default: parts[2]?.tensors[0].name = "t1"
        }
        try write(parts, to: folder)
        let error = try #require(#expect(throws: GGUFError.self) { try GGUFFile(path: folder.path(0)) })
        switch error {
        case .duplicateTensor("t1", _) where fault == 4: break
        case .unusablePart(let path, _) where fault < 4:
            #expect(path == folder.path([2, 1, 1, 0][fault]) && error.description.contains("one folder"))
        default: Issue.record("\(error)")
        }
    }

    @Test("a count of parts that no model has opens nothing")
    func hostileCount() throws {
        var builder = part(0)
        builder.keys[1] = ("split.count", .uint32(4_000_000_000))
        let folder = try Folder()
        let path = folder.url.appending(path: "model-00001-of-4000000000.gguf")
        try Data(builder.bytes()).write(to: path)
        #expect(throws: GGUFError.splitFile(parts: 4_000_000_000)) { try GGUFFile(path: path.path) }
    }
}
